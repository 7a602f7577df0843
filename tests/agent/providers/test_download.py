"""Files by their URL, for providers that want the bytes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream

from plait_agent import models
from plait_agent.exceptions import UserError
from plait_agent.messages import DocumentUrl, FileUrl, ImageUrl, VideoUrl
from plait_agent.models import _download
from plait_agent.models._download import fetch_content


@asynccontextmanager
async def serving(head: str, body: bytes) -> AsyncIterator[str]:
    """The URL of a server that sends one answer to everybody within a block."""

    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(f'HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\n\r\n'.encode() + body)

    listener = await anyio.create_tcp_listener(local_host='127.0.0.1')
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        yield f'http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}'
        group.cancel_scope.cancel()


async def test_a_file_comes_with_the_type_that_the_server_names() -> None:
    """The server knows better than the name, and its parameters of the type are no part of it."""
    async with serving('200 OK\r\ncontent-type: image/webp; charset=x', b'bytes') as url:
        content = await fetch_content(
            ImageUrl(f'{url}/picture.png', identifier='me', vendor_metadata={'detail': 'low'})
        )

    assert (content.data, content.media_type) == (b'bytes', 'image/webp')
    assert (content.identifier, content.vendor_metadata) == ('me', {'detail': 'low'})


@pytest.mark.parametrize('header', ['', '\r\ncontent-type: application/octet-stream'])
async def test_a_server_that_knows_no_type_leaves_it_to_the_name(header: str) -> None:
    """Stores of files often say nothing but that there are bytes."""
    async with serving(f'200 OK{header}', b'bytes') as url:
        assert (await fetch_content(ImageUrl(f'{url}/picture.png?size=2'))).media_type == 'image/png'


async def test_a_type_that_the_program_gives_wins() -> None:
    """Whoever says what a file is knows it."""
    async with serving('200 OK\r\ncontent-type: text/html', b'bytes') as url:
        assert (await fetch_content(DocumentUrl(url, media_type='application/pdf'))).media_type == 'application/pdf'


async def test_a_file_is_given_as_it_is_asked_for() -> None:
    """Bytes, base64, a URI, or text; the type as media type or short name."""
    async with serving('200 OK\r\ncontent-type: text/plain', b'hi') as url:
        item = DocumentUrl(url)
        assert await models.download_item(item) == {'data': b'hi', 'data_type': 'text/plain'}
        assert await models.download_item(item, 'base64', 'extension') == {'data': 'aGk=', 'data_type': 'txt'}
        assert (await models.download_item(item, 'base64_uri'))['data'] == 'data:text/plain;base64,aGk='
        assert (await models.download_item(item, 'text'))['data'] == 'hi'


async def test_a_file_that_is_not_there_is_an_error() -> None:
    """An error page is not sent to the model in the place of the file."""
    async with serving('404 Not Found', b'nothing here') as url:
        with pytest.raises(httpx2.HTTPStatusError, match='404'):
            await fetch_content(ImageUrl(f'{url}/picture.png'))


async def test_a_file_without_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how large a file may be, and what to do with larger ones."""
    monkeypatch.setattr(_download, '_LARGEST', 3 << 20)
    async with serving('200 OK', bytes(4 << 20)) as url:
        with pytest.raises(UserError, match=r'larger than 3 MiB\. Put it where the provider can read it'):
            await fetch_content(ImageUrl(f'{url}/picture.png'))


@pytest.mark.parametrize(
    ('item', 'message'),
    [
        (VideoUrl('https://youtu.be/x'), 'Downloading YouTube videos is not supported'),
        (ImageUrl('gs://bucket/x.png'), r'Downloading from protocol "gs://" is not supported \(gs://bucket/x.png\)'),
        (ImageUrl('file:///etc/passwd'), 'Downloading from protocol "file://" is not supported'),
    ],
)
async def test_only_what_the_web_serves_is_fetched(item: FileUrl, message: str) -> None:
    """A URL from a user does not read this machine's files, and says what can be given."""
    with pytest.raises(UserError, match=message):
        await fetch_content(item)
