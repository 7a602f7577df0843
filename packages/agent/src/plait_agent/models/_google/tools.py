"""The tools of a request to Google, and which of them may be called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from plait_agent.builtin_tools import (
    AbstractBuiltinTool,
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    WebFetchTool,
    WebSearchTool,
)
from plait_agent.exceptions import UserError
from plait_agent.models._tool_choice import choose_tools

if TYPE_CHECKING:
    from plait_agent.models import ModelRequestParameters
    from plait_agent.models._tool_choice import ToolChoice
    from plait_agent.profiles.google import GoogleModelProfile
    from plait_agent.settings import ModelSettings
    from plait_agent.tools import ToolDefinition

Json: TypeAlias = dict[str, Any]

_IMAGE_SIZES = '512', '1K', '2K', '4K'


def tool_options(
    settings: ModelSettings | None,
    parameters: ModelRequestParameters,
    profile: GoogleModelProfile,
    *,
    is_vertex: bool,
) -> Json:
    """What a request says of tools, as options of the library.

    Raises:
        UserError: The model does not take these tools together, or not with these options.
    """
    check_combination(parameters, profile)
    builtin = [_builtin(tool, is_vertex=is_vertex) for tool in parameters.builtin_tools if not _draws(tool)]
    choice = choose_tools(settings, parameters)
    functions, calling = _calling(choice, profile)
    tools = [*builtin, {'function_declarations': [declaration(tool) for tool in functions]}] if functions else builtin
    config: Json = {'function_calling_config': calling} if calling else {}
    if builtin and profile.google_supports_server_side_tool_invocations and not is_vertex:
        config['include_server_side_tool_invocations'] = True
    options: Json = {'tools': tools} if tools else {}
    return options | ({'tool_config': config} if config else {})


def check_combination(parameters: ModelRequestParameters, profile: GoogleModelProfile) -> None:
    """See that a model is given no tools if it calls none, and nothing together that it does not take together.

    Raises:
        UserError: It is.
    """
    if parameters.function_tools and not profile.supports_tools:
        raise UserError('Tools are not supported by this model. Leave them out, or take a model that calls tools.')
    if profile.google_supports_tool_combination:
        return
    if parameters.builtin_tools and parameters.output_tools:
        instead = 'NativeOutput' if profile.google_supports_native_output_with_builtin_tools else 'PromptedOutput'
        raise UserError(
            f'Google does not support output tools and built-in tools at the same time. '
            f'Use `output_type={instead}(...)` instead.'
        )
    if parameters.builtin_tools and parameters.function_tools:
        raise UserError('Google does not support function tools and built-in tools at the same time.')
    if parameters.output_mode == 'native' and parameters.function_tools:
        raise UserError(
            'Google does not support `NativeOutput` and function tools at the same time. '
            'Use `output_type=ToolOutput(...)` instead.'
        )


def declaration(tool: ToolDefinition) -> Json:
    """What Google is told of a tool of the program."""
    return {
        'name': tool.name,
        'description': tool.description or '',
        'parameters_json_schema': tool.parameters_json_schema,
    }


def _calling(choice: ToolChoice, profile: GoogleModelProfile) -> tuple[list[ToolDefinition], Json]:
    """The functions that the model is told of, and whether it may or must call them."""
    names = None if choice.allowed is None else [tool.name for tool in choice.callable_tools]
    only: Json = {} if names is None or len(names) == len(choice.tools) else {'allowed_function_names': names}
    if not choice.tools:
        return [], {}
    if choice.mode == 'none':
        return choice.tools, {'mode': 'NONE'}
    if choice.mode == 'required':
        return choice.tools, {'mode': 'ANY', **only}
    if not profile.google_supports_strict_tool_definition:
        return choice.callable_tools, {}
    is_strict = only or any(tool.strict for tool in choice.tools)
    return choice.tools, {'mode': 'VALIDATED', **only} if is_strict else {}


# Built-in tools


def _draws(tool: AbstractBuiltinTool) -> bool:
    """Whether a tool is one that Google's models have in them."""
    return isinstance(tool, ImageGenerationTool)


