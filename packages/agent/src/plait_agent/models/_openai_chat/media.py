"""What users say, in the parts that chat completions know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from plait_agent._messages.formats import AUDIO_FORMATS
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
    VideoUrl,
)
from plait_agent.models._tool_files import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plait_agent._messages.content import FileUrl
    from plait_agent.messages import MultiModalContent
    from plait_agent.profiles.openai import OpenAIModelProfile

Json = dict[str, Any]
Fetched = Callable[['FileUrl'], BinaryContent]
"""Gives the bytes of a file that was fetched before."""

_TEXT_TYPES = frozenset(
    (
        'application/json',
        'application/toml',
        'application/x-yaml',
        'application/xml',
        'application/yaml',
    )
)

_AUDIO_FORMATS: dict[str, str] = {**AUDIO_FORMATS, 'audio/mp3': 'mp3', 'audio/wave': 'wav', 'audio/x-wav': 'wav'}


def find_wanted(messages: Sequence[ModelMessage], profile: OpenAIModelProfile) -> Iterator[FileUrl]:
    """The files that have to be fetched, since the provider wants their bytes."""
    for message in messages:
        if not isinstance(message, ModelRequest):
            continue
        for part in message.parts:
            if isinstance(part, (UserPromptPart, ToolReturnPart)) and not isinstance(part.content, str):
                yield from (item for item in listed(part.content) if _is_wanted(item, profile))


def _is_wanted(item: Any, profile: OpenAIModelProfile) -> bool:
    if isinstance(item, DocumentUrl):
        return item.force_download or not _takes_document_urls(profile) or is_text(item.media_type)
    if isinstance(item, (ImageUrl, VideoUrl)):
        return item.force_download
    return isinstance(item, AudioUrl)


def _takes_document_urls(profile: OpenAIModelProfile) -> bool:
    return profile.openai_chat_supports_file_urls or profile.openai_chat_document_part == 'document_url'


def encode_content(
    content: str | Sequence[UserContent], profile: OpenAIModelProfile, fetched: Fetched
) -> str | list[Json]:
    """What a user says.

    Raises:
        UserError: There is something in it that the provider does not take.
    """
    if isinstance(content, str):
        return content
    parts: list[Json] = []
    for item in content:
        if isinstance(item, CachePoint):
            _mark(parts, item, profile)
        else:
            parts.append(_encode_item(item, profile, fetched))
    return parts


def _mark(parts: list[Json], point: CachePoint, profile: OpenAIModelProfile) -> None:
    """Let what has been said so far be cached, where the provider can be told."""
    how = profile.openai_chat_cache_points
    if parts and how is not None:
        lasting = {'ttl': point.ttl} if how == 'lasting' else {}
        parts[-1]['cache_control'] = {'type': 'ephemeral', **lasting}


def _encode_item(item: str | MultiModalContent, profile: OpenAIModelProfile, fetched: Fetched) -> Json:
    if isinstance(item, str):
        return {'type': 'text', 'text': item}
    if isinstance(item, BinaryContent):
        return _encode_bytes(item, profile)
    if _is_wanted(item, profile):
        return _encode_bytes(fetched(item), profile, image=isinstance(item, ImageUrl))
    if isinstance(item, ImageUrl):
        return _image(item.url, item.vendor_metadata)
    if isinstance(item, DocumentUrl):
        return _document(item.url, item.format, profile)
    if isinstance(item, VideoUrl):
        return _video(item.url, profile)
    raise UserError(f'A user prompt holds {item!r}, which chat completions do not know. Give text or a file.')


def _encode_bytes(item: BinaryContent, profile: OpenAIModelProfile, *, image: bool = False) -> Json:
    """A file as bytes. What was given as an image is one, whatever its server has called it."""
    if image or item.is_image:
        return _image(item.data_uri, item.vendor_metadata)
    if is_text(item.media_type):
        return {'type': 'text', 'text': _inlined(item)}
    if item.is_audio:
        return _audio(item, profile)
    if item.is_video:
        return _video(item.data_uri, profile)
    if item.is_document:
        return _document(item.data_uri, item.format, profile)
    raise UserError(
        f'A user prompt holds a file of type {item.media_type!r}, which chat completions do not take. '
        f'Give an image, a recording, a document or text, with its media_type.'
    )


def is_text(media_type: str) -> bool:
    """Whether a file can be read as text, and so goes where the text is."""
    return (
        media_type.startswith('text/') or media_type in _TEXT_TYPES or media_type.endswith(('+json', '+xml', '+yaml'))
    )


def _image(url: str, metadata: dict[str, Any] | None) -> Json:
    image: Json = {'url': url}
    if metadata and 'detail' in metadata:
        image['detail'] = metadata['detail']
    return {'type': 'image_url', 'image_url': image}


def _audio(item: BinaryContent, profile: OpenAIModelProfile) -> Json:
    kind = _AUDIO_FORMATS.get(item.media_type)
    if kind not in profile.openai_chat_audio_formats:
        raise UserError(
            f'A user prompt holds a recording of type {item.media_type!r}, which the model does not take. '
            f'It takes {", ".join(profile.openai_chat_audio_formats)}.'
        )
    data = item.data_uri if profile.openai_chat_audio_input_encoding == 'uri' else item.base64
    return {'type': 'input_audio', 'input_audio': {'data': data, 'format': kind}}


def _video(url: str, profile: OpenAIModelProfile) -> Json:
    if not profile.openai_chat_supports_video:
        raise UserError(
            'A user prompt holds a video, which the model does not take. Give images of it, or use a model that '
            'watches videos, such as those of Google. For a server that takes them set '
            'openai_chat_supports_video in an OpenAIModelProfile.'
        )
    return {'type': 'video_url', 'video_url': {'url': url}}


def _document(url: str, extension: str, profile: OpenAIModelProfile) -> Json:
    if profile.openai_chat_document_part == 'document_url':
        return {'type': 'document_url', 'document_url': url}
    return {'type': 'file', 'file': {'file_data': url, 'filename': f'filename.{extension}'}}


def _inlined(item: BinaryContent) -> str:
    """A text file, between marks by which the model can tell it from what the user says."""
    try:
        text = item.data.decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f'A user prompt holds a file of type {item.media_type!r} that is not text in UTF-8 ({error}). '
            f'Write it in UTF-8, or give the media_type that it has.'
        ) from error
    mark = f'FILE id="{item.identifier}"'
    return f'-----BEGIN {mark} type="{item.media_type}"-----\n{text}\n-----END {mark}-----'
