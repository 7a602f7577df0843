"""A census of Python's standard library: maps inside of a map, steps in threads, a decision, and two joins.

    python examples/stdlib_census.py                  # all of the standard library of this Python
    python examples/stdlib_census.py --packages 5     # only the first five of its packages
    python examples/stdlib_census.py --path src       # your own code instead

The graph finds the packages, maps over them, maps over the modules of each, parses every module off the event loop,
decides by what was found, folds the modules of a package into a row and the rows into a table.
`--help` tells the rest.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import sysconfig
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import cast

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from plait_graph import Graph, GraphBuilder, StepContext, reduce_list_append
from plait_graph.events import Emitted, RunEvent

NOT_THE_LIBRARY = {'site-packages', 'dist-packages', '__pycache__'}
TEST_FOLDERS = {'test', 'tests', 'idle_test'}
ROWS_SHOWN = 20


# What travels along the edges


@dataclass(frozen=True)
class Request:
    """What to count."""

    root: Path
    packages: int | None
    """Only so many packages, the first ones by name; `None` for all."""


@dataclass(frozen=True)
class Package:
    name: str
    root: Path
    modules: list[Path]


@dataclass(frozen=True)
class Module:
    package: str
    path: Path
    is_test: bool


@dataclass(frozen=True)
class Parsed:
    """A module of the library itself."""

    module: Module
    lines: int
    tree: ast.Module


@dataclass(frozen=True)
class ParsedTest(Parsed):
    """A module that tests the library."""


@dataclass(frozen=True)
class Broken:
    """A file that is not Python; the library has some on purpose, to test its parser with."""

    module: Module
    lines: int
    reason: str


@dataclass
class Row:
    """What is known of one module, or of a package when its modules have been folded in."""

    package: str = ''
    files: int = 0
    lines: int = 0
    classes: int = 0
    functions: int = 0
    async_functions: int = 0
    tests: int = 0
    broken: list[str] = field(default_factory=list[str])
    longest: tuple[int, str] = (0, '')

    def add(self, other: Row) -> None:
        self.package = other.package
        self.files += other.files
        self.lines += other.lines
        self.classes += other.classes
        self.functions += other.functions
        self.async_functions += other.async_functions
        self.tests += other.tests
        self.broken += other.broken
        self.longest = max(self.longest, other.longest)


# Events for the progress bar


@dataclass(frozen=True)
class Found:
    packages: int
    modules: int


@dataclass(frozen=True)
class Counted:
    module: Module


@dataclass(frozen=True)
class PackageDone:
    name: str


# The graph


def build_graph() -> Graph[None, None, Request, list[Row]]:
    g = GraphBuilder(name='stdlib census', input_type=Request, output_type=list[Row])

    @g.step(label='find packages')
    def find_packages(ctx: StepContext[None, None, Request]) -> list[Package]:
        packages = list(islice(packages_in(ctx.inputs.root), ctx.inputs.packages))
        ctx.emit(Found(len(packages), sum(len(package.modules) for package in packages)))
        return packages

    # A plain `def` runs in a thread: neither reading nor parsing holds up the event loop.
    @g.step
    def parse(ctx: StepContext[None, None, Module]) -> Parsed | ParsedTest | Broken:
        module = ctx.inputs
        source = module.path.read_bytes()
        lines = source.count(b'\n')
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError) as error:
            return Broken(module, lines, reason_of(error))
        return ParsedTest(module, lines, tree) if module.is_test else Parsed(module, lines, tree)

    @g.step
    def measure(ctx: StepContext[None, None, Parsed]) -> Row:
        ctx.emit(Counted(ctx.inputs.module))
        return measured(ctx.inputs)

    @g.step(label='count tests')
    def count_tests(ctx: StepContext[None, None, ParsedTest]) -> Row:
        ctx.emit(Counted(ctx.inputs.module))
        row = measured(ctx.inputs)
        row.tests = sum(name.startswith('test') for name in function_names(ctx.inputs.tree))
        return row

    @g.step(label='note what is broken')
    async def note_broken(ctx: StepContext[None, None, Broken]) -> Row:
        broken = ctx.inputs
        ctx.emit(Counted(broken.module))
        return Row(
            broken.module.package, files=1, lines=broken.lines, broken=[f'{broken.module.path.name}: {broken.reason}']
        )

    # Its parent is the closest fork, the map over modules: it folds once for each package.
    package_row = g.join(add_row, initial_factory=Row, node_id='package_row', preferred_parent_fork='closest')

    @g.step(label='finish package')
    async def finish_package(ctx: StepContext[None, None, Row]) -> Row:
        ctx.emit(PackageDone(ctx.inputs.package))
        return ctx.inputs

    # Its parent is the map over packages: it folds once, when the last package is finished.
    all_rows = g.join(reduce_list_append, initial_factory=list[Row], node_id='all_rows')

    what_is_it = (
        g.decision(node_id='what_is_it', note='what did the parser say?')
        .branch(g.match(Broken).label('not Python').to(note_broken))
        .branch(g.match(ParsedTest).label('a test').to(count_tests))
        .branch(g.match(Parsed).label('a module').to(measure))
    )

    g.add(
        g.edge_from(g.start_node).to(find_packages),
        g.edge_from(find_packages)
        .label('each package')
        .map(fork_id='packages', limit=4)
        .transform(lambda ctx: modules_of(ctx.inputs))
        .label('each module')
        .map(fork_id='modules', limit=4)
        .to(parse),
        g.edge_from(parse).to(what_is_it),
        g.edge_from(measure, count_tests, note_broken).to(package_row),
        g.edge_from(package_row).to(finish_package),
        g.edge_from(finish_package).to(all_rows),
        g.edge_from(all_rows).to(g.end_node),
    )
    return g.build()


def add_row(package: Row, module: Row) -> Row:
    """The reducer of `package_row`: fold a module into its package."""
    package.add(module)
    return package


# Plain functions that the steps use


def packages_in(root: Path) -> Iterator[Package]:
    """The packages directly below a folder; modules that are in none make one of their own."""
    single = sorted(path for path in root.glob('*.py') if path.is_file())
    if single:
        yield Package('(single modules)', root, single)
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name not in NOT_THE_LIBRARY):
        modules = [
            path for path in sorted(folder.rglob('*.py')) if path.is_file() and not belongs_elsewhere(path, root)
        ]
        if modules:
            yield Package(folder.name, root, modules)


def belongs_elsewhere(path: Path, root: Path) -> bool:
    folders = path.relative_to(root).parent.parts
    return any(folder in NOT_THE_LIBRARY or folder.startswith('.') for folder in folders)


def modules_of(package: Package) -> list[Module]:
    return [Module(package.name, path, is_test(path.relative_to(package.root))) for path in package.modules]


def is_test(path: Path) -> bool:
    return path.name.startswith('test_') or not TEST_FOLDERS.isdisjoint(path.parts)


def reason_of(error: Exception) -> str:
    """What is wrong, and in which line if that is known."""
    if not isinstance(error, SyntaxError):
        return str(error)
    return f'line {error.lineno}: {error.msg}' if error.lineno else error.msg


def measured(parsed: Parsed) -> Row:
    row = Row(parsed.module.package, files=1, lines=parsed.lines)
    for node in statements(parsed.tree):
        match node:
            case ast.ClassDef():
                row.classes += 1
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                row.functions += isinstance(node, ast.FunctionDef)
                row.async_functions += isinstance(node, ast.AsyncFunctionDef)
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                row.longest = max(row.longest, (length, f'{parsed.module.path.stem}.{node.name}'))
            case _:
                pass
    return row


def function_names(tree: ast.Module) -> Iterator[str]:
    return (node.name for node in statements(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements; functions and classes stand nowhere else, and expressions are most of a tree."""
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        for name in ('body', 'orelse', 'finalbody', 'handlers', 'cases'):
            inner = getattr(node, name, None)
            if isinstance(inner, list):
                pending.extend(cast('list[ast.AST]', inner))


