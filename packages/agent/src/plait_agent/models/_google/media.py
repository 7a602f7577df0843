"""Files as parts of a request to Google."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from plait_agent.messages import (
    AudioUrl,
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelRequest,
    ToolReturnPart,
    UserPromptPart,
    VideoUrl,
)
from plait_agent.models._tool_files import listed

if TYPE_CHECKING:
    from plait_agent.messages import FileUrl, ModelMessage

Json: TypeAlias = dict[str, Any]
Fetched: TypeAlias = dict[int, BinaryContent]
"""Files that were fetched, by the identity of what stands for them."""

FILES = BinaryContent, ImageUrl, AudioUrl, DocumentUrl, VideoUrl
_URLS = ImageUrl, AudioUrl, DocumentUrl, VideoUrl
_UPLOADED = 'https://generativelanguage.googleapis.com/'
_VIDEO = {'start_offset': 'startOffset', 'end_offset': 'endOffset', 'fps': 'fps'}


async def fetch_files(messages: list[ModelMessage], *, is_vertex: bool) -> Fetched:
    """Fetch the files that Google does not fetch itself."""
    wanted = [url for url in _urls(messages) if must_fetch(url, is_vertex=is_vertex)]
    if not wanted:
        return {}
    from plait_agent.models._download import fetch_content

    return {id(url): await fetch_content(url) for url in wanted}


def must_fetch(url: FileUrl, *, is_vertex: bool) -> bool:
    """Whether Google takes a file only as bytes, or was to be given them.

    Vertex AI fetches all URLs; the Gemini API knows the files that were uploaded to it, and videos of YouTube.
    """
    if url.force_download:
        return True
    is_known = url.url.startswith(_UPLOADED) or (isinstance(url, VideoUrl) and url.is_youtube)
    return not is_vertex and not is_known


def _urls(messages: Iterable[ModelMessage]) -> Iterator[FileUrl]:
    for message in messages:
        if not isinstance(message, ModelRequest):
            continue
        for part in message.parts:
            if isinstance(part, (UserPromptPart, ToolReturnPart)) and not isinstance(part.content, str):
                yield from (each for each in listed(part.content) if isinstance(each, _URLS))


def file_part(file: BinaryContent | FileUrl, fetched: Fetched) -> Json:
    """A file as a part: its bytes, or where it is."""
    content = file if isinstance(file, BinaryContent) else fetched.get(id(file))
    if content is not None:
        return {'inlineData': {'mimeType': content.media_type, 'data': content.base64}} | _metadata(file)
    return {'fileData': _file_data(cast('FileUrl', file))} | _metadata(file)


def media_type_of(file: BinaryContent | FileUrl, fetched: Fetched) -> str:
    """The media type of a file."""
    return fetched.get(id(file), file).media_type


def _file_data(url: FileUrl) -> Json:
    if url.url.startswith(_UPLOADED) and not url.has_media_type:
        return {'fileUri': url.url}  # Google knows what was uploaded
    return {'mimeType': url.media_type, 'fileUri': url.url}


def _metadata(file: BinaryContent | FileUrl) -> Json:
    """What Google is told of a file: which part of a video, and how closely it is to look."""
    said = file.vendor_metadata
    if not said:
        return {}
    video = {name: said[key] for key, name in _VIDEO.items() if key in said}
    parts: Json = {'videoMetadata': video} if video else {}
    if 'media_resolution' in said:
        parts['mediaResolution'] = {'level': said['media_resolution']}
    return parts
