"""The items of calls that the program answers, and those that nothing else is known of: kept as they came.

What an item asks for are the arguments of a part; all else of it lies in `provider_details['item']` and goes back with
it. A program answers the calls of custom tools, of the shell and the like with a tool of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from plait_agent.builtin_tools import MCPServerTool
from plait_agent.messages import (
    BinaryContent,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    ImageUrl,
    ToolCallPart,
)
from plait_agent.models._openai_responses.server_items import inside_json_text, read_args, type_of_call

if TYPE_CHECKING:
    from plait_agent.models._openai_responses.builtin_tools import Item

ITEM = 'item'
"""Where in `provider_details` the rest of an item is."""
PAYLOAD = 'payload'
"""Where in `provider_details` it is said which field of the item the part holds itself."""


@dataclass(frozen=True, slots=True)
class KeptItem:
    """How an item is told."""

    tool_name: str | None
    """What the tool is called; `None` if the item names it."""
    payloads: tuple[str, ...]
    """The fields of which the first that is there becomes the arguments, or the content."""
    is_local: bool = False
    """Whether the program runs the tool."""
    is_return: bool = False
    """Whether it says what a tool returned."""


KEPT_ITEMS: dict[str, KeptItem] = {
    'custom_tool_call': KeptItem(None, ('input',), is_local=True),
    'shell_call': KeptItem('shell', ('action',), is_local=True),
    'local_shell_call': KeptItem('local_shell', ('action',), is_local=True),
    'apply_patch_call': KeptItem('apply_patch', ('operation',), is_local=True),
    'computer_call': KeptItem('computer', ('actions', 'action'), is_local=True),
    'tool_search_call': KeptItem('tool_search', ('arguments',)),
    'tool_search_output': KeptItem('tool_search', ('tools',), is_return=True),
    'shell_call_output': KeptItem('shell', ('output',), is_return=True),
    'apply_patch_call_output': KeptItem('apply_patch', ('output',), is_return=True),
    'program': KeptItem('program', ('code',)),
    'program_output': KeptItem('program', ('result',), is_return=True),
}
LOCAL_TOOLS = {
    'shell': 'shell',
    'local_shell': 'local_shell',
    'apply_patch': 'apply_patch',
    'computer': 'computer',
    'computer_use_preview': 'computer',
}
"""What tools are called that the program runs, by the type that they have in a request."""


def local_tool_name(tool: Item) -> str | None:
    """The name of the program's tool that a tool of OpenAI's needs, if it needs one."""
    kind = tool.get('type', '')
    if kind == 'custom':
        return tool.get('name')
    environment: Any = tool.get('environment')
    if isinstance(environment, dict) and cast('Item', environment).get('type') != 'local':
        return None
    return LOCAL_TOOLS.get(kind)


def custom_opening() -> str:
    """What stands before the input of a custom tool that is streamed."""
    return '{"input":"'


def decode_kept(item: Item, provider: str) -> ToolCallPart | BuiltinToolCallPart | BuiltinToolReturnPart:
    """The part of an item."""
    kind = str(item.get('type'))
    known = KEPT_ITEMS.get(kind) or KeptItem(kind.removesuffix('_call'), (), is_return=kind.endswith('_output'))
    payload = next((name for name in known.payloads if item.get(name) is not None), None)
    value = None if payload is None else item[payload]
    rest = {name: each for name, each in item.items() if name != payload}
    name = known.tool_name or str(item.get('name', ''))
    call_id = item.get('call_id') or item.get('id') or ''
    details = {ITEM: rest, PAYLOAD: payload}
    if known.is_return:
        return BuiltinToolReturnPart(name, value, call_id, provider_name=provider, provider_details=details)
    args = _args_of(kind, payload, value)
    if known.is_local and not _runs_there(item):
        return ToolCallPart(name, args, call_id, id=item.get('id'), provider_details=details)
    return BuiltinToolCallPart(name, args, call_id, id=item.get('id'), provider_name=provider, provider_details=details)


def _args_of(kind: str, payload: str | None, value: Any) -> str | dict[str, Any] | None:
    if kind == 'custom_tool_call':
        return f'{custom_opening()}{inside_json_text(value or "")}"}}'
    if payload is None:
        return None
    return cast('dict[str, Any]', value) if isinstance(value, dict) else {payload: value}


def _runs_there(item: Item) -> bool:
    """Whether a shell is OpenAI's own."""
    environment: Any = item.get('environment')
    return isinstance(environment, dict) and cast('Item', environment).get('type') == 'container_reference'


