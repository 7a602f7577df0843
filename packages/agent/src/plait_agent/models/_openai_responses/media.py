"""What users and tools say, as parts of an item. Files that have to be fetched are fetched by the caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from plait_agent._messages.content import FileUrl
from plait_agent.exceptions import UserError
from plait_agent.messages import AudioUrl, BinaryContent, CachePoint, DocumentUrl, ImageUrl, VideoUrl

if TYPE_CHECKING:
    from plait_agent.messages import UserContent
    from plait_agent.models._memo import IdentityMemo
    from plait_agent.models._openai_responses.builtin_tools import Item

_AUDIO = {'audio/wav': 'wav', 'audio/x-wav': 'wav', 'audio/mpeg': 'mp3', 'audio/mp3': 'mp3'}
"""The recordings that a request can hold."""


class MediaWriter:
    """Writes content. Where a file has to be fetched first, an empty part is left, to be filled.

    Args:
        marks_cache: Whether points for the cache of prompts are written; else they are dropped.
        fetched: The parts of files that were fetched before; they come again with each request.
    """

    def __init__(self, *, marks_cache: bool, fetched: IdentityMemo[Item]):
        self._marks_cache = marks_cache
        self._fetched = fetched
        self._unfetched: list[tuple[FileUrl, Item]] = []
        """The files that have to be fetched, each with its part."""

    def write_all(self, content: Sequence[UserContent]) -> list[Item]:
        """Write what a user has said."""
        parts: list[Item] = []
        for each in content:
            if isinstance(each, CachePoint):
                self._mark(parts)
            else:
                parts.append(self.write(each))
        return parts

    def write(self, content: Any) -> Item:
        """Write a text or a file.

        Raises:
            UserError: It is a kind of file that OpenAI does not take.
        """
        if isinstance(content, str):
            return {'type': 'input_text', 'text': content}
        if isinstance(content, BinaryContent):
            return write_file(content)
        if isinstance(content, FileUrl):
            return self._write_url(content)
        raise UserError(
            f'A prompt holds a {type(content).__name__}, which is no content for a model. '
            f'Give text, BinaryContent, or the URL of a file as ImageUrl, DocumentUrl or AudioUrl.'
        )

    def _write_url(self, url: FileUrl) -> Item:
        if isinstance(url, VideoUrl):
            raise UserError(f'OpenAI takes no videos ({url.url}). Give images of it.')
        if url.force_download:
            return self._write_fetched(url)
        if isinstance(url, ImageUrl):
            return {'type': 'input_image', 'image_url': url.url, 'detail': _detail(url.vendor_metadata)}
        return {'type': 'input_file', 'file_url': url.url}

    def _write_fetched(self, url: FileUrl) -> Item:
        known = self._fetched.get(url)
        if known is not None:
            return known.copy()
        part: Item = {}
        self._unfetched.append((url, part))
        return part

    def _mark(self, parts: list[Item]) -> None:
        if self._marks_cache and parts:
            parts[-1]['prompt_cache_breakpoint'] = {'mode': 'explicit'}

    async def fetch(self) -> None:
        """Fetch the files that have to be, and fill their parts."""
        from plait_agent.models._download import fetch_content

        for url, part in self._unfetched:
            written = self._fetched.put(url, write_file(await fetch_content(url)))
            # A mark for the cache may be there already.
            part.update(written | part)


def write_file(file: BinaryContent) -> Item:
    """Write a file that is at hand.

    Raises:
        UserError: OpenAI does not take such files.
    """
    if file.is_image:
        return {'type': 'input_image', 'image_url': file.data_uri, 'detail': _detail(file.vendor_metadata)}
    if file.is_audio:
        return _write_audio(file)
    if file.is_video:
        raise UserError(f'OpenAI takes no videos ({file.media_type}). Give images of it.')
    return {'type': 'input_file', 'file_data': file.data_uri, 'filename': _filename(file)}


def _write_audio(file: BinaryContent) -> Item:
    written_as = _AUDIO.get(file.media_type)
    if written_as is None:
        raise UserError(f'OpenAI takes recordings as wav and mp3, and not as {file.media_type}. Convert it first.')
    return {'type': 'input_audio', 'input_audio': {'data': file.base64, 'format': written_as}}


def _filename(file: BinaryContent) -> str:
    """A name whose extension tells what the file is."""
    said = (file.vendor_metadata or {}).get('filename')
    if isinstance(said, str):
        return said
    if file.is_document:
        return f'filename.{file.format}'
    from mimetypes import guess_extension

    media_type = file.media_type.partition(';')[0]
    # Python's first word for XML is that of style sheets, which OpenAI does not read.
    return 'filename.xml' if media_type == 'application/xml' else f'filename{guess_extension(media_type) or ""}'


def _detail(metadata: dict[str, Any] | None) -> Any:
    return (metadata or {}).get('detail', 'auto')


def holds_files(content: Any) -> bool:
    """Whether what a tool has returned is a file, or a list with files among its items."""
    kinds = BinaryContent, ImageUrl, DocumentUrl, AudioUrl
    if isinstance(content, kinds):
        return True
    return isinstance(content, (list, tuple)) and any(isinstance(each, kinds) for each in cast('list[Any]', content))
