"""OpenAI, and servers that speak its language."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

if TYPE_CHECKING:
    from plait_agent.profiles import ModelProfile

__all__ = ('OpenAIProvider',)


class OpenAIProvider(CompatibleProvider):
    """OpenAI, or with `base_url` any server that speaks its language, such as vLLM, llama.cpp or LM Studio.

    The key is taken from `OPENAI_API_KEY`, the address from `OPENAI_BASE_URL`. A server at another address may do
    without a key.

    Args:
        base_url: Where the server is, if it is not OpenAI's.
        api_key: The key; without it, the environment is asked.
        openai_client: A client of OpenAI's library to use as it is, in place of all else.
        http_client: The HTTP client to use; without it, models of OpenAI share one.

    Raises:
        UserError: There is no key.
        ImportError: OpenAI's library is not installed.
    """

    server: ClassVar = Server(
        'openai',
        'OpenAI',
        'https://api.openai.com/v1',
        key_variables=('OPENAI_API_KEY',),
        url_variable='OPENAI_BASE_URL',
        asks_elsewhere=False,
    )

    def model_profile(self, model_name: str) -> ModelProfile | None:
        """What a model can do, as far as its name tells."""
        from plait_agent.profiles.openai import openai_model_profile

        return openai_model_profile(model_name)
