"""Which media types are known, what they are called for short, and which extensions of files mean them."""

from __future__ import annotations

from typing import Literal, TypeAlias

AudioMediaType: TypeAlias = Literal['audio/wav', 'audio/mpeg', 'audio/ogg', 'audio/flac', 'audio/aiff', 'audio/aac']
ImageMediaType: TypeAlias = Literal['image/jpeg', 'image/png', 'image/gif', 'image/webp']
DocumentMediaType: TypeAlias = Literal[
    'application/pdf',
    'text/plain',
    'text/csv',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    'text/html',
    'text/markdown',
    'application/msword',
    'application/vnd.ms-excel',
]
VideoMediaType: TypeAlias = Literal[
    'video/x-matroska',
    'video/quicktime',
    'video/mp4',
    'video/webm',
    'video/x-flv',
    'video/mpeg',
    'video/x-ms-wmv',
    'video/3gpp',
]

AudioFormat: TypeAlias = Literal['wav', 'mp3', 'oga', 'flac', 'aiff', 'aac']
ImageFormat: TypeAlias = Literal['jpeg', 'png', 'gif', 'webp']
DocumentFormat: TypeAlias = Literal['csv', 'doc', 'docx', 'html', 'md', 'pdf', 'txt', 'xls', 'xlsx']
VideoFormat: TypeAlias = Literal['mkv', 'mov', 'mp4', 'webm', 'flv', 'mpeg', 'mpg', 'wmv', 'three_gp']

AUDIO_FORMATS: dict[str, AudioFormat] = {
    'audio/mpeg': 'mp3',
    'audio/wav': 'wav',
    'audio/ogg': 'oga',
    'audio/flac': 'flac',
    'audio/aiff': 'aiff',
    'audio/aac': 'aac',
}
IMAGE_FORMATS: dict[str, ImageFormat] = {
    'image/jpeg': 'jpeg',
    'image/png': 'png',
    'image/gif': 'gif',
    'image/webp': 'webp',
}
DOCUMENT_FORMATS: dict[str, DocumentFormat] = {
    'application/pdf': 'pdf',
    'text/plain': 'txt',
    'text/csv': 'csv',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
    'text/html': 'html',
    'text/markdown': 'md',
    'application/msword': 'doc',
    'application/vnd.ms-excel': 'xls',
}
VIDEO_FORMATS: dict[str, VideoFormat] = {
    'video/x-matroska': 'mkv',
    'video/quicktime': 'mov',
    'video/mp4': 'mp4',
    'video/webm': 'webm',
    'video/x-flv': 'flv',
    'video/mpeg': 'mpeg',
    'video/x-ms-wmv': 'wmv',
    'video/3gpp': 'three_gp',
}

_EXTENSIONS = {
    '.aac': 'audio/aac',
    '.aiff': 'audio/aiff',
    '.asciidoc': 'text/x-asciidoc',
    '.docx': 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    '.flac': 'audio/flac',
    '.md': 'text/markdown',
    '.mdx': 'text/markdown',
    '.mkv': 'video/x-matroska',
    '.oga': 'audio/ogg',
    '.rtf': 'application/rtf',
    '.three_gp': 'video/3gpp',
    '.toml': 'application/toml',
    '.wav': 'audio/wav',
    '.webp': 'image/webp',
    '.wmv': 'video/x-ms-wmv',
    '.xlsx': 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    '.yaml': 'application/yaml',
    '.yml': 'application/yaml',
}
"""Extensions that the standard library does not know everywhere, or knows by another name."""


def guess_media_type(path: str) -> str | None:
    """The media type that the extension of a path means, in whatever case."""
    dot = path.rfind('.')
    known = _EXTENSIONS.get(path[dot:].lower()) if dot >= 0 else None
    if known is not None:
        return known
    from mimetypes import guess_type

    return guess_type(path)[0]
