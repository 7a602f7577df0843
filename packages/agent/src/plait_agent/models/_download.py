"""Files by their URL, for providers that want the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, overload

from typing_extensions import TypedDict, TypeVar

from plait_agent.exceptions import UserError
from plait_agent.messages import BinaryContent, VideoUrl
from plait_agent.models._ending import exhaust

if TYPE_CHECKING:
    from httpx2 import Response

    from plait_agent.messages import FileUrl

__all__ = 'DownloadedItem', 'download_item', 'fetch_content'

_LARGEST = 200 * 1024 * 1024
"""Bytes; no provider takes that much in a request, and what is larger may have no end."""
_REDIRECTS = 5

Data = TypeVar('Data', bytes, str, default=bytes)


class DownloadedItem(TypedDict, Generic[Data]):
    """A file that was fetched."""

    data: Data
    """The file, as it was asked for."""
    data_type: str
    """Its media type, or the short name of it."""


@overload
async def download_item(
    item: FileUrl, data_format: Literal['bytes'] = 'bytes', type_format: Literal['mime', 'extension'] = 'mime'
) -> DownloadedItem[bytes]: ...


@overload
async def download_item(
    item: FileUrl,
    data_format: Literal['base64', 'base64_uri', 'text'],
    type_format: Literal['mime', 'extension'] = 'mime',
) -> DownloadedItem[str]: ...


async def download_item(
    item: FileUrl,
    data_format: Literal['bytes', 'base64', 'base64_uri', 'text'] = 'bytes',
    type_format: Literal['mime', 'extension'] = 'mime',
) -> DownloadedItem[str] | DownloadedItem[bytes]:
    """Fetch a file by its URL.

    Args:
        item: The file.
        data_format: What to give: the bytes, base64 of them, a URI with base64, or text.
        type_format: What to call its type: the media type, or a short name such as `'png'`.

    Raises:
        UserError: The URL is not one of a file that can be fetched, or the file is too large.
        httpx2.HTTPError: The server cannot be reached, or has no such file.
    """
    content = await fetch_content(item)
    data_type = content.media_type if type_format == 'mime' else content.format
    if data_format == 'bytes':
        return DownloadedItem[bytes](data=content.data, data_type=data_type)
    if data_format == 'text':
        return DownloadedItem[str](data=content.data.decode('utf-8'), data_type=data_type)
    text = content.base64 if data_format == 'base64' else content.data_uri
    return DownloadedItem[str](data=text, data_type=data_type)


async def fetch_content(item: FileUrl) -> BinaryContent:
    """Fetch a file by its URL, with its media type: the one that was given, or that the server or the name says.

    Raises:
        UserError: The URL is not one of a file that can be fetched, or the file is too large.
        httpx2.HTTPError: The server cannot be reached, or has no such file.
    """
    _check_url(item)
    from httpx2 import AsyncClient

    async with (
        AsyncClient(follow_redirects=True, max_redirects=_REDIRECTS) as client,
        client.stream('GET', item.url) as response,
    ):
        response.raise_for_status()
        data = await _read(response, item.url)
    return BinaryContent(
        data,
        media_type=_media_type_of(item, response.headers.get('content-type')),
        identifier=item.identifier,
        vendor_metadata=item.vendor_metadata,
    )


async def _read(response: Response, url: str) -> bytes:
    data = bytearray()
    chunks = response.aiter_bytes()
    async for chunk in chunks:
        data += chunk
        if len(data) <= _LARGEST:
            continue
        await response.aclose()
        await exhaust(chunks)
        raise UserError(
            f'The file at {url} is larger than {_LARGEST >> 20} MiB. '
            f"Put it where the provider can read it, and give the provider's URL of it."
        )
    return bytes(data)


def _check_url(item: FileUrl) -> None:
    if isinstance(item, VideoUrl) and item.is_youtube:
        raise UserError('Downloading YouTube videos is not supported.')
    if not item.url.startswith(('http://', 'https://')):
        scheme = item.url.partition(':')[0]
        raise UserError(
            f'Downloading from protocol "{scheme}://" is not supported ({item.url}). '
            f'Give an http or https URL, or the bytes as BinaryContent.'
        )


def _media_type_of(item: FileUrl, content_type: str | None) -> str:
    """The media type that was given, else the one that the server names, else the one that the name means."""
    said = (content_type or '').partition(';')[0].strip().lower()
    if item.has_media_type or said in {'', 'application/octet-stream', 'binary/octet-stream'}:
        return item.media_type
    return said
