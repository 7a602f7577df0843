"""Tools that the provider of a model runs itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from typing_extensions import TypedDict, deprecated

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = (
    'BUILTIN_TOOLS_REQUIRING_CONFIG',
    'BUILTIN_TOOL_TYPES',
    'DEPRECATED_BUILTIN_TOOLS',
    'SUPPORTED_BUILTIN_TOOLS',
    'AbstractBuiltinTool',
    'CodeExecutionTool',
    'FileSearchTool',
    'ImageAspectRatio',
    'ImageGenerationTool',
    'MCPServerTool',
    'MemoryTool',
    'UrlContextTool',
    'WebFetchTool',
    'WebSearchTool',
    'WebSearchUserLocation',
)

BUILTIN_TOOL_TYPES: dict[str, type[AbstractBuiltinTool]] = {}
"""All kinds of built-in tools, with those of programs that derive their own."""

ImageAspectRatio: TypeAlias = Literal['21:9', '16:9', '4:3', '3:2', '1:1', '9:16', '3:4', '2:3', '5:4', '4:5']
"""Width and height of an image."""


@dataclass(kw_only=True)
class AbstractBuiltinTool:
    """A tool that the provider runs. Providers differ in which they have, and in which options they know."""

    kind: str = 'unknown_builtin_tool'
    """What sort of tool it is; stored with it, so that it can be loaded as what it was."""

    @property
    def unique_id(self) -> str:
        """What tells it from the other built-in tools of a request."""
        return self.kind

    @property
    def label(self) -> str:
        """What people call it."""
        return self.kind.replace('_', ' ').title()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if 'kind' in vars(cls):
            BUILTIN_TOOL_TYPES[cls.kind] = cls

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """For this class all kinds, told apart by `kind`; for each other class itself."""
        if cls is not AbstractBuiltinTool:
            return handler(source)
        from pydantic_core.core_schema import tagged_union_schema

        choices = {kind: handler.generate_schema(tool) for kind, tool in BUILTIN_TOOL_TYPES.items()}
        return tagged_union_schema(choices, _kind_of)


def _kind_of(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return cast('Mapping[str, Any]', value).get('kind')
    return getattr(value, 'kind', None)


class WebSearchUserLocation(TypedDict, total=False):
    """Where the user is, for results that depend on it."""

    city: str
    country: str
    """For OpenAI two letters, such as `US`."""
    region: str
    timezone: str
    """An IANA name, such as `Europe/Zurich`."""


@dataclass(kw_only=True)
class WebSearchTool(AbstractBuiltinTool):
    """Searches the web."""

    search_context_size: Literal['low', 'medium', 'high'] = 'medium'
    """How much of what is found the model is given."""
    user_location: WebSearchUserLocation | None = None
    """Where the user is."""
    blocked_domains: list[str] | None = None
    """Sites that are left out."""
    allowed_domains: list[str] | None = None
    """The only sites that are searched; most providers take either these or the blocked ones."""
    max_uses: int | None = None
    """How often it may be used in a request."""
    kind: str = 'web_search'


@dataclass(kw_only=True)
class CodeExecutionTool(AbstractBuiltinTool):
    """Runs code that the model writes."""

    kind: str = 'code_execution'


@dataclass(kw_only=True)
class WebFetchTool(AbstractBuiltinTool):
    """Reads pages whose addresses the model knows."""

    max_uses: int | None = None
    """How often it may be used in a request."""
    allowed_domains: list[str] | None = None
    """The only sites that are read."""
    blocked_domains: list[str] | None = None
    """Sites that are not read."""
    enable_citations: bool = False
    """Whether the answer says where things stand."""
    max_content_tokens: int | None = None
    """How much of a page is read."""
    kind: str = 'web_fetch'


@deprecated('Use `WebFetchTool` instead.')
@dataclass(kw_only=True)
class UrlContextTool(WebFetchTool):
    """The older name of `WebFetchTool`."""

    kind: str = 'url_context'


@dataclass(kw_only=True)
class ImageGenerationTool(AbstractBuiltinTool):
    """Makes images."""

    background: Literal['transparent', 'opaque', 'auto'] = 'auto'
    """What is behind the picture."""
    input_fidelity: Literal['high', 'low'] | None = None
    """How closely images that were given are kept to."""
    moderation: Literal['auto', 'low'] = 'auto'
    """How strictly content is judged."""
    output_compression: int | None = None
    """From 0 to 100, for formats that lose detail."""
    output_format: Literal['png', 'webp', 'jpeg'] | None = None
    """What the image is written as."""
    partial_images: int = 0
    """How many unfinished images are streamed."""
    quality: Literal['low', 'medium', 'high', 'auto'] = 'auto'
    """How much care is taken."""
    size: Literal['auto', '1024x1024', '1024x1536', '1536x1024', '1K', '2K', '4K'] | None = None
    """Width and height, or one of the sizes that some providers name."""
    aspect_ratio: ImageAspectRatio | None = None
    """Width to height."""
    kind: str = 'image_generation'


@dataclass(kw_only=True)
class MemoryTool(AbstractBuiltinTool):
    """Keeps notes from one conversation to the next; the program gives it a tool of the name `memory` to do so."""

    kind: str = 'memory'


@dataclass(kw_only=True)
class MCPServerTool(AbstractBuiltinTool):
    """Uses an MCP server that the provider connects to."""

    id: str
    """What tells the server from others."""
    url: str
    """Where it is."""
    authorization_token: str | None = field(default=None, repr=False)
    """Sent as the Authorization header; not printed."""
    description: str | None = None
    """What it is for."""
    allowed_tools: list[str] | None = None
    """The only tools of it that may be used."""
    headers: dict[str, str] | None = field(default=None, repr=False)
    """Sent with each request; not printed, as there may be keys in them."""
    kind: str = 'mcp_server'

    @property
    def unique_id(self) -> str:
        """What tells it from the other built-in tools of a request."""
        return f'{self.kind}:{self.id}'

    @property
    def label(self) -> str:
        """What people call it."""
        return f'MCP: {self.id}'


@dataclass(kw_only=True)
class FileSearchTool(AbstractBuiltinTool):
    """Searches files that the provider holds."""

    file_store_ids: Sequence[str]
    """The stores that hold them."""
    kind: str = 'file_search'


DEPRECATED_BUILTIN_TOOLS: frozenset[type[AbstractBuiltinTool]] = frozenset(
    {UrlContextTool}  # pyright: ignore[reportDeprecated] # that is what is said here
)
"""Those that have another name now."""
BUILTIN_TOOLS_REQUIRING_CONFIG: frozenset[type[AbstractBuiltinTool]] = frozenset({MCPServerTool, MemoryTool})
"""Those that cannot be used just by naming them."""
SUPPORTED_BUILTIN_TOOLS: frozenset[type[AbstractBuiltinTool]] = (
    frozenset(BUILTIN_TOOL_TYPES.values()) - DEPRECATED_BUILTIN_TOOLS
)
"""Those that a model may support."""
