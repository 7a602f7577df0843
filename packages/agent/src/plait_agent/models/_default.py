"""Which model is asked when nobody names one."""

from __future__ import annotations

import os

from plait_agent.exceptions import UserError
from plait_agent.models._base import Model
from plait_agent.models._infer import infer_model

_BY_KEY = {
    'ANTHROPIC_API_KEY': 'anthropic:claude-sonnet-5',
    'OPENAI_API_KEY': 'openai:gpt-5-mini',
    'GEMINI_API_KEY': 'google-gla:gemini-2.5-flash',
    'GOOGLE_API_KEY': 'google-gla:gemini-2.5-flash',
}
"""The model of each provider that is asked if its key is there, in order."""


def default_model() -> Model:
    """Give the model that `'default'` means.

    That is the one that the environment variable `PLAIT_MODEL` names; else a model of the first provider whose key is
    in the environment, of Anthropic, OpenAI and Google; else the default among those that run on this machine, if its
    weights are here. Nothing is ever downloaded.

    Raises:
        UserError: There is neither a key nor a local model.
    """
    said = os.environ.get('PLAIT_MODEL')
    if said == 'default':
        raise UserError("PLAIT_MODEL is 'default', which is what it has to settle. Name a model, or unset it.")
    name = said or next((model for key, model in _BY_KEY.items() if os.environ.get(key)), None)
    return _local_model() if name is None else infer_model(name)


def _local_model() -> Model:
    from plait_agent._local.registry import load_registry
    from plait_agent._local.weights import is_here
    from plait_agent._local.words import amount

    entry = load_registry().find('')
    if is_here(entry):
        return infer_model('local')
    raise UserError(
        f'There is no default model: the environment has none of {", ".join(_BY_KEY)}, and the weights of the local '
        f'model {entry.name!r} are not on this machine. Set a key, or name a model with PLAIT_MODEL, or fetch the '
        f"local one ({amount(entry.size)}): pip install 'plait-agent[cli,local]' && plait models pull {entry.name}"
    )
