"""Every Python block of the documentation runs, on the real package.

The blocks of a page follow one another as the cells of a notebook do; a block in a docstring stands alone.
What is printed is compared with the `#>` comments below the `print`.
Blocks marked `{test="compile"}` are programs for other libraries, and are only compiled.
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

import plait_graph
from plait_graph import Graph, limits

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / 'packages' / 'graph' / 'src' / 'plait_graph'
PAGES = [*sorted((ROOT / 'docs').rglob('*.md')), ROOT / 'README.md', ROOT / 'packages' / 'graph' / 'README.md']

LINE_LENGTH = 100

SCRIPT = {'__spec__': None}
"""What a module has that is run as a script; so processes that a block starts find what it defines."""


@pytest.fixture(autouse=True)
def own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each page have the names of limits for itself, as a program of its own has."""
    monkeypatch.setattr(limits, '_lines', {})


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the main module back, which a block takes the place of."""
    monkeypatch.setitem(sys.modules, '__main__', sys.modules['__main__'])


def blocks_by_page() -> list[Any]:
    """The Python blocks of each page that has some."""
    pages = groupby(find_examples(*PAGES), key=lambda block: block.path)
    return [pytest.param(list(blocks), id=str(page.relative_to(ROOT))) for page, blocks in pages]


def blocks_of_docstrings() -> list[Any]:
    """The Python blocks in the docstrings of the package."""
    return [pytest.param(block, id=f'{block.path.stem}:{block.start_line}') for block in find_examples(PACKAGE)]


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


MODULES = sorted(path.stem for path in PACKAGE.glob('*.py') if not path.stem.startswith('_'))


@pytest.mark.parametrize('name', MODULES)
def test_reference_has_every_public_name(name: str):
    """Each public name of a public module is on the module's page of the reference."""
    page = ROOT / 'docs' / 'reference' / f'{"node" if name == "node_types" else name}.md'
    said = set(re.findall(r'^        - (\w+)$|`(\w+)`', page.read_text(encoding='utf-8'), flags=re.MULTILINE))

    assert set(import_module(f'plait_graph.{name}').__all__) <= {either for pair in said for either in pair}


def test_reference_lists_the_front_door():
    """Each name that `plait_graph` gives is on the first page of the reference, and leads to its description."""
    page = (ROOT / 'docs' / 'reference' / 'index.md').read_text(encoding='utf-8')

    assert sorted(re.findall(r'\[`(\w+)`\]\[plait_graph\.\w+\.\1\]', page)) == sorted(plait_graph.__all__)
