"""A request of ours as the arguments of a call of Anthropic's library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from plait_agent.builtin_tools import MCPServerTool
from plait_agent.exceptions import UserError
from plait_agent.models._anthropic.builtin_tools import betas_of, check_memory, encode_builtin_tool, encode_mcp_server
from plait_agent.models._anthropic.caching import last_markable
from plait_agent.models._anthropic.messages import Turns
from plait_agent.models._tool_choice import choose_tools

if TYPE_CHECKING:
    from plait_agent.messages import ModelMessage, ModelResponsePart
    from plait_agent.models._anthropic.blocks import Block
    from plait_agent.models._anthropic.messages import Dialect
    from plait_agent.models._parameters import ModelRequestParameters
    from plait_agent.models._tool_choice import ToolChoice
    from plait_agent.tools import ToolDefinition

_PASSED = {
    'stop_sequences': 'stop_sequences',
    'timeout': 'timeout',
    'anthropic_metadata': 'metadata',
    'anthropic_service_tier': 'service_tier',
    'anthropic_thinking': 'thinking',
    'anthropic_speed': 'speed',
    'anthropic_context_management': 'context_management',
    'anthropic_inference_geo': 'inference_geo',
}
"""Settings that are given to the library as they are, and what it calls them."""
_SAMPLING = 'temperature', 'top_p', 'top_k'
_BETA_OF_EDITS, _BETA_OF_COMPACTION = 'context-management-2025-06-27', 'compact-2026-01-12'
_BETA_OF_SPEED = 'fast-mode-2026-02-01'
_BETA_OF_BUDGETS = 'task-budgets-2026-03-13'
_BETA_OF_SKILLS = 'skills-2025-10-02'


@dataclass
class Call:
    """What the library is asked."""

    arguments: dict[str, Any] = field(repr=False)
    turns: Turns
    """Where the messages among the arguments come from; what is added there is among them."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What must not be told to anybody, such as the tokens of MCP servers."""
    _sent_back: int = 0
    """How many parts of the answer are among the messages."""

    def send_back(self, parts: Sequence[ModelResponsePart], details: dict[str, Any] | None) -> None:
        """Put an answer that has stopped in the middle behind the messages, so that it goes on where its code runs.

        Args:
            parts: All that it has said so far; what has been sent back before is not sent twice.
            details: What else was told with it.
        """
        self.turns.add_answer(parts[self._sent_back :])
        self._sent_back = len(parts)
        container = (details or {}).get('container_id')
        if container is not None:
            self.arguments.setdefault('container', container)


def encode_call(
    model_name: str,
    messages: list[ModelMessage],
    instructions: str | None,
    settings: Mapping[str, Any],
    parameters: ModelRequestParameters,
    dialect: Dialect,
) -> Call:
    """Give the arguments of a call. Files that have to be fetched are noted in its turns.

    Raises:
        UserError: Something is asked for that models of Anthropic cannot do.
    """
    turns = Turns(dialect)
    turns.add_all(messages)
    choice = choose_tools(cast('Any', settings), parameters)
    arguments: dict[str, Any] = {'model': model_name, 'max_tokens': _max_tokens(settings, dialect)}
    arguments['messages'] = turns.messages
    arguments |= {argument: settings[name] for name, argument in _PASSED.items() if settings.get(name) is not None}
    arguments |= _tools(choice, settings, parameters, dialect)
    arguments |= _output_config(settings, parameters)
    system = [*turns.system, *([instructions] if instructions else [])]
    if system:
        arguments['system'] = '\n\n'.join(system)
    _mark_for_cache(arguments, settings, turns)
    _add_container(arguments, settings, turns)
    _add_extras(arguments, settings, dialect)
    tokens = (server.get('authorization_token') for server in arguments.get('mcp_servers', ()))
    return Call(arguments, turns, tuple(token for token in tokens if token))


def _max_tokens(settings: Mapping[str, Any], dialect: Dialect) -> int:
    """How long an answer may be. A budget for thoughts comes on top of what is usual, as it counts against it."""
    said = settings.get('max_tokens')
    if said is not None:
        return said
    profile = dialect.profile
    budget: int = _thinking(settings).get('budget_tokens') or 0
    return min(profile.anthropic_default_max_tokens + budget, profile.anthropic_max_output_tokens)


