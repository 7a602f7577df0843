"""What users and tools can say beside text: files by URL or as bytes, marks for caches, results with more to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from plait_agent._messages.formats import (
    AUDIO_FORMATS,
    DOCUMENT_FORMATS,
    IMAGE_FORMATS,
    VIDEO_FORMATS,
    AudioFormat,
    AudioMediaType,
    DocumentFormat,
    DocumentMediaType,
    ImageFormat,
    ImageMediaType,
    VideoFormat,
    guess_media_type,
)
from plait_agent._messages.schemas import BYTES_AS_BASE64, ToldApartBy, with_properties
from plait_agent._short_repr import short_repr

if TYPE_CHECKING:
    from os import PathLike

    from pydantic import GetCoreSchemaHandler
    from pydantic_core.core_schema import CoreSchema


@dataclass(init=False, repr=False)
class FileUrl(ABC):
    """A file that the model, or the provider's library, fetches by its URL.

    Args:
        url: Where the file is.
        media_type: Its media type; without it the type is guessed from the extension when it is asked for.
        identifier: What the model may call it; without it, the beginning of the URL's hash.
        force_download: Whether it is fetched here and sent as bytes, even where the provider could fetch it.
        vendor_metadata: What else the provider is told of it.
    """

    url: str
    force_download: bool = field(default=False, kw_only=True)
    vendor_metadata: dict[str, Any] | None = field(default=None, kw_only=True)
    _media_type: str | None = field(default=None, kw_only=True, compare=False)
    _identifier: str | None = field(default=None, kw_only=True, compare=False)
    kind: Any = field(default='', kw_only=True)
    """What tells the classes apart; each has its own word."""

    def __init__(
        self,
        url: str,
        *,
        media_type: str | None = None,
        identifier: str | None = None,
        force_download: bool = False,
        vendor_metadata: dict[str, Any] | None = None,
        kind: str | None = None,
        _media_type: str | None = None,
        _identifier: str | None = None,
    ):
        self.url = url
        self.force_download = force_download
        self.vendor_metadata = vendor_metadata
        # The private names are what `dataclasses.replace` passes.
        self._media_type = media_type or _media_type
        self._identifier = identifier or _identifier
        self.kind = kind or type(self).kind

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_properties(handler(source), handler, {'media_type': '_media_type', 'identifier': '_identifier'})

    @property
    def media_type(self) -> str:
        """The media type that was given, or is guessed from the extension.

        Raises:
            ValueError: The extension means none.
        """
        return self._media_type or self._guess_media_type()

    @property
    def has_media_type(self) -> bool:
        """Whether the media type was given, and is no guess."""
        return self._media_type is not None

    @property
    def identifier(self) -> str:
        """What the model may call the file."""
        return self._identifier or _short_hash(self.url.encode())

    @property
    @abstractmethod
    def format(self) -> str:
        """The short name of the media type."""

    def _guess_media_type(self) -> str:
        # A query or fragment is no part of the file's name.
        guessed = guess_media_type(self.url.partition('#')[0].partition('?')[0])
        if guessed is None:
            word = self.kind.removesuffix('-url')
            raise ValueError(
                f'Could not infer media type from {word} URL: {self.url}. Explicitly provide a `media_type` instead.'
            )
        return guessed

    __repr__ = short_repr


@dataclass(init=False, repr=False)
class VideoUrl(FileUrl):
    """A video by its URL."""

    kind: Literal['video-url'] = field(default='video-url', kw_only=True)

    @property
    def is_youtube(self) -> bool:
        """Whether it is a page of YouTube, which some providers can watch."""
        from urllib.parse import urlsplit

        return urlsplit(self.url).hostname in {'youtu.be', 'youtube.com', 'www.youtube.com'}

    @property
    def format(self) -> VideoFormat:
        """The short name of the media type."""
        return _format_of(self.media_type, VIDEO_FORMATS, 'video')

    def _guess_media_type(self) -> str:
        return 'video/mp4' if self.is_youtube else super()._guess_media_type()


@dataclass(init=False, repr=False)
class AudioUrl(FileUrl):
    """A recording by its URL."""

    kind: Literal['audio-url'] = field(default='audio-url', kw_only=True)

    @property
    def format(self) -> AudioFormat:
        """The short name of the media type."""
        return _format_of(self.media_type, AUDIO_FORMATS, 'audio')


@dataclass(init=False, repr=False)
class ImageUrl(FileUrl):
    """An image by its URL."""

    kind: Literal['image-url'] = field(default='image-url', kw_only=True)

    @property
    def format(self) -> ImageFormat:
        """The short name of the media type."""
        return _format_of(self.media_type, IMAGE_FORMATS, 'image')


@dataclass(init=False, repr=False)
class DocumentUrl(FileUrl):
    """A document by its URL."""

    kind: Literal['document-url'] = field(default='document-url', kw_only=True)

    @property
    def format(self) -> DocumentFormat:
        """The short name of the media type."""
        return _format_of(self.media_type, DOCUMENT_FORMATS, 'document')


@dataclass(init=False, repr=False)
class BinaryContent:
    """A file as bytes.

    Args:
        data: The bytes.
        media_type: What they are.
        identifier: What the model may call it; without it, the beginning of the hash of the bytes.
        vendor_metadata: What else the provider is told of it.
    """

    __pydantic_config__: ClassVar = BYTES_AS_BASE64

    data: bytes
    media_type: AudioMediaType | ImageMediaType | DocumentMediaType | str = field(kw_only=True)
    vendor_metadata: dict[str, Any] | None = field(default=None, kw_only=True)
    _identifier: str | None = field(default=None, kw_only=True, compare=False)
    kind: Literal['binary'] = field(default='binary', kw_only=True)

    def __init__(
        self,
        data: bytes,
        *,
        media_type: AudioMediaType | ImageMediaType | DocumentMediaType | str,
        identifier: str | None = None,
        vendor_metadata: dict[str, Any] | None = None,
        kind: Literal['binary'] = 'binary',
        _identifier: str | None = None,
    ):
        self.data = data
        self.media_type = media_type
        self.vendor_metadata = vendor_metadata
        self._identifier = identifier or _identifier  # the private name is what `dataclasses.replace` passes
        self.kind = kind
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check the fields; pydantic calls this too, which does without `__init__`."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_properties(handler(source), handler, {'identifier': '_identifier'})

    @staticmethod
    def narrow_type(bc: BinaryContent) -> BinaryContent | BinaryImage:
        """The same content, as a `BinaryImage` if it is an image."""
        if not bc.is_image or isinstance(bc, BinaryImage):
            return bc
        return BinaryImage(
            bc.data, media_type=bc.media_type, identifier=bc._identifier, vendor_metadata=bc.vendor_metadata
        )

    @classmethod
    def from_data_uri(cls, data_uri: str) -> BinaryContent:
        """Read a file from a URI that holds it; an image becomes a `BinaryImage`.

        Raises:
            ValueError: It is no such URI.
        """
        if not data_uri.startswith('data:'):
            raise ValueError('Data URI must start with "data:"')
        head, _, body = data_uri.removeprefix('data:').partition(',')
        media_type = head.removesuffix(';base64')
        data = a2b_base64(body) if head.endswith(';base64') else _percent_decoded(body)
        # RFC 2397: what names no type is text.
        return cls.narrow_type(cls(data, media_type=media_type or 'text/plain'))

    @classmethod
    def from_path(cls, path: PathLike[str] | str) -> BinaryContent:
        """Read a file from a disk and guess its type from its name; an image becomes a `BinaryImage`.

        Raises:
            FileNotFoundError: There is no such file.
        """
        from pathlib import Path

        file = Path(path)
        if not file.exists():
            raise FileNotFoundError(f'File not found: {path}')
        media_type = guess_media_type(file.name) or 'application/octet-stream'
        return cls.narrow_type(cls(file.read_bytes(), media_type=media_type))

    @property
    def identifier(self) -> str:
        """What the model may call the file."""
        return self._identifier or _short_hash(self.data)

    @property
    def base64(self) -> str:
        """The bytes as base64."""
        return b2a_base64(self.data, newline=False).decode()

    @property
    def data_uri(self) -> str:
        """The file as a URI that holds it."""
        return f'data:{self.media_type};base64,{self.base64}'

    @property
    def is_audio(self) -> bool:
        """Whether it is a recording."""
        return self.media_type.startswith('audio/')

    @property
    def is_image(self) -> bool:
        """Whether it is an image."""
        return self.media_type.startswith('image/')

    @property
    def is_video(self) -> bool:
        """Whether it is a video."""
        return self.media_type.startswith('video/')

    @property
    def is_document(self) -> bool:
        """Whether it is one of the documents that providers know."""
        return self.media_type in DOCUMENT_FORMATS

    @property
    def format(self) -> str:
        """The short name of the media type.

        Raises:
            ValueError: It is none of the known types.
        """
        for formats in (AUDIO_FORMATS, IMAGE_FORMATS, VIDEO_FORMATS, DOCUMENT_FORMATS):
            if self.media_type in formats:
                return formats[self.media_type]
        raise ValueError(f'Unknown media type: {self.media_type}')

    __repr__ = short_repr


@dataclass(init=False, repr=False)
class BinaryImage(BinaryContent):
    """An image as bytes; also an output type, for models that draw.

    Raises:
        ValueError: The media type is that of something else.
    """

    def __post_init__(self) -> None:
        if not self.is_image:
            raise ValueError(
                f'BinaryImage was given media_type={self.media_type!r}, which must start with "image/". '
                f'Use BinaryContent for other files.'
            )


@dataclass
class CachePoint:
    """A mark up to which the provider is to keep the prompt. Models that cannot do without it."""

    kind: Literal['cache-point'] = 'cache-point'
    ttl: Literal['5m', '1h'] = '5m'
    """How long it is kept."""


MultiModalContent: TypeAlias = Annotated[
    ImageUrl | AudioUrl | DocumentUrl | VideoUrl | BinaryContent, ToldApartBy('kind')
]
"""A file, by its URL or as bytes."""
UserContent: TypeAlias = str | MultiModalContent | CachePoint
"""What a prompt is made of."""


@dataclass(repr=False)
class ToolReturn:
    """What a tool returns that has more to say than its result.

    Args:
        return_value: The result.
        content: What the model is told beside it, as if the user had said it.
        metadata: What the program keeps with it and the model does not see.
    """

    return_value: Any
    content: str | Sequence[UserContent] | None = field(default=None, kw_only=True)
    metadata: Any = field(default=None, kw_only=True)
    kind: Literal['tool-return'] = field(default='tool-return', kw_only=True)

    __repr__ = short_repr


def _short_hash(data: bytes) -> str:
    from hashlib import sha1

    return sha1(data, usedforsecurity=False).hexdigest()[:6]


def _percent_decoded(text: str) -> bytes:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(text)


def _format_of(media_type: str, formats: dict[str, Any], word: str) -> Any:
    """The short name of a media type.

    Raises:
        ValueError: There is none.
    """
    if media_type not in formats:
        raise ValueError(f'Unknown {word} media type: {media_type}')
    return formats[media_type]
