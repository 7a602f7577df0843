"""Who serves models of Anthropic, and with which key."""

from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic
from anthropic.lib.bedrock import AsyncAnthropicBedrock

from plait_agent.exceptions import UserError
from plait_agent.models import infer_model
from plait_agent.models.anthropic import AnthropicModel
from plait_agent.providers import infer_provider
from plait_agent.providers.anthropic import AnthropicProvider


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said outside of the tests."""
    for name in ('ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'ANTHROPIC_BASE_URL'):
        monkeypatch.delenv(name, raising=False)


def test_a_missing_key_is_told_with_both_ways_to_give_it() -> None:
    """Without a key nothing begins, and the error says where to put one."""
    with pytest.raises(UserError, match=r'ANTHROPIC_API_KEY.*AnthropicProvider\(api_key=...\)'):
        AnthropicProvider()


def test_the_key_and_the_address_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is enough where the environment says the rest."""
    monkeypatch.setenv('ANTHROPIC_API_KEY', 'key-of-the-environment')
    monkeypatch.setenv('ANTHROPIC_BASE_URL', 'http://127.0.0.1:1/claude')

    provider = infer_provider('anthropic')

    assert isinstance(provider, AnthropicProvider)
    assert provider.client.api_key == 'key-of-the-environment'
    assert provider.base_url == 'http://127.0.0.1:1/claude'


def test_a_token_of_the_environment_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a token in the place of a key, the token is sent, and kept as secret as a key."""
    monkeypatch.setenv('ANTHROPIC_AUTH_TOKEN', 'token-of-the-environment')
    provider = AnthropicProvider()

    assert provider.client.auth_token == 'token-of-the-environment'
    assert provider.secrets == ('token-of-the-environment',)


def test_what_is_said_goes_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument wins."""
    monkeypatch.setenv('ANTHROPIC_API_KEY', 'key-of-the-environment')
    monkeypatch.setenv('ANTHROPIC_BASE_URL', 'http://127.0.0.1:1')

    provider = AnthropicProvider(api_key='key-of-the-program', base_url='http://127.0.0.1:2')

    assert provider.client.api_key == 'key-of-the-program'
    assert provider.base_url == 'http://127.0.0.1:2'


def test_our_transport_alone_tries_again() -> None:
    """The library is told not to repeat requests, so that two do not multiply."""
    assert AnthropicProvider(api_key='a-key-of-mine').client.max_retries == 0


def test_the_key_is_not_printed() -> None:
    """A provider and its model can be printed."""
    provider = AnthropicProvider(api_key='a-key-of-mine')

    assert 'a-key-of-mine' not in repr(provider)
    assert 'a-key-of-mine' not in repr(AnthropicModel('claude-sonnet-5', provider=provider))


def test_a_client_of_one_s_own_is_taken_as_it_is() -> None:
    """A client brings its address and its key, also one for Bedrock."""
    own = AsyncAnthropic(api_key='x', base_url='http://127.0.0.1:3')
    bedrock = AsyncAnthropicBedrock(
        aws_region='us-east-1', aws_access_key='id', aws_secret_key='secret-of-aws', http_client=httpx2.AsyncClient()
    )

    assert AnthropicProvider(anthropic_client=own).client is own
    assert AnthropicProvider(anthropic_client=bedrock).secrets == ('secret-of-aws',)


@pytest.mark.parametrize(
    'beside', [{'api_key': 'x'}, {'base_url': 'http://127.0.0.1:3'}, {'http_client': httpx2.AsyncClient()}]
)
def test_a_client_and_what_it_has_already_are_one_too_many(beside: dict[str, Any]) -> None:
    """What would be ignored is refused."""
    with pytest.raises(UserError, match='Give these to the client'):
        AnthropicProvider(anthropic_client=AsyncAnthropic(api_key='x'), **beside)


def test_a_name_gives_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """`'anthropic:...'` is a model of Anthropic."""
    monkeypatch.setenv('ANTHROPIC_API_KEY', 'key-of-the-environment')

    model = infer_model('anthropic:claude-sonnet-5')

    assert isinstance(model, AnthropicModel)
    assert (model.model_name, model.system) == ('claude-sonnet-5', 'anthropic')
