"""Which model a name means. The rooms of providers are imported when a name asks for one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from plait_agent.exceptions import UserError
from plait_agent.models._base import Model

if TYPE_CHECKING:
    from plait_agent.models._known_names import KnownModelName


class _Room(NamedTuple):
    """Where the model class of a provider is."""

    module: str
    class_name: str
    extra: str
    """What has to be installed for it."""


_OPENAI = _Room('openai', 'OpenAIChatModel', 'openai')
_GOOGLE = _Room('google', 'GoogleModel', 'google')

_ROOMS = {
    'anthropic': _Room('anthropic', 'AnthropicModel', 'anthropic'),
    'google': _GOOGLE,
    'google-gla': _GOOGLE,
    'google-vertex': _GOOGLE,
    'local': _Room('local', 'LocalModel', 'local'),
    'openai': _OPENAI,
    'openai-chat': _OPENAI,
    'openai-responses': _Room('openai', 'OpenAIResponsesModel', 'openai'),
    # The others speak OpenAI's chat completions; some of them have settings of their own.
    'cerebras': _Room('cerebras', 'CerebrasModel', 'openai'),
    'cohere': _Room('cohere', 'CohereModel', 'openai'),
    'groq': _Room('groq', 'GroqModel', 'openai'),
    'huggingface': _Room('huggingface', 'HuggingFaceModel', 'openai'),
    'mistral': _Room('mistral', 'MistralModel', 'openai'),
    'openrouter': _Room('openrouter', 'OpenRouterModel', 'openai'),
    'xai': _Room('xai', 'XaiModel', 'openai'),
    **dict.fromkeys(
        (
            'alibaba',
            'azure',
            'deepseek',
            'fireworks',
            'github',
            'grok',
            'heroku',
            'litellm',
            'moonshotai',
            'nebius',
            'ollama',
            'ovhcloud',
            'sambanova',
            'together',
            'vercel',
            'zai',
        ),
        _OPENAI,
    ),
}

_FORMER_NAMES = {'vertexai': 'google-vertex'}
_BARE_NAMES = {'gpt': 'openai', 'o1': 'openai', 'o3': 'openai', 'claude': 'anthropic', 'gemini': 'google-gla'}
"""How names of models begin that were once said without their provider."""


def parse_model_id(model: str) -> tuple[str | None, str]:
    """Take the name of a provider and the name of a model apart; without a colon there is no provider."""
    provider, colon, name = model.partition(':')
    return (provider, name) if colon else (None, model)


def infer_model(model: Model | KnownModelName | str, provider_factory: Callable[[str], Any] | None = None) -> Model:
    """Give the model that a name means: `'test'`, `'default'`, `'local'`, or one of a provider as in `'openai:gpt-5'`.

    Args:
        model: The name. A model is given back as it is.
        provider_factory: Makes the provider from its name; without it the model does so.

    Raises:
        UserError: The name has no provider.
        ValueError: The provider is not known.
        ImportError: What the provider needs is not installed.
    """
    if isinstance(model, Model):
        return model
    if model == 'test':
        from plait_agent.models.test import TestModel

        return TestModel()
    if model == 'default':
        from plait_agent.models._default import default_model

        return default_model()
    if model == 'local':
        model = 'local:'  # the default among those that run here
    provider, name = parse_model_id(model)
    provider = _guess_provider(name) if provider is None else _current_name(provider, name)
    room = _ROOMS.get(provider)
    if room is None:
        raise ValueError(
            f'Unknown provider: {provider}{_near(provider, _ROOMS)} Known are {", ".join(sorted(_ROOMS))}.'
        )
    model_class = _load(room, provider)
    server = provider.removesuffix('-chat').removesuffix('-responses') if room.module == 'openai' else provider
    return model_class(name, provider=server if provider_factory is None else provider_factory(server))


def _load(room: _Room, provider: str) -> type[Any]:
    try:
        return getattr(import_module(f'plait_agent.models.{room.module}'), room.class_name)
    except ImportError as error:
        raise ImportError(
            f'Models of {provider!r} need packages that are not installed ({error}). '
            f"Install them: pip install 'plait-agent[{room.extra}]'"
        ) from error


def _guess_provider(name: str) -> str:
    """The provider of a model that is named alone."""
    provider = next((known for start, known in _BARE_NAMES.items() if name.startswith(start)), None)
    if provider is None:
        from typing import get_args

        from plait_agent.models._known_names import KnownModelName

        raise UserError(
            f'Unknown model: {name}{_near(name, get_args(KnownModelName))} '
            f"Name a provider and its model, as in 'openai:gpt-5', or one of 'default', 'local', 'test'. "
            f'Providers are {", ".join(sorted(_ROOMS))}.'
        )
    _warn(f'The model name {name!r} has no provider. Write {f"{provider}:{name}"!r}.')
    return provider


def _current_name(provider: str, name: str) -> str:
    current = _FORMER_NAMES.get(provider)
    if current is None:
        return provider
    _warn(f'The provider {provider!r} has a new name. Write {f"{current}:{name}"!r}.')
    return current


def _warn(message: str) -> None:
    # The caller of `infer_model` is three frames up.
    warnings.warn(message, DeprecationWarning, stacklevel=4)


def _near(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    # A model is found by its name alone as well as with its provider.
    whole = {form: each for each in known for form in (each, each.partition(':')[2]) if form}
    near = dict.fromkeys(repr(whole[form]) for form in get_close_matches(name, whole, cutoff=0.7))
    return f'; is {" or ".join(near)} meant?' if near else '.'
