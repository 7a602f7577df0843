"""What can be asked of models in OpenAI's responses format beside the usual settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from plait_agent.models._openai_chat.settings import OpenAIChatModelSettings


class OpenAIResponsesModelSettings(OpenAIChatModelSettings, total=False):
    """Settings of models that are asked in OpenAI's responses format."""

    openai_builtin_tools: Sequence[Any]
    """Tools of OpenAI in its own words, such as `{'type': 'shell', ...}` or `{'type': 'tool_search', ...}`.

    Those that the program has to run (`shell`, `local_shell`, `apply_patch`, `computer` and custom tools) are answered
    by a tool of the program with this name, which is then not told of as a function.
    """
    openai_deferred_tools: Sequence[str]
    """The names of tools that the model has to search for, with `{'type': 'tool_search'}` among OpenAI's tools."""
    openai_reasoning_summary: Literal['detailed', 'concise', 'auto']
    """Whether thoughts are told in short, and how."""
    openai_reasoning_generate_summary: Literal['detailed', 'concise']
    """The former name of `openai_reasoning_summary`."""
    openai_reasoning_mode: str
    """How the model reasons, for models that have several ways."""
    openai_reasoning_context: Literal['auto', 'current_turn', 'all_turns']
    """Of which turns the model sees its thoughts again."""
    openai_send_reasoning_ids: bool
    """Whether thoughts, texts and calls of earlier answers are sent with their ids, as models that reason need them.

    Without ids, thoughts are sent as text. That is the way out if a history was changed and OpenAI misses an item that
    belongs to another. By default ids are sent to models whose thoughts come back encrypted.
    """
    openai_truncation: Literal['disabled', 'auto']
    """Whether the beginning of an input that is too long is dropped."""
    openai_text_verbosity: Literal['low', 'medium', 'high']
    """How many words the answer makes."""
    openai_previous_response_id: str
    """The answer that this request follows; OpenAI knows what was said until then, and only the rest is sent.

    `'auto'` is the latest answer of OpenAI in the history.
    """
    openai_conversation_id: str
    """The conversation that OpenAI keeps and this request goes on with; only what it does not know is sent.

    `'auto'` is that of the latest answer of OpenAI in the history.
    """
    openai_include_code_execution_outputs: bool
    """Whether what code has printed and drawn comes with the answer."""
    openai_include_web_search_sources: bool
    """Whether the sources of a search of the web come with the answer."""
    openai_include_file_search_results: bool
    """Whether what was found in files comes with the answer."""
    openai_background: bool
    """Whether the answer is made in the background: it is asked for again and again until it is there."""
    openai_context_management: Sequence[Any]
    """How OpenAI makes long inputs shorter."""
    openai_prompt_cache_options: dict[str, Any]
    """How prompts are kept; with `{'mode': 'explicit'}` each `CachePoint` marks what is."""
    openai_max_tool_calls: int
    """How often tools of OpenAI may be called."""
    openai_metadata: dict[str, str]
    """What OpenAI keeps with the answer."""
    openai_moderation: dict[str, Any]
    """How prompts and answers are judged."""
    openai_prompt: dict[str, Any]
    """A prompt that OpenAI holds, with its variables."""