def _builtin(tool: AbstractBuiltinTool, *, is_vertex: bool) -> Json:
    if isinstance(tool, WebSearchTool):
        return {'google_search': _search(tool, is_vertex=is_vertex)}
    if isinstance(tool, WebFetchTool):
        _refuse(tool, 'allowed_domains', 'blocked_domains')
        return {'url_context': {}}
    if isinstance(tool, CodeExecutionTool):
        return {'code_execution': {}}
    if is_vertex:
        raise UserError(f'{type(tool).__name__} is not supported by Vertex AI. Use the Gemini API (`google-gla`).')
    if isinstance(tool, FileSearchTool):
        return {'file_search': {'file_search_store_names': list(tool.file_store_ids)}}
    if isinstance(tool, MCPServerTool):
        return {'mcp_servers': [_server(tool)]}
    raise UserError(f'{type(tool).__name__} is not supported by Google. Leave it out, or take another model.')


def _search(tool: WebSearchTool, *, is_vertex: bool) -> Json:
    if not is_vertex:
        _refuse(tool, 'allowed_domains', 'blocked_domains')
    _refuse(tool, 'allowed_domains')
    return {'exclude_domains': tool.blocked_domains} if tool.blocked_domains else {}


def _server(tool: MCPServerTool) -> Json:
    _refuse(tool, 'allowed_tools')
    headers = dict(tool.headers or {})
    if tool.authorization_token:
        headers['Authorization'] = tool.authorization_token
    transport: Json = {'url': tool.url, 'headers': headers} if headers else {'url': tool.url}
    return {'name': tool.id, 'streamable_http_transport': transport}


def _refuse(tool: AbstractBuiltinTool, *names: str) -> None:
    """Refuse restrictions that would not be kept."""
    said = [name for name in names if getattr(tool, name)]
    if said:
        raise UserError(
            f'Google does not keep to {", ".join(said)} of {type(tool).__name__}. '
            f'Leave it out, or give the model a tool of your own.'
        )


def image_options(parameters: ModelRequestParameters, profile: GoogleModelProfile, *, is_vertex: bool) -> Json:
    """How images are to be made, as options of the library.

    Raises:
        UserError: The model makes none, or not like this.
    """
    tool = next((tool for tool in parameters.builtin_tools if isinstance(tool, ImageGenerationTool)), None)
    if tool is None:
        return {}
    if not profile.supports_image_output:
        raise UserError(
            "`ImageGenerationTool` is not supported by this model. Use a model with 'image' in the name instead."
        )
    options: Json = {'aspect_ratio': tool.aspect_ratio, 'image_size': _image_size(tool)}
    if is_vertex:
        # The Gemini API decides on this itself.
        options |= _image_format(tool)
    said = {name: value for name, value in options.items() if value is not None}
    return {'image_config': said} if said else {}


def _image_size(tool: ImageGenerationTool) -> str | None:
    if tool.size in (None, 'auto', *_IMAGE_SIZES):
        return None if tool.size == 'auto' else tool.size
    raise UserError(
        f'Google image generation only supports `size` values: {_IMAGE_SIZES}. Got: {tool.size!r}. '
        f'Omit `size` to use the default (1K).'
    )


def _image_format(tool: ImageGenerationTool) -> Json:
    compression, name = tool.output_compression, tool.output_format
    if compression is not None and name not in (None, 'jpeg'):
        raise UserError(
            f'Google image generation `output_compression` is only supported for JPEG format. Got format: {name!r}. '
            f'Either set `output_format="jpeg"` or remove `output_compression`.'
        )
    if compression is not None:
        name = 'jpeg'
    return {'output_mime_type': f'image/{name}' if name else None, 'output_compression_quality': compression}
