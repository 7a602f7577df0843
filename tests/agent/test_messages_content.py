"""Files that are said to models: what they are, what they are called, and what is refused."""

import copy
import dataclasses
import pickle
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from plait_agent.messages import (
    AudioUrl,
    BinaryContent,
    BinaryImage,
    CachePoint,
    DocumentUrl,
    FileUrl,
    ImageUrl,
    ToolReturn,
    UserContent,
    VideoUrl,
)

WORD = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'
EXCEL = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'


# Files by URL


@pytest.mark.parametrize(
    ('url', 'media_type'),
    [
        (ImageUrl('https://x.test/a.PNG'), 'image/png'),
        (ImageUrl('https://x.test/a.webp'), 'image/webp'),
        (ImageUrl('https://x.test/a.jpg?size=2#top'), 'image/jpeg'),
        (ImageUrl('https://x.test/a', media_type='image/gif'), 'image/gif'),
        (AudioUrl('https://x.test/a.mp3'), 'audio/mpeg'),
        (AudioUrl('https://x.test/a.aiff'), 'audio/aiff'),
        (VideoUrl('https://x.test/a.mkv'), 'video/x-matroska'),
        (VideoUrl('https://www.youtube.com/watch?v=1'), 'video/mp4'),
        (DocumentUrl('https://x.test/a.md'), 'text/markdown'),
        (DocumentUrl('https://x.test/a.docx'), WORD),
        (DocumentUrl('https://x.test/a.yml'), 'application/yaml'),
        (DocumentUrl('https://x.test/a.toml'), 'application/toml'),
    ],
)
def test_the_type_of_a_url_is_given_or_guessed(url: FileUrl, media_type: str):
    """A media type is what was given or what the extension means, whatever its case and what follows the path."""
    assert url.media_type == media_type


@pytest.mark.parametrize('kind', [ImageUrl, AudioUrl, VideoUrl, DocumentUrl])
def test_a_type_that_cannot_be_guessed_is_asked_for(kind: Any):
    """The error names the URL and says that a type may be given."""
    word = kind.kind.removesuffix('-url')
    message = (
        f'Could not infer media type from {word} URL: https://x.test/a. Explicitly provide a `media_type` instead.'
    )

    with pytest.raises(ValueError) as raised:  # noqa: PT011 # the whole message is compared
        kind('https://x.test/a').media_type  # noqa: B018

    assert str(raised.value) == message


def test_only_the_pages_of_videos_are_youtube():
    """The three hosts that providers can watch are known; others need an extension or a type."""
    hosts = ('youtu.be', 'youtube.com', 'www.youtube.com', 'm.youtube.com', 'x.test')

    assert [VideoUrl(f'https://{host}/a').is_youtube for host in hosts] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ('content', 'name'),
    [
        (ImageUrl('a.jpg'), 'jpeg'),
        (AudioUrl('a.mp3'), 'mp3'),
        (AudioUrl('a.oga'), 'oga'),
        (VideoUrl('a.mov'), 'mov'),
        (VideoUrl('a.three_gp'), 'three_gp'),
        (DocumentUrl('a.txt'), 'txt'),
        (DocumentUrl('a.xlsx'), 'xlsx'),
        (BinaryContent(b'', media_type='image/webp'), 'webp'),
        (BinaryContent(b'', media_type='audio/flac'), 'flac'),
        (BinaryContent(b'', media_type='video/x-ms-wmv'), 'wmv'),
        (BinaryContent(b'', media_type='application/msword'), 'doc'),
    ],
)
def test_a_type_has_a_short_name(content: Any, name: str):
    """Media types that providers know have short names."""
    assert content.format == name


@pytest.mark.parametrize('kind', [ImageUrl, AudioUrl, VideoUrl, DocumentUrl])
def test_an_unknown_type_has_no_short_name(kind: Any):
    """All kinds of files refuse a type that they do not know in the same way."""
    word = kind.kind.removesuffix('-url')

    with pytest.raises(ValueError, match=f'Unknown {word} media type: font/woff'):
        kind('a', media_type='font/woff').format  # noqa: B018
    with pytest.raises(ValueError, match='Unknown media type: font/woff'):
        BinaryContent(b'', media_type='font/woff').format  # noqa: B018


def test_a_file_is_called_by_its_hash_or_as_was_said():
    """An identifier is the beginning of the hash of the URL or the data unless one is given."""
    expected = sha1(b'https://x.test/a').hexdigest()[:6]

    assert ImageUrl('https://x.test/a').identifier == expected
    assert BinaryContent(b'https://x.test/a', media_type='text/plain').identifier == expected
    assert ImageUrl('https://x.test/a', identifier='boat').identifier == 'boat'


def test_type_and_identifier_make_no_difference():
    """Two references to the same file are equal, whatever they call it."""
    assert ImageUrl('a', media_type='image/png', identifier='x') == ImageUrl('a')
    assert BinaryContent(b'a', media_type='x', identifier='x') == BinaryContent(b'a', media_type='x')
    assert ImageUrl('a', force_download=True) != ImageUrl('a')


