"""From our messages, settings and parameters to the arguments of a request. Awaits nothing but files to be fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from plait_agent.exceptions import UserError
from plait_agent.messages import ModelResponse
from plait_agent.models._memo import IdentityMemo
from plait_agent.models._openai_responses.builtin_tools import write_builtin_tool
from plait_agent.models._openai_responses.items import ItemWriter, Manner
from plait_agent.models._openai_responses.kept_items import local_tool_name
from plait_agent.models._openai_responses.media import MediaWriter
from plait_agent.models._tool_choice import choose_tools
from plait_agent.profiles.openai import refused_settings

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage
    from plait_agent.models._openai_responses.builtin_tools import Item
    from plait_agent.models._parameters import ModelRequestParameters
    from plait_agent.models._tool_choice import ToolChoice
    from plait_agent.profiles.openai import OpenAIModelProfile
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import ToolDefinition

_ARGUMENTS = {
    'max_tokens': 'max_output_tokens',
    'temperature': 'temperature',
    'top_p': 'top_p',
    'parallel_tool_calls': 'parallel_tool_calls',
    'timeout': 'timeout',
    'extra_headers': 'extra_headers',
    'extra_body': 'extra_body',
    'openai_background': 'background',
    'openai_context_management': 'context_management',
    'openai_max_tool_calls': 'max_tool_calls',
    'openai_metadata': 'metadata',
    'openai_moderation': 'moderation',
    'openai_prompt': 'prompt',
    'openai_prompt_cache_key': 'prompt_cache_key',
    'openai_prompt_cache_options': 'prompt_cache_options',
    'openai_prompt_cache_retention': 'prompt_cache_retention',
    'openai_safety_identifier': 'safety_identifier',
    'openai_service_tier': 'service_tier',
    'openai_store': 'store',
    'openai_top_logprobs': 'top_logprobs',
    'openai_truncation': 'truncation',
    'openai_user': 'user',
}
"""The settings that are arguments of the request."""
_REASONING = {
    'openai_reasoning_effort': 'effort',
    'openai_reasoning_generate_summary': 'summary',
    'openai_reasoning_summary': 'summary',
    'openai_reasoning_mode': 'mode',
    'openai_reasoning_context': 'context',
}
_INCLUDED = {
    'openai_include_code_execution_outputs': 'code_interpreter_call.outputs',
    'openai_include_web_search_sources': 'web_search_call.action.sources',
    'openai_include_file_search_results': 'file_search_call.results',
    'openai_logprobs': 'message.output_text.logprobs',
}
"""What is told only if it is asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is to be made."""

    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    instructions: str | None


class RequestWriter:
    """Writes requests to one model.

    Args:
        provider_name: Who serves it.
        profile: What it can do.
    """

    def __init__(self, provider_name: str, profile: OpenAIModelProfile):
        self._provider_name = provider_name
        self._profile = profile
        # Tools and files come again with each request.
        self._written_tools: IdentityMemo[Item] = IdentityMemo()
        self._fetched: IdentityMemo[Item] = IdentityMemo()

    async def write(self, asked: Asked) -> dict[str, Any]:
        """Write the arguments of a request, and fetch the files that have to be.

        Raises:
            UserError: The settings or the messages ask for something that OpenAI cannot do.
        """
        settings = cast('dict[str, Any]', asked.settings or {})
        refused = refused_settings(self._profile, settings.get('openai_reasoning_effort'))
        arguments = _plain_arguments(settings, refused)
        for name, value in (
            ('reasoning', _write_reasoning(settings)),
            ('include', self._write_include(settings, refused)),
            ('text', _write_text(settings, asked.parameters, self._profile)),
        ):
            if value:
                arguments[name] = value
        arguments |= self._write_tools(asked, settings)
        media = MediaWriter(marks_cache=_marks_cache(settings), fetched=self._fetched)
        arguments |= self._write_messages(asked, settings, media)
        await media.fetch()
        return arguments

    def _write_include(self, settings: dict[str, Any], refused: set[str]) -> list[str]:
        encrypted = ['reasoning.encrypted_content'] if self._profile.openai_supports_encrypted_reasoning_content else []
        return encrypted + [
            word
            for name, word in _INCLUDED.items()
            if settings.get(name) and name.removeprefix('openai_') not in refused
        ]

    # Tools

    def _write_tools(self, asked: Asked, settings: dict[str, Any]) -> dict[str, Any]:
        choice = choose_tools(asked.settings, asked.parameters)
        own = [write_builtin_tool(tool) for tool in asked.parameters.builtin_tools]
        own += [dict(cast('Item', tool)) for tool in settings.get('openai_builtin_tools') or ()]
        local = {name for tool in own if (name := local_tool_name(tool)) is not None}
        deferred: Sequence[str] = settings.get('openai_deferred_tools') or ()
        functions = [self._write_tool(tool, deferred) for tool in choice.tools if tool.name not in local]
        if not own and not functions:
            return {}
        if not choice.tools and settings.get('tool_choice') == 'required':
            # OpenAI's own tools can be forced as well.
            choice = choice._replace(mode='required')
        return {'tools': own + functions, 'tool_choice': self._write_choice(choice, own, local)}

    def _write_tool(self, tool: ToolDefinition, deferred: Sequence[str]) -> Item:
        written = self._written_tools.get(tool)
        if written is None:
            is_strict = bool(tool.strict and self._profile.openai_supports_strict_tool_definition)
            written = self._written_tools.put(
                tool,
                {
                    'type': 'function',
                    'name': tool.name,
                    'parameters': tool.parameters_json_schema,
                    'description': tool.description,
                    'strict': is_strict,
                },
            )
        return {**written, 'defer_loading': True} if tool.name in deferred else written

    def _write_choice(self, choice: ToolChoice, own: list[Item], local: set[str]) -> Any:
        mode = choice.mode
        if mode == 'required' and not self._profile.openai_supports_tool_choice_required:
            mode = 'auto'
        if choice.allowed is None or mode == 'none':
            return mode
        names = [tool.name for tool in choice.tools if tool.name in choice.allowed and tool.name not in local]
        if mode == 'required' and len(names) == 1:
            return {'type': 'function', 'name': names[0]}
        allowed: list[Item] = [{'type': 'function', 'name': name} for name in names]
        if mode == 'auto':
            # The choice is about tools of the program; OpenAI's own were given to be used.
            allowed += [_reference_to(tool) for tool in own]
        return {'type': 'allowed_tools', 'mode': mode, 'tools': allowed}

    # Messages

    def _write_messages(self, asked: Asked, settings: dict[str, Any], media: MediaWriter) -> dict[str, Any]:
        start = find_start(asked.messages, settings, self._provider_name)
        writer = ItemWriter(self._manner(settings), media)
        if start.known is not None:
            writer.know_calls(start.known)
        items = writer.write(asked.messages[start.index :])
        if not items and not start.arguments:
            # There has to be something to answer, if it is only the instructions.
            items.append({'role': 'user', 'content': ''})
        arguments: dict[str, Any] = {'input': items, **start.arguments}
        if asked.instructions is None:
            return arguments
        if _is_json_object(asked.parameters, self._profile):
            # The word JSON has to be in the input itself for this format.
            items.insert(0, {'role': self._system_role, 'content': asked.instructions})
        else:
            arguments['instructions'] = asked.instructions
        return arguments

    def _manner(self, settings: dict[str, Any]) -> Manner:
        profile = self._profile
        sends_ids = settings.get('openai_send_reasoning_ids')
        return Manner(
            provider_name=self._provider_name,
            system_role=self._system_role,
            thinking_tags=profile.thinking_tags,
            sends_ids=profile.openai_supports_encrypted_reasoning_content if sends_ids is None else sends_ids,
            keeps_items=settings.get('openai_store') is not False,
            needs_null_status=profile.openai_responses_requires_function_call_status_none,
        )

    @property
    def _system_role(self) -> str:
        return self._profile.openai_system_prompt_role or 'system'


def _plain_arguments(settings: dict[str, Any], refused: set[str]) -> dict[str, Any]:
    """The settings that are arguments, without those that the model refuses."""
    arguments = {
        argument: settings[name]
        for name, argument in _ARGUMENTS.items()
        if settings.get(name) is not None and argument not in refused
    }
    if arguments.get('prompt_cache_retention') == 'in-memory':
        arguments['prompt_cache_retention'] = 'in_memory'
    return arguments


def _write_reasoning(settings: dict[str, Any]) -> Item:
    both = 'openai_reasoning_summary', 'openai_reasoning_generate_summary'
    if all(settings.get(name) for name in both):
        raise UserError(f'The settings name {both[0]} and also {both[1]}, its former name. Give only the first.')
    return {field: settings[name] for name, field in _REASONING.items() if settings.get(name) is not None}


def _write_text(settings: dict[str, Any], parameters: ModelRequestParameters, profile: OpenAIModelProfile) -> Item:
    """The form of the text of the answer."""
    verbosity = settings.get('openai_text_verbosity') or settings.get('openai_verbosity')
    written: Item = {'verbosity': verbosity} if verbosity else {}
    output = parameters.output_object
    if parameters.output_mode == 'native' and output is not None:
        described: Item = {'type': 'json_schema', 'name': output.name or 'final_result', 'schema': output.json_schema}
        if output.description:
            described['description'] = output.description
        if profile.openai_supports_strict_tool_definition:
            described['strict'] = bool(output.strict)
        written['format'] = described
    elif _is_json_object(parameters, profile):
        written['format'] = {'type': 'json_object'}
    return written


def _is_json_object(parameters: ModelRequestParameters, profile: OpenAIModelProfile) -> bool:
    return parameters.output_mode == 'prompted' and profile.supports_json_object_output


def _marks_cache(settings: dict[str, Any]) -> bool:
    options: Item = settings.get('openai_prompt_cache_options') or {}
    return options.get('mode') == 'explicit'


def _reference_to(tool: Item) -> Item:
    """What is enough to name one of OpenAI's tools."""
    return {name: tool[name] for name in ('type', 'server_label', 'name') if name in tool}


