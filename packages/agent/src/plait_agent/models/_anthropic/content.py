"""What users and tools say, as blocks of Anthropic.

Blocks of files that have to be fetched first stay empty and are noted, so that the encoding itself waits for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from plait_agent.exceptions import UserError
from plait_agent.messages import (
    AudioUrl,
    BinaryContent,
    DocumentUrl,
    FileUrl,
    ImageUrl,
    ToolReturnPart,
    VideoUrl,
)

if TYPE_CHECKING:
    from plait_agent.messages import MultiModalContent
    from plait_agent.models._anthropic.blocks import Block

_IMAGES = frozenset({'image/jpeg', 'image/png', 'image/gif', 'image/webp'})
_PDF = 'application/pdf'
_TEXTS = frozenset({'json', 'xml', 'yaml', 'x-yaml', 'toml', 'javascript', 'sql', 'x-sh'})
"""The subtypes of `application` that are text."""
_OF_DOCUMENTS = 'title', 'context', 'citations'
"""What a document is told with. Of all else that other providers are told of files, Anthropic takes nothing."""
_KEYS_OF_BLOCKS = {
    'tool_reference': {'type', 'tool_name'},
    'search_result': {'type', 'source', 'title', 'content'},
}
"""What a tool may return in the form of Anthropic's own blocks, and the keys that such have at least."""


class Download(NamedTuple):
    """A file that has to be fetched, and the block that waits for it."""

    url: FileUrl
    block: Block


def text_block(text: str) -> Block:
    """A text."""
    return {'type': 'text', 'text': text}


def file_block(file: MultiModalContent, downloads: list[Download]) -> Block:
    """A file.

    Raises:
        UserError: It is of a kind that models of Anthropic cannot read.
    """
    if isinstance(file, BinaryContent):
        return _bytes_block(file)
    if isinstance(file, (AudioUrl, VideoUrl)):
        raise _unreadable(file.url, 'recording' if isinstance(file, AudioUrl) else 'video')
    if isinstance(file, ImageUrl) and not file.force_download:
        return {'type': 'image', 'source': {'type': 'url', 'url': file.url}}
    if isinstance(file, DocumentUrl) and not file.force_download and file.media_type == _PDF:
        return _document({'type': 'url', 'url': file.url}, file)
    download = Download(file, {})
    downloads.append(download)
    return download.block


async def fill_in(downloads: list[Download]) -> None:
    """Fetch files for the blocks that wait for them.

    Raises:
        UserError: A file cannot be fetched, or is of a kind that models of Anthropic cannot read.
        httpx2.HTTPError: The server of one cannot be reached, or has no such file.
    """
    from plait_agent.models._download import fetch_content

    for download in downloads:
        content = await fetch_content(download.url)
        # What is there already was laid over the block while it waited, such as a mark for the cache.
        download.block.update(_bytes_block(content) | download.block)


def result_content(part: ToolReturnPart, downloads: list[Download]) -> str | list[Block]:
    """What a tool has returned: text, or blocks if there are files in it."""
    content: Any = part.content
    items = cast('list[Any]', content) if isinstance(content, (list, tuple)) else [content]
    if not any(_is_own_block(item) for item in items):
        return part.model_response_str()
    return [_result_block(item, part, downloads) for item in items]


def _result_block(item: Any, part: ToolReturnPart, downloads: list[Download]) -> Block:
    if isinstance(item, (FileUrl, BinaryContent)):
        return file_block(cast('MultiModalContent', item), downloads)
    if _is_own_block(item):
        return dict(item)
    return text_block(ToolReturnPart(part.tool_name, item, part.tool_call_id).model_response_str())


def _is_own_block(item: Any) -> bool:
    """Whether a part of a result is a block by itself."""
    if isinstance(item, (FileUrl, BinaryContent)):
        return True
    if not isinstance(item, dict):
        return False
    keys = _KEYS_OF_BLOCKS.get(cast('dict[str, Any]', item).get('type', ''))
    return keys is not None and keys <= cast('dict[str, Any]', item).keys()


def _bytes_block(file: BinaryContent) -> Block:
    kind, _, subtype = file.media_type.partition(';')[0].partition('/')
    if file.media_type in _IMAGES:
        return {'type': 'image', 'source': {'type': 'base64', 'media_type': file.media_type, 'data': file.base64}}
    if file.media_type == _PDF:
        return _document({'type': 'base64', 'media_type': _PDF, 'data': file.base64}, file)
    if kind == 'text' or (kind == 'application' and subtype in _TEXTS):
        return _document({'type': 'text', 'media_type': 'text/plain', 'data': _text_of(file)}, file)
    raise _unreadable(f'a file of type {file.media_type!r}', 'file')


def _document(source: dict[str, Any], file: FileUrl | BinaryContent) -> Block:
    """A document with what its `vendor_metadata` says of it."""
    metadata = file.vendor_metadata or {}
    return {
        'type': 'document',
        'source': source,
        **{name: metadata[name] for name in _OF_DOCUMENTS if name in metadata},
    }


def _text_of(file: BinaryContent) -> str:
    try:
        return file.data.decode('utf-8')
    except UnicodeDecodeError as error:
        raise UserError(
            f'A file of type {file.media_type!r} is no text in UTF-8 ({error}). Give it in UTF-8, or as PDF.'
        ) from error


def _unreadable(what: str, kind: str) -> UserError:
    return UserError(
        f'Models of Anthropic cannot read {what}, a {kind}. '
        f'Give images (JPEG, PNG, GIF, WebP), PDF or text, or ask a model of another provider.'
    )