def test_files_print_what_was_given():
    """A repr has the given type and identifier under their private names."""
    url = ImageUrl('a', media_type='image/png', identifier='k', vendor_metadata={'a': 1})

    assert repr(url) == "ImageUrl(url='a', vendor_metadata={'a': 1}, _media_type='image/png', _identifier='k')"
    assert repr(CachePoint()) == "CachePoint(kind='cache-point', ttl='5m')"


@pytest.mark.parametrize(
    'copied', [copy.copy, copy.deepcopy, dataclasses.replace, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_files_can_be_copied(copied: Any):
    """Copies of all kinds keep what was given."""
    image = BinaryImage(b'x', media_type='image/png', identifier='k')
    url = VideoUrl('a', media_type='video/mp4', identifier='k')

    for file in (image, url):
        assert copied(file) == file
        assert repr(copied(file)) == repr(file)


# Files as bytes


def test_bytes_know_what_they_are():
    """Images, sounds and videos are known by the first half of their type, documents one by one."""
    types = ('image/x', 'audio/x', 'video/x', 'text/csv', EXCEL, 'text/x')
    files = [BinaryContent(b'', media_type=media_type) for media_type in types]

    assert [(f.is_image, f.is_audio, f.is_video, f.is_document) for f in files] == [
        (True, False, False, False),
        (False, True, False, False),
        (False, False, True, False),
        (False, False, False, True),
        (False, False, False, True),
        (False, False, False, False),
    ]


def test_bytes_are_written_as_base64():
    """The bytes and their type make a data URI."""
    content = BinaryContent(b'\xfb\xff', media_type='image/png')

    assert (content.base64, content.data_uri) == ('+/8=', 'data:image/png;base64,+/8=')


@pytest.mark.parametrize(
    ('uri', 'content'),
    [
        ('data:image/png;base64,+/8=', BinaryImage(b'\xfb\xff', media_type='image/png')),
        ('data:text/plain;charset=utf-8;base64,aGk=', BinaryContent(b'hi', media_type='text/plain;charset=utf-8')),
        ('data:text/html,a%20b', BinaryContent(b'a b', media_type='text/html')),
        ('data:,a', BinaryContent(b'a', media_type='text/plain')),
    ],
)
def test_data_uris_are_read(uri: str, content: BinaryContent):
    """A data URI may be base64 or percent-encoded, and images become images."""
    read = BinaryContent.from_data_uri(uri)

    assert read == content
    assert type(read) is type(content)


def test_other_uris_are_no_data():
    """A URI of another kind is refused."""
    with pytest.raises(ValueError, match='Data URI must start with "data:"'):
        BinaryContent.from_data_uri('https://x.test/a.png')


def test_files_are_read_from_a_disk(tmp_path: Path):
    """The type is guessed from the name; what has none is bytes, and what is missing is named."""
    for name in ('a.png', 'b'):
        (tmp_path / name).write_bytes(b'x')

    assert BinaryContent.from_path(tmp_path / 'a.png') == BinaryImage(b'x', media_type='image/png')
    assert BinaryContent.from_path(str(tmp_path / 'b')).media_type == 'application/octet-stream'
    with pytest.raises(FileNotFoundError, match=r'File not found: .*nothing'):
        BinaryContent.from_path(tmp_path / 'nothing')


def test_only_images_become_images():
    """Narrowing makes an image of an image, with all that it had, and leaves the rest."""
    text = BinaryContent(b'x', media_type='text/plain')
    image = BinaryContent(b'x', media_type='image/png', identifier='k', vendor_metadata={'a': 1})

    narrowed = BinaryContent.narrow_type(image)

    assert repr(narrowed) == repr(image).replace('BinaryContent', 'BinaryImage')
    assert BinaryContent.narrow_type(narrowed) is narrowed
    assert BinaryContent.narrow_type(text) is text


def test_an_image_is_an_image():
    """Other types are refused, from programs and from outside."""
    with pytest.raises(ValueError, match='must start with "image/"'):
        BinaryImage(b'', media_type='text/plain')
    with pytest.raises(ValidationError, match='must start with "image/"'):
        TypeAdapter(BinaryImage).validate_python({'data': '', 'media_type': 'text/plain'})


# Content in records of others


class Note(BaseModel):
    """A record of a program's own."""

    content: list[UserContent]


def test_content_is_a_field_of_other_models():
    """Content in somebody else's model is told apart by its kind, with bytes as base64."""
    note = Note(content=['a', ImageUrl('a.png'), BinaryContent(b'\xff', media_type='text/csv'), CachePoint()])

    written = note.model_dump_json()

    assert '"data":"_w=="' in written
    assert Note.model_validate_json(written) == note


def test_a_url_of_unknown_type_can_be_stored():
    """A file whose type nobody knows yet is written with null, and loads as it was."""
    note = Note(content=[ImageUrl('https://x.test/a')])

    written = note.model_dump()

    assert written['content'][0]['media_type'] is None
    assert Note.model_validate(written) == note
    assert Note.model_validate(written).content[0] == ImageUrl('https://x.test/a')


def test_a_tool_return_has_more_to_say():
    """What a tool tells beside its result is kept apart from it."""
    returned = ToolReturn('ok', content=['see', ImageUrl('a.png')], metadata={'took': 3})

    assert (
        repr(returned) == "ToolReturn(return_value='ok', content=['see', ImageUrl(url='a.png')], metadata={'took': 3})"
    )