# Tools


def _tools(
    choice: ToolChoice, settings: Mapping[str, Any], parameters: ModelRequestParameters, dialect: Dialect
) -> dict[str, Any]:
    """The tools of a request, and which of them may or must be called."""
    builtin_tools = parameters.builtin_tools
    check_memory(builtin_tools, {tool.name for tool in choice.tools})
    version = settings.get('anthropic_code_execution_tool_version')
    if version in (None, 'auto'):
        version = dialect.profile.anthropic_code_execution_tool_version
    servers = [encode_mcp_server(tool) for tool in builtin_tools if isinstance(tool, MCPServerTool)]
    run_there: list[Block] = [
        encode_builtin_tool(tool, version) for tool in builtin_tools if not isinstance(tool, MCPServerTool)
    ]
    run_there += [dict(tool) for tool in settings.get('anthropic_server_tools') or ()]
    taken = {tool['name'] for tool in run_there if 'name' in tool}
    if choice.mode == 'none' and (run_there or servers):
        # Anthropic's word for none forbids those as well that it runs itself.
        choice = choice._replace(tools=[], mode='auto')
    can_bind = dialect.profile.supports_json_schema_output
    own = [_encode_tool(tool, settings, can_bind) for tool in _sent(choice) if tool.name not in taken]
    tools = own + run_there
    arguments: dict[str, Any] = {'tools': tools} if tools else {}
    if servers:
        arguments['mcp_servers'] = servers
    chosen = _tool_choice(choice, settings) if tools else None
    return arguments | ({'tool_choice': chosen} if chosen is not None else {})


def _sent(choice: ToolChoice) -> list[ToolDefinition]:
    """The tools of the program that are told of: all, unless there is no other way to forbid some."""
    must_be_one = choice.mode == 'required' and choice.allowed is not None and len(choice.allowed) == 1
    return choice.tools if must_be_one or choice.mode == 'none' else choice.callable_tools


def _encode_tool(tool: ToolDefinition, settings: Mapping[str, Any], can_bind: bool) -> Block:
    definition: Block = {
        'name': tool.name,
        'description': tool.description or '',
        'input_schema': tool.parameters_json_schema,
    }
    if tool.strict and can_bind:
        definition['strict'] = True
    if settings.get('anthropic_eager_input_streaming'):
        definition['eager_input_streaming'] = True
    options: dict[str, Block] = settings.get('anthropic_tool_options') or {}
    return definition | options.get(tool.name, {})


