from pathlib import Path

import pytest

from plait_agent import Agent, UserError
from plait_agent._local.folders import models_folder
from plait_agent.models import default_model
from plait_agent.models.local import LocalModel
from plait_agent.models.test import TestModel

KEYS = 'ANTHROPIC_API_KEY', 'OPENAI_API_KEY', 'GEMINI_API_KEY', 'GOOGLE_API_KEY', 'PLAIT_MODEL'


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take all keys out of the environment."""
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)


def put_weights() -> Path:
    """Make the weights of the default look as if they were here."""
    path = models_folder() / 'qwen2.5-coder-0.5b-instruct-q4_k_m.gguf'
    path.parent.mkdir(parents=True)
    path.write_bytes(b'GGUF')
    return path


def test_the_environment_may_name_the_default(monkeypatch: pytest.MonkeyPatch):
    """PLAIT_MODEL goes before everything else."""
    monkeypatch.setenv('PLAIT_MODEL', 'test')
    monkeypatch.setenv('OPENAI_API_KEY', 'a-key')

    assert isinstance(Agent('default').model, TestModel)


def test_a_key_chooses_its_provider(monkeypatch: pytest.MonkeyPatch):
    """A provider whose key is there is asked before a local model, in a fixed order."""
    put_weights()
    monkeypatch.setenv('OPENAI_API_KEY', 'a-key')
    assert default_model().system == 'openai'
    monkeypatch.setenv('ANTHROPIC_API_KEY', 'a-key')
    assert default_model().system == 'anthropic'


def test_without_a_key_the_local_model_is_asked():
    """Weights that are here are enough."""
    put_weights()

    assert isinstance(default_model(), LocalModel)


def test_with_nothing_at_hand_the_ways_are_told():
    """Nothing is downloaded; the message names the keys, the variable and the command."""
    with pytest.raises(
        UserError, match=r'OPENAI_API_KEY.* PLAIT_MODEL.*469 MiB.* plait models pull qwen2.5-coder-0.5b'
    ):
        Agent('default')
    assert not models_folder().exists()


def test_the_default_is_not_the_default(monkeypatch: pytest.MonkeyPatch):
    """PLAIT_MODEL=default would mean itself."""
    monkeypatch.setenv('PLAIT_MODEL', 'default')

    with pytest.raises(UserError, match="PLAIT_MODEL is 'default'"):
        default_model()


@pytest.mark.usefixtures('thread_loop')
def test_an_agent_without_a_model_still_says_so():
    """No model is taken that nobody has asked for."""
    with pytest.raises(UserError, match='`model` must either be set on the agent'):
        Agent().run_sync('Hello')