def kept_item(part: ToolCallPart | BuiltinToolCallPart | BuiltinToolReturnPart) -> Item | None:
    """The item that a part was, with what the part says now; nothing if it was another kind of item."""
    details = part.provider_details or {}
    said, payload = details.get(ITEM), details.get(PAYLOAD)
    if not isinstance(said, dict):
        return None
    item = dict(cast('Item', said))
    if payload is None:
        return item
    if isinstance(part, BuiltinToolReturnPart):
        return item | {payload: part.content}
    args = read_args(part)
    return item | {payload: args[payload] if list(args) == [payload] else args}


# What the program answers


def type_of_kept(part: ToolCallPart | BuiltinToolCallPart) -> str | None:
    """The type of the item that a call was, if it was kept."""
    said: Any = (part.provider_details or {}).get(ITEM)
    return cast('Item', said).get('type') if isinstance(said, dict) else None


def type_of_asked(part: ToolCallPart | BuiltinToolCallPart) -> str | None:
    """The type of the item that a call was, if the program answers it otherwise than a call of a function."""
    kept = type_of_kept(part)
    if kept is not None or isinstance(part, ToolCallPart) or not part.tool_name.startswith(MCPServerTool.kind):
        return kept
    kind = type_of_call(part.tool_name, read_args(part))
    return kind if kind == 'mcp_approval_request' else None


def answer_to(kind: str, call_id: str, content: Any, output: str | list[Item], *, failed: bool = False) -> Item:
    """The item that answers a call of a kind.

    Args:
        kind: The type of the item that was the call.
        call_id: The call.
        content: What was returned.
        output: The same as text, or as parts if there are files.
        failed: Whether the call went wrong.
    """
    if kind == 'shell_call':
        return {
            'type': 'shell_call_output',
            'call_id': call_id,
            'output': _shell_output(content, output, failed=failed),
        }
    if kind == 'local_shell_call':
        return {'type': 'local_shell_call_output', 'id': call_id, 'output': output}
    if kind == 'apply_patch_call':
        status = 'failed' if failed else 'completed'
        return {'type': 'apply_patch_call_output', 'call_id': call_id, 'status': status, 'output': output}
    if kind == 'computer_call':
        return {'type': 'computer_call_output', 'call_id': call_id, 'output': _screenshot(content)}
    if kind == 'tool_search_call':
        return {
            'type': 'tool_search_output',
            'call_id': call_id,
            'execution': 'client',
            'status': 'completed',
            'tools': content,
        }
    if kind == 'mcp_approval_request':
        return {'type': 'mcp_approval_response', 'approval_request_id': call_id, 'approve': content is True}
    return {'type': 'custom_tool_call_output', 'call_id': call_id, 'output': output}


def _shell_output(content: Any, output: str | list[Item], *, failed: bool) -> list[Item]:
    """The chunks of a shell: as they were returned, or all in one."""
    if isinstance(content, list) and all(isinstance(each, dict) for each in cast('list[Any]', content)):
        return cast('list[Item]', content)
    text = output if isinstance(output, str) else ''
    outcome = {'type': 'exit', 'exit_code': int(failed)}
    return [{'stdout': '' if failed else text, 'stderr': text if failed else '', 'outcome': outcome}]


def _screenshot(content: Any) -> Any:
    if isinstance(content, BinaryContent):
        return {'type': 'computer_screenshot', 'image_url': content.data_uri}
    if isinstance(content, ImageUrl):
        return {'type': 'computer_screenshot', 'image_url': content.url}
    return content


def answered_by(part: BuiltinToolReturnPart, call: Item) -> Item:
    """The item of a return that was put beside its call by the program."""
    return answer_to(call.get('type', ''), part.tool_call_id, part.content, part.model_response_str())