# What is shown


class Live:
    """The progress bar: a listener of the run's events."""

    def __init__(self, console: Console) -> None:
        self.modules_found = 0
        self.modules_counted = 0
        self.progress = Progress(
            TextColumn('[bold]{task.description:>9}'),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('[dim]{task.fields[now]:20.20}'),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._packages = self.progress.add_task('packages', total=None, now='')
        self._modules = self.progress.add_task('modules', total=None, now='')

    def __call__(self, event: RunEvent) -> None:
        if not isinstance(event, Emitted):
            return  # the run also tells of steps and joins
        match event.event:
            case Found(packages, modules):
                self.modules_found = modules
                self.progress.update(self._packages, total=packages)
                self.progress.update(self._modules, total=modules)
            case Counted(module):
                self.modules_counted += 1
                self.progress.update(self._modules, advance=1, now=module.path.name)
            case PackageDone(name):
                self.progress.update(self._packages, advance=1, now=name)
            case _:
                pass


def show_table(console: Console, rows: list[Row], where: str) -> None:
    rows = sorted(rows, key=lambda row: -row.lines)
    total, rest = total_of(rows, f'{len(rows)} in all'), total_of(rows[ROWS_SHOWN:], f'{len(rows) - ROWS_SHOWN} more')
    is_wide = console.width >= 110
    table = Table(
        title=f'What is in {escape(where)}',
        title_justify='left',
        show_footer=True,
        box=box.SIMPLE,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0) if is_wide else 0,
    )
    cells = cells_of(total, is_wide)
    table.add_column('package', footer=cells[0], no_wrap=True)
    for name, footer in zip(
        ('files', 'lines', 'classes', 'defs', 'async', 'tests', 'broken'), cells[1:-1], strict=True
    ):
        table.add_column(name, footer=footer, justify='right')
    table.add_column(
        'longest function, in lines' if is_wide else 'longest', footer=cells[-1], justify='left' if is_wide else 'right'
    )
    for row in [*rows[:ROWS_SHOWN], *([rest] if rest.files else [])]:
        table.add_row(*cells_of(row, is_wide))
    console.print(table, '')
    if total.longest[0]:
        console.print(f'The longest function is {total.longest[1]}, with {total.longest[0]:,} lines.', highlight=False)
    if total.broken:
        console.print(f'Files that are not Python {sys.version_info.major}:', highlight=False)
        for text in total.broken:
            console.print(f'  {text}', markup=False, highlight=False, no_wrap=True, overflow='ellipsis')


