"""The files of weights that are here: where one is, whether it is what it has to be, and taking it away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait_agent._local.folders import models_folder
from plait_agent._local.registry import PathSource
from plait_agent._local.words import amount
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent._local.registry import LocalEntry

_CHUNK = 1 << 20
_MAGIC = b'GGUF'


def weights_path(entry: LocalEntry) -> Path:
    """Where the weights of a model are, or will be."""
    for source in entry.sources:
        if isinstance(source, PathSource) and (source.path.is_file() or len(entry.sources) == 1):
            return source.path
    return models_folder() / entry.file


def partial_path(path: Path) -> Path:
    """Where weights are while they are fetched."""
    return path.with_name(f'{path.name}.partial')


def is_here(entry: LocalEntry) -> bool:
    """Whether the weights of a model are complete."""
    return weights_path(entry).is_file()


def checked_weights(entry: LocalEntry) -> Path:
    """Give the weights of a model, checked.

    The hash is computed once; afterwards the size and the time of the file have to be what they were then.

    Raises:
        UserError: They are not here, or are not what they have to be.
    """
    path = weights_path(entry)
    if not path.is_file():
        raise _missing(entry, path)
    with path.open('rb') as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise UserError(f'{path} is not a file in GGUF form. Name a file of weights that llama.cpp can read.')
    if entry.sha256 is None or _stamp(path) == _stat(path, entry.sha256):
        return path
    found = sha256_of(path)
    if found != entry.sha256:
        raise UserError(
            f'The weights of {entry.name!r} in {path} are damaged: their SHA-256 is {found} and not {entry.sha256}. '
            f'Fetch them again: plait models rm {entry.name} && plait models pull {entry.name}'
        )
    write_stamp(path, entry.sha256)
    return path


def sha256_of(path: Path, tell: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file, read in pieces.

    Args:
        path: The file.
        tell: Is told how many bytes have been read.
    """
    from hashlib import sha256

    digest, read = sha256(), 0
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            read += len(chunk)
            if tell is not None:
                tell(read)
    return digest.hexdigest()


def write_stamp(path: Path, digest: str) -> None:
    """Note that a file has a hash, as long as it is not touched."""
    try:
        _stamp_path(path).write_text(json.dumps(_stat(path, digest)), encoding='utf-8')
    except OSError:  # a folder that may only be read: the hash is computed each time
        return


def remove_weights(entry: LocalEntry) -> int:
    """Take away what was fetched of a model, whole or in part, and give the bytes that this has freed.

    Files of the user's own are left alone.
    """
    path = models_folder() / entry.file
    partial = partial_path(path)
    freed = 0
    for each in (path, _stamp_path(path), partial, partial.with_name(f'{partial.name}.json')):
        if each.is_file():
            freed += each.stat().st_size
            each.unlink()
    return freed


def _missing(entry: LocalEntry, path: Path) -> UserError:
    if len(entry.sources) == 1 and isinstance(entry.sources[0], PathSource):
        return UserError(f'There is no file {path} for the local model {entry.name!r}. Name a file in GGUF form.')
    about = ', '.join(filter(None, (amount(entry.size), entry.licence and f'licence {entry.licence}')))
    return UserError(
        f'The weights of the local model {entry.name!r} are not on this machine. '
        f'Fetch them once: plait models pull {entry.name} ({about})'
    )


def _stat(path: Path, digest: str) -> dict[str, Any]:
    found = path.stat()
    return {'sha256': digest, 'size': found.st_size, 'changed': found.st_mtime_ns}


def _stamp(path: Path) -> Any:
    try:
        return json.loads(_stamp_path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None


def _stamp_path(path: Path) -> Path:
    return path.with_name(f'{path.name}.checked')
