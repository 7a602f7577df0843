"""Every Python block of the documentation runs, on the real package.

The blocks of a page follow one another as the cells of a notebook do; a block in a docstring stands alone.
What is printed is compared with the `#>` comments below the `print`.
Blocks marked `{test="compile"}` are for other libraries, or need a real model, and are only compiled.
"""

import ast
import asyncio
import re
import sys
import traceback
import warnings
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

from plait_agent import Agent, models
from plait_graph import Graph, limits

ROOT = Path(__file__).parents[2]
PACKAGES = {
    'plait_graph': ROOT / 'packages' / 'graph' / 'src' / 'plait_graph',
    'plait_agent': ROOT / 'packages' / 'agent' / 'src' / 'plait_agent',
}
REFERENCE = {'plait_graph': ROOT / 'docs' / 'reference', 'plait_agent': ROOT / 'docs' / 'reference' / 'agent'}
READMES = [ROOT / 'README.md', *sorted((ROOT / 'packages').glob('*/README.md'))]
PAGES = [*sorted((ROOT / 'docs').rglob('*.md')), *READMES]

LINE_LENGTH = 100

SCRIPT = {'__spec__': None}
"""What a module has that is run as a script; so processes that a block starts find what it defines."""


@pytest.fixture(autouse=True)
def own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each page have the names of limits for itself, as a program of its own has."""
    monkeypatch.setattr(limits, '_lines', {})


@pytest.fixture(autouse=True)
def own_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what a page switches for the whole process."""
    monkeypatch.setattr(models, 'ALLOW_MODEL_REQUESTS', models.ALLOW_MODEL_REQUESTS)
    monkeypatch.setattr(Agent, '_instrument_default', Agent._instrument_default)


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the main module back, which a block takes the place of."""
    monkeypatch.setitem(sys.modules, '__main__', sys.modules['__main__'])


def blocks_by_page() -> list[Any]:
    """The Python blocks of each page that has some."""
    pages = groupby(find_examples(*PAGES), key=lambda block: block.path)
    return [pytest.param(list(blocks), id=str(page.relative_to(ROOT))) for page, blocks in pages]


def blocks_of_docstrings() -> list[Any]:
    """The Python blocks in the docstrings of the packages."""
    blocks = find_examples(*PACKAGES.values())
    return [pytest.param(block, id=f'{block.path.stem}:{block.start_line}') for block in blocks]


def check(block: CodeExample, evaluate: EvalExample, names: dict[str, Any]) -> dict[str, Any]:
    """Run a block with the names of those before it, or compile it if it is for another library."""
    what = block.prefix_settings().get('test')
    assert what in (None, 'compile'), f'{block}: test={what!r} is not known here'
    if what == 'compile':
        ast.parse(block.source)
        return {}
    run = evaluate.run_print_update if evaluate.update_examples else evaluate.run_print_check
    raised = ''
    try:
        return run(block, module_globals={**names, **SCRIPT}, rewrite_assertions=False)
    except Exception as error:  # noqa: BLE001 # pytest stumbles over the frames that pytest-examples makes up for it
        raised = ''.join(traceback.format_exception_only(error))
    finally:
        forget_event_loop()
    pytest.fail(f'{block} raised {raised}', pytrace=False)


def forget_event_loop() -> None:
    """Close the loop that `run_sync` keeps for its next call."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # Python says so where it makes a loop to be closed
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:
            return
    loop.close()
    asyncio.set_event_loop(None)


@pytest.mark.parametrize('blocks', blocks_by_page())
def test_blocks_of_a_page_run(blocks: list[CodeExample], eval_example: EvalExample):
    """A reader who types in a page from its top sees what the page says; its diagrams are those of its graphs."""
    eval_example.set_config(line_length=LINE_LENGTH, quotes='single')
    names: dict[str, Any] = {}
    pictures: set[str] = set()
    for block in blocks:
        names |= {name: value for name, value in check(block, eval_example, names).items() if name[:2] != '__'}
        pictures |= pictures_of(names)

    for picture in diagrams_of(blocks[0].path):
        assert picture in pictures, f'no graph of this page is drawn as\n{picture}'


@pytest.mark.parametrize('block', blocks_of_docstrings())
def test_blocks_of_docstrings_run(block: CodeExample, eval_example: EvalExample):
    """An example in a docstring runs as it stands."""
    eval_example.set_config(line_length=LINE_LENGTH, quotes='single')
    check(block, eval_example, {})


def pictures_of(names: dict[str, Any]) -> set[str]:
    """What the graphs among some names are drawn as."""
    graphs = [value for value in names.values() if isinstance(value, Graph)]
    graphs += [value.graph for value in names.values() if isinstance(value, Agent)]
    return {graph.render(direction=direction) for graph in graphs for direction in (None, 'LR')}


def diagrams_of(page: Path) -> list[str]:
    """The Mermaid blocks of a page."""
    return re.findall(r'^```mermaid\n(.*?)\n```$', page.read_text(encoding='utf-8'), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_have_lines_of_their_own(page: Path):
    """One sentence a line, so that changes read well."""
    text = re.sub(r'^( *)```.*?^\1```', '', page.read_text(encoding='utf-8'), flags=re.DOTALL | re.MULTILINE)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith('|')]
    text = '\n'.join(re.sub(r'`[^`]*`', 'code', line) for line in lines)

    assert re.findall(r'.*(?<!e\.g)(?<!i\.e)[a-z)`][.?!] +[A-Z].*', text) == []


def public_rooms() -> list[tuple[str, str]]:
    """Packages, each with the dotted names of the rooms that users import from."""
    rooms = [
        (package, '.'.join(path.relative_to(folder).with_suffix('').parts).removesuffix('.__init__'))
        for package, folder in PACKAGES.items()
        for pattern in ('*.py', '*/__init__.py', 'models/*.py')
        for path in folder.glob(pattern)
    ]
    return sorted({(package, room) for package, room in rooms if not re.search(r'(^|\.)_', room)})


@pytest.mark.parametrize(('package', 'room'), public_rooms())
def test_reference_has_every_public_name(package: str, room: str):
    """Each public name of a public room is on the room's page of the reference."""
    name = 'node' if room == 'node_types' else room
    page = (REFERENCE[package] / f'{name}.md').read_text(encoding='utf-8')
    said = set(re.findall(r'^        - (\w+)$|`(\w+)`', page, flags=re.MULTILINE))

    assert set(import_module(f'{package}.{room}').__all__) <= {either for pair in said for either in pair}


@pytest.mark.parametrize('package', PACKAGES)
def test_reference_lists_the_front_door(package: str):
    """Each name that a package gives is on the first page of its reference, and leads to its description."""
    page = (REFERENCE[package] / 'index.md').read_text(encoding='utf-8')
    door = set(import_module(package).__all__) - {'models', '__version__'}

    assert sorted(re.findall(rf'\[`(\w+)`\]\[{package}\.[\w.]+\.\1\]', page)) == sorted(door)