def total_of(rows: list[Row], name: str) -> Row:
    total = Row()
    for row in rows:
        total.add(row)
    total.package = name
    return total


def cells_of(row: Row, is_wide: bool) -> list[str]:
    counts = (row.files, row.lines, row.classes, row.functions, row.async_functions, row.tests, len(row.broken))
    length, name = row.longest
    longest = f'{length:,}  {escape(name)}' if is_wide else f'{length:,}'
    return [escape(row.package), *(f'{count:,}' if count else '-' for count in counts), longest if length else '-']


def show_diagram(console: Console, graph: Graph[None, None, Request, list[Row]], folder: Path) -> None:
    picture = graph.render(title='A census of modules', direction='LR')
    folder.mkdir(parents=True, exist_ok=True)
    mermaid, page = folder / 'stdlib_census.mmd', folder / 'stdlib_census.md'
    mermaid.write_text(f'{picture}\n', encoding='utf-8')
    page.write_text(f'# The census graph\n\n```mermaid\n{picture}\n```\n', encoding='utf-8')
    console.print('\n[bold]The graph, as Mermaid text[/bold]\n')
    console.print(picture, markup=False, highlight=False)
    console.print(
        f'\nIt is in {shortest(mermaid)} (for https://mermaid.live) and in {shortest(page)} '
        f"(an editor's Markdown preview draws it).",
        highlight=False,
        soft_wrap=True,
    )


def shortest(path: Path) -> str:
    """A path as one would type it here."""
    return min(str(path), os.path.relpath(path), key=len)


# The command


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    warnings.simplefilter('ignore')  # the parser warns of old escapes in the library's own tests
    live = Live(console)
    started = time.perf_counter()
    try:
        graph = build_graph()
        with live.progress:
            rows = graph.run_sync(
                inputs=Request(options.path, options.packages), on_event=live, max_concurrency=options.threads
            )
    except KeyboardInterrupt:
        of = f'{live.modules_found:,}' if live.modules_found else 'all'
        console.print(f'Stopped after {live.modules_counted:,} of {of} modules.', highlight=False)
        return 130
    seconds = time.perf_counter() - started
    if not rows:
        return complain(f'there are no Python files in {options.path}. Name another folder with --path.')
    show_table(console, rows, where_of(options.path))
    show_diagram(console, graph, options.output)
    console.print(
        f'{live.modules_counted:,} modules in {seconds:.1f} s, at most {options.threads} at a time.', highlight=False
    )
    return 0


def where_of(path: Path) -> str:
    if path == standard_library():
        return f'the standard library of Python {sys.version.split()[0]}'
    return shortest(path)


def standard_library() -> Path:
    return Path(sysconfig.get_path('stdlib'))


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='stdlib_census',
        description="Count what is in Python's standard library, with a graph that forks and joins.",
    )
    parser.add_argument('--packages', type=whole_number, metavar='N', help='only the first N packages, by name')
    parser.add_argument(
        '--path', type=folder, default=standard_library(), metavar='DIR', help='count this folder instead'
    )
    parser.add_argument(
        '--threads', type=whole_number, default=8, metavar='N', help='how many steps run at a time (default: 8)'
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path(__file__).resolve().parents[1] / 'build',
        metavar='DIR',
        help='where the diagram goes (default: build)',
    )
    return parser.parse_args(arguments)


def whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number of 1 or more')
    return int(text)


def folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise argparse.ArgumentTypeError(f'there is no folder {text!r}')
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f'{text!r} is not a folder')
    return path.resolve()


def complain(text: str) -> int:
    print(f'stdlib_census: error: {text}', file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main())
