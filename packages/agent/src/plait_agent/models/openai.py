"""Models in OpenAI's formats: chat completions and responses. OpenAI's library comes with the extra `openai`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait_agent.models._openai_chat.model import (
        OpenAIChatModel,
        OpenAIModel,  # pyright: ignore[reportDeprecated] # it is here for programs that have it
    )
    from plait_agent.models._openai_chat.settings import (
        OpenAIChatModelSettings,
        OpenAIModelName,
        OpenAIModelSettings,
    )
    from plait_agent.models._openai_chat.stream import OpenAIStreamedResponse
    from plait_agent.models._openai_responses.model import OpenAIResponsesModel, OpenAIResponsesModelSettings
    from plait_agent.profiles.openai import OpenAISystemPromptRole

__all__ = (
    'OpenAIChatModel',
    'OpenAIChatModelSettings',
    'OpenAIModel',
    'OpenAIModelName',
    'OpenAIModelSettings',
    'OpenAIResponsesModel',
    'OpenAIResponsesModelSettings',
    'OpenAIStreamedResponse',
    'OpenAISystemPromptRole',
)

_ROOMS = {
    'OpenAIChatModel': 'models._openai_chat.model',
    'OpenAIChatModelSettings': 'models._openai_chat.settings',
    'OpenAIModel': 'models._openai_chat.model',
    'OpenAIModelName': 'models._openai_chat.settings',
    'OpenAIModelSettings': 'models._openai_chat.settings',
    'OpenAIResponsesModel': 'models._openai_responses.model',
    'OpenAIResponsesModelSettings': 'models._openai_responses.model',
    'OpenAIStreamedResponse': 'models._openai_chat.stream',
    'OpenAISystemPromptRole': 'profiles.openai',
}
"""Where each name is; the two formats do not import one another."""


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f'plait_agent.{_ROOMS[name]}'), name)
    return value
