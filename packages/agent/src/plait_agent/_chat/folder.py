"""Where chats keep what they keep: in a folder of the user's, readable by nobody else."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """The folder of what is kept: `PLAIT_DATA` if that is set, or else `plait` in the platform's folder for data."""
    own = os.environ.get('PLAIT_DATA')
    return Path(own).expanduser() if own else _platform_folder() / 'plait'


def _platform_folder() -> Path:
    if sys.platform == 'win32':
        local = os.environ.get('LOCALAPPDATA')
        return Path(local) if local else Path.home() / 'AppData' / 'Local'
    if sys.platform == 'darwin':
        return Path.home() / 'Library' / 'Application Support'
    shared = os.environ.get('XDG_DATA_HOME', '')
    # A path that is not absolute is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest/
    return Path(shared) if Path(shared).is_absolute() else Path.home() / '.local' / 'share'


def private_folder(path: Path) -> Path:
    """Make a folder for its owner alone, unless it is there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, wholly or not at all: what was there stays until the new one is complete.

    Raises:
        OSError: It cannot be written.
    """
    unfinished = path.with_name(f'.{path.name}.{os.getpid()}.part')
    unfinished.unlink(missing_ok=True)  # of a process of the same number that was killed
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def private_file(path: Path) -> Path:
    """Make a file for its owner alone, unless it is there."""
    private_folder(path.parent)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    return path
