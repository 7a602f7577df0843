"""Every example runs, and prints what it says that it prints."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / 'examples'
DEMO = EXAMPLES / 'stdlib_census.py'
LOCAL = EXAMPLES / 'local_agents.py'
"""Needs the weights of a model; `make test-models` runs it."""
SHORT = sorted(path for path in EXAMPLES.glob('*.py') if path not in (DEMO, LOCAL))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python as a user would, with every warning an error."""
    return subprocess.run(
        [sys.executable, '-W', 'error', *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, 'PYTHONIOENCODING': 'utf-8'},
    )


def promised_output(example: Path) -> str:
    """What stands below the line `# Prints:` at the end of an example."""
    _, _, comment = example.read_text(encoding='utf-8').rpartition('# Prints:\n')
    return '\n'.join(line.removeprefix('#').removeprefix(' ') for line in comment.splitlines())


@pytest.mark.parametrize('example', SHORT, ids=lambda path: path.stem)
def test_example_prints_what_it_says(example: Path):
    """A short example prints the text in its last comment and nothing else."""
    result = run(example)

    assert result.stderr == ''
    assert result.stdout.rstrip('\n') == promised_output(example)


@pytest.mark.parametrize('example', [*SHORT, DEMO, LOCAL], ids=lambda path: path.stem)
def test_example_begins_with_what_it_shows(example: Path):
    """The first line of an example is a docstring that says what it shows."""
    first = example.read_text(encoding='utf-8').splitlines()[0]

    assert first.startswith('"""')
    assert first.removesuffix('"""').endswith('.')


def test_local_agents_say_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without the weights the example ends with the command that fetches them, and no traceback."""
    monkeypatch.setenv('PLAIT_CACHE', str(tmp_path))

    result = run(LOCAL)

    assert result.returncode == 1
    assert 'Fetch them once: plait models pull qwen2.5-coder-0.5b' in result.stderr
    assert 'Traceback' not in result.stderr


def test_demo_counts_three_packages(tmp_path: Path):
    """The demo prints a row a package, its diagram, and where it wrote that."""
    result = run(DEMO, '--packages', 3, '--output', tmp_path)

    assert result.stderr == ''
    assert result.returncode == 0
    assert '3 in all' in result.stdout
    assert '(single modules)' in result.stdout
    assert 'what_is_it --> note_broken: not Python' in result.stdout
    assert f'{tmp_path.name}/stdlib_census.md' in result.stdout  # from the root or from here, as is shorter
    picture = (tmp_path / 'stdlib_census.mmd').read_text(encoding='utf-8')
    assert f'```mermaid\n{picture}```' in (tmp_path / 'stdlib_census.md').read_text(encoding='utf-8')


def test_demo_tells_modules_tests_and_broken_files_apart(tmp_path: Path):
    """Each file of a folder is counted as what the parser found it to be."""
    package = tmp_path / 'source' / 'shop'
    (package / 'tests').mkdir(parents=True)
    (package / 'till.py').write_text('class Till:\n    def open(self):\n        pass\n    async def close(self): ...\n')
    (package / 'tests' / 'test_till.py').write_text('def test_open(): ...\ndef test_close(): ...\ndef helper(): ...\n')
    (package / 'notes.py').write_text('what is Python?\n')

    result = run(DEMO, '--path', tmp_path / 'source', '--output', tmp_path / 'build')

    assert result.returncode == 0
    row = next(line.split() for line in result.stdout.splitlines() if line.startswith('shop'))
    assert row == ['shop', '3', '8', '1', '4', '1', '2', '1', '2', 'till.open']
    assert 'notes.py: line 1: invalid syntax' in result.stdout


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--packages', '0'], "'0' is not a whole number of 1 or more"),
        (['--packages', 'few'], "'few' is not a whole number of 1 or more"),
        (['--path', 'no/such/folder'], "there is no folder 'no/such/folder'"),
        (['--path', __file__], 'is not a folder'),
        (['--path', '{empty}'], 'there are no Python files in'),
    ],
    ids=lambda value: None if isinstance(value, str) else ' '.join(value)[:20],
)
def test_demo_says_what_is_wrong_with_its_arguments(arguments: list[str], message: str, tmp_path: Path):
    """Wrong arguments end the demo with a message and no traceback."""
    result = run(DEMO, *(argument.format(empty=tmp_path) for argument in arguments))

    assert result.returncode == 2
    assert message in result.stderr
    assert 'Traceback' not in result.stderr


INTERRUPTED = """
import signal, sys
sys.path.insert(0, {examples!r})
import stdlib_census

class Live(stdlib_census.Live):
    def __call__(self, event):
        super().__call__(event)
        if isinstance(getattr(event, "event", None), stdlib_census.Counted) and self.modules_counted == 20:
            signal.raise_signal(signal.SIGINT)

stdlib_census.Live = Live
sys.exit(stdlib_census.main(["--packages", "2"]))
"""


@pytest.mark.skipif(not hasattr(signal, 'raise_signal'), reason='needs signals')
def test_demo_ends_with_one_line_when_interrupted():
    """Ctrl-C in the middle stops the run, waits for its threads, and says so in one line."""
    result = run('-c', INTERRUPTED.format(examples=str(EXAMPLES)))

    assert result.stderr == ''
    assert result.returncode == 130
    assert len(result.stdout.strip().splitlines()) == 1
    assert result.stdout.strip().startswith('Stopped after 2')
