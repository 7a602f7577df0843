"""Providers: who serves models, where, and with which key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from typing_extensions import TypeVar

if TYPE_CHECKING:
    from plait_agent.profiles import ModelProfile

__all__ = 'Provider', 'infer_provider', 'infer_provider_class'

InterfaceClient = TypeVar('InterfaceClient', default=Any)


class Provider(ABC, Generic[InterfaceClient]):
    """Who serves models: a client of its library, which knows the address and the key.

    Several models may share a provider, and so its connections.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the provider, as telemetry and prices know it."""

    @property
    @abstractmethod
    def base_url(self) -> str:
        """Where it is."""

    @property
    @abstractmethod
    def client(self) -> InterfaceClient:
        """The client of its library."""

    def model_profile(self, model_name: str) -> ModelProfile | None:
        """What a model of this provider can do, as far as its name tells."""
        return None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not stand in errors or records: the key, unless a subclass knows of more."""
        key = getattr(self.client, 'api_key', None)
        return (key,) if isinstance(key, str) and key else ()

    def __repr__(self) -> str:
        return f'{type(self).__name__}(name={self.name!r}, base_url={self.base_url!r})'


class _Room(NamedTuple):
    """Where the class of a provider is."""

    module: str
    class_name: str


_ROOMS = {
    'alibaba': _Room('alibaba', 'AlibabaProvider'),
    'anthropic': _Room('anthropic', 'AnthropicProvider'),
    'azure': _Room('azure', 'AzureProvider'),
    'cerebras': _Room('cerebras', 'CerebrasProvider'),
    'cohere': _Room('cohere', 'CohereProvider'),
    'deepseek': _Room('deepseek', 'DeepSeekProvider'),
    'fireworks': _Room('fireworks', 'FireworksProvider'),
    'github': _Room('github', 'GitHubProvider'),
    'google': _Room('google', 'GoogleProvider'),
    'google-gla': _Room('google', 'GoogleProvider'),
    'google-vertex': _Room('google', 'GoogleProvider'),
    'grok': _Room('grok', 'GrokProvider'),
    'groq': _Room('groq', 'GroqProvider'),
    'heroku': _Room('heroku', 'HerokuProvider'),
    'huggingface': _Room('huggingface', 'HuggingFaceProvider'),
    'litellm': _Room('litellm', 'LiteLLMProvider'),
    'mistral': _Room('mistral', 'MistralProvider'),
    'moonshotai': _Room('moonshotai', 'MoonshotAIProvider'),
    'nebius': _Room('nebius', 'NebiusProvider'),
    'ollama': _Room('ollama', 'OllamaProvider'),
    'openai': _Room('openai', 'OpenAIProvider'),
    'openrouter': _Room('openrouter', 'OpenRouterProvider'),
    'ovhcloud': _Room('ovhcloud', 'OVHcloudProvider'),
    'sambanova': _Room('sambanova', 'SambaNovaProvider'),
    'together': _Room('together', 'TogetherProvider'),
    'vercel': _Room('vercel', 'VercelProvider'),
    'xai': _Room('xai', 'XaiProvider'),
    'zai': _Room('zai', 'ZaiProvider'),
}


def infer_provider_class(provider: str) -> type[Provider[Any]]:
    """Give the class of a provider by its name.

    Raises:
        ValueError: The provider is not known.
        ImportError: What it needs is not installed.
    """
    room = _ROOMS.get(provider)
    if room is None:
        raise ValueError(f'Unknown provider: {provider}. Known are {", ".join(sorted(_ROOMS))}.')
    return getattr(import_module(f'plait_agent.providers.{room.module}'), room.class_name)


def infer_provider(provider: str) -> Provider[Any]:
    """Make the provider of a name, with its address and key from the environment.

    Raises:
        ValueError: The provider is not known.
        ImportError: What it needs is not installed.
        UserError: The environment has no key for it.
    """
    provider_class = infer_provider_class(provider)
    if provider == 'google-vertex':
        return provider_class(vertexai=True)  # pyright: ignore[reportCallIssue] # Google's has this argument
    return provider_class()