# What the provider knows already


@dataclass(frozen=True, slots=True)
class Start:
    """Where in the messages what is to be sent begins."""

    index: int
    known: ModelResponse | None
    """The answer just before, which the provider knows."""
    arguments: dict[str, Any]


def find_start(messages: Sequence[ModelMessage], settings: dict[str, Any], provider_name: str) -> Start:
    """Find what the provider does not know yet, if the request goes on with an answer or a conversation that it keeps.

    Raises:
        UserError: The settings name both.
    """
    previous, conversation = settings.get('openai_previous_response_id'), settings.get('openai_conversation_id')
    if previous and conversation:
        raise UserError(
            'The settings name openai_previous_response_id and openai_conversation_id; a request goes on with one of '
            'them. Give only one.'
        )
    if conversation:
        return _find(messages, conversation, 'conversation', provider_name)
    # What is not kept cannot be gone on with.
    if previous and (previous != 'auto' or settings.get('openai_store') is not False):
        return _find(messages, previous, 'previous_response_id', provider_name)
    return Start(0, None, {})


def _find(messages: Sequence[ModelMessage], wanted: str, argument: str, provider_name: str) -> Start:
    for index, response in _responses_from_last(messages):
        if response.provider_name != provider_name:
            continue
        known = response.provider_response_id
        if argument == 'conversation':
            known = (response.provider_details or {}).get('conversation_id')
        if known is not None and wanted in ('auto', known):
            return Start(index + 1, response, {argument: known})
    return Start(0, None, {} if wanted == 'auto' else {argument: wanted})


def _responses_from_last(messages: Sequence[ModelMessage]) -> Iterable[tuple[int, ModelResponse]]:
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if isinstance(message, ModelResponse):
            yield index, message
