"""Where weights and settings of local models are kept, as each platform has it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The folder for weights and logs: `PLAIT_CACHE`, or a folder of ours among the user's caches."""
    said = os.environ.get('PLAIT_CACHE')
    if said:
        return Path(said).expanduser().absolute()
    return _folder('XDG_CACHE_HOME', '.cache', 'Library/Caches', 'LOCALAPPDATA') / 'plait'


def models_folder() -> Path:
    """The folder for weights."""
    return cache_folder() / 'models'


def config_folder() -> Path:
    """The folder in which a user's own settings are looked for."""
    return _folder('XDG_CONFIG_HOME', '.config', 'Library/Application Support', 'APPDATA') / 'plait'


def _folder(variable: str, unix: str, mac: str, windows: str) -> Path:
    said = os.environ.get(variable)
    if said and Path(said).is_absolute():  # the convention says that a relative one is to be ignored
        return Path(said)
    if sys.platform == 'win32':
        return Path(os.environ.get(windows) or Path.home())
    return Path.home() / (mac if sys.platform == 'darwin' else unix)