def _tool_choice(choice: ToolChoice, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """How calls are chosen, where it is not as usual."""
    chosen = _kind_of_choice(choice, settings)
    parallel = settings.get('parallel_tool_calls')
    if parallel is not None and chosen['type'] != 'none':
        chosen['disable_parallel_tool_use'] = not parallel
    return chosen


def _kind_of_choice(choice: ToolChoice, settings: Mapping[str, Any]) -> dict[str, Any]:
    if choice.mode != 'required':
        return {'type': choice.mode}
    if _thinks(settings):
        # A model that thinks cannot be forced. One whose output is a call is trusted to make it: if it answers with
        # text, the run asks again.
        _refuse_force(settings)
        return {'type': 'auto'}
    if choice.allowed is not None and len(choice.allowed) == 1:
        return {'type': 'tool', 'name': next(iter(choice.allowed))}
    return {'type': 'any'}


def _thinks(settings: Mapping[str, Any]) -> bool:
    return _thinking(settings).get('type', 'disabled') != 'disabled'


def _thinking(settings: Mapping[str, Any]) -> dict[str, Any]:
    thinking: dict[str, Any] | None = settings.get('anthropic_thinking')
    return thinking or {}


def _refuse_force(settings: Mapping[str, Any]) -> None:
    """Refuse settings that force a call of a model that thinks."""
    said = settings.get('tool_choice')
    if said == 'required' or isinstance(said, (list, tuple)):
        raise UserError(
            f'tool_choice={said!r} forces a call, and models of Anthropic cannot be forced while they think. '
            f"Leave tool_choice at 'auto', or turn thinking off: anthropic_thinking={{'type': 'disabled'}}."
        )


# The rest


def _output_config(settings: Mapping[str, Any], parameters: ModelRequestParameters) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if parameters.output_mode == 'native' and parameters.output_object is not None:
        config['format'] = {'type': 'json_schema', 'schema': parameters.output_object.json_schema}
    for name in ('effort', 'task_budget'):
        if settings.get(f'anthropic_{name}') is not None:
            config[name] = settings[f'anthropic_{name}']
    return {'output_config': config} if config else {}


def _mark_for_cache(arguments: dict[str, Any], settings: Mapping[str, Any], turns: Turns) -> None:
    """Mark what the settings want to be kept, and drop marks of messages that are too many."""
    tools = [tool for tool in arguments.get('tools', ()) if not tool.get('defer_loading')]
    if (ttl := settings.get('anthropic_cache_tool_definitions')) and tools:
        turns.marks.add(tools[-1], ttl)
    if (ttl := settings.get('anthropic_cache_instructions')) and 'system' in arguments:
        arguments['system'] = [{'type': 'text', 'text': arguments['system']}]
        turns.marks.add(arguments['system'][0], ttl)
    if ttl := settings.get('anthropic_cache'):
        turns.marks.add(arguments, ttl)
    last = last_markable(turns.messages[-1]['content']) if turns.messages else None
    if (ttl := settings.get('anthropic_cache_messages')) and last is not None:
        turns.marks.add_in_messages(last, ttl)
    turns.marks.keep_allowed()


def _add_container(arguments: dict[str, Any], settings: Mapping[str, Any], turns: Turns) -> None:
    """Go on in the container of the answers before, if there are tools that run in one, or in the one that is named."""
    said = settings.get('anthropic_container')
    if said:
        arguments['container'] = said
    elif said is None and turns.container is not None and _has_server_tools(arguments):
        arguments['container'] = turns.container


def _has_server_tools(arguments: dict[str, Any]) -> bool:
    return any('input_schema' not in tool for tool in arguments.get('tools', ()))


def _add_extras(arguments: dict[str, Any], settings: Mapping[str, Any], dialect: Dialect) -> None:
    """Add what the library has no arguments for, and what has to be asked for by name."""
    body: dict[str, Any] = {}
    if dialect.profile.anthropic_supports_sampling_settings:
        body |= {name: settings[name] for name in _SAMPLING if settings.get(name) is not None}
    body |= settings.get('extra_body') or {}
    if body:
        arguments['extra_body'] = body
    headers = dict(settings.get('extra_headers') or {})
    betas = [*(settings.get('anthropic_betas') or ()), *_said_betas(headers), *_needed_betas(arguments)]
    if betas:
        arguments['betas'] = list(dict.fromkeys(betas))
    if headers:
        arguments['extra_headers'] = headers


def _said_betas(headers: dict[str, str]) -> list[str]:
    """Take the header out that would otherwise push away what has to be asked for."""
    for name in headers:
        if name.lower() == 'anthropic-beta':
            return [each.strip() for each in headers.pop(name).split(',')]
    return []


def _needed_betas(arguments: dict[str, Any]) -> list[str]:
    betas = betas_of(arguments.get('tools', []), arguments.get('mcp_servers', []))
    if 'context_management' in arguments:
        betas += _betas_of_edits(arguments['context_management'])
    if 'speed' in arguments:
        betas.append(_BETA_OF_SPEED)
    if 'task_budget' in arguments.get('output_config', ()):
        betas.append(_BETA_OF_BUDGETS)
    if isinstance(arguments.get('container'), Mapping) and arguments['container'].get('skills'):
        betas.append(_BETA_OF_SKILLS)
    return betas


def _betas_of_edits(management: Mapping[str, Any]) -> list[str]:
    kinds = [edit.get('type', '') for edit in management.get('edits') or ()]
    compacts = [kind for kind in kinds if kind.startswith('compact_')]
    others = [_BETA_OF_EDITS] if len(compacts) < len(kinds) or not kinds else []
    return others + ([_BETA_OF_COMPACTION] if compacts else [])
