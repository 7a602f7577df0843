"""What type checkers say of right and of wrong programs; the programs are read and never run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RIGHT = sorted(Path(__file__).parent.glob('right/*.py'))
WRONG = sorted(Path(__file__).parent.glob('wrong*.py'))
SOURCES = [ROOT / 'packages' / name / 'src' for name in ('graph', 'agent')]


@pytest.fixture(scope='session', params=['pyright', 'mypy'])
def findings(request, tmp_path_factory):
    """All errors of a strict check, as pairs of file and line with the message."""
    folder = tmp_path_factory.mktemp(request.param)
    return {'pyright': ask_pyright, 'mypy': ask_mypy}[request.param](folder)


def ask_pyright(folder):
    """The errors of pyright in strict mode."""
    settings = folder / 'pyrightconfig.json'
    settings.write_text(
        json.dumps(
            {
                'include': [os.path.relpath(path, folder) for path in (*RIGHT, *WRONG)],  # it takes no absolute ones
                'extraPaths': [str(path) for path in SOURCES],
                'typeCheckingMode': 'strict',
                'pythonVersion': '3.11',
            }
        )
    )
    command = [sys.executable, '-m', 'pyright', '--pythonpath', sys.executable, '--outputjson', '-p', str(settings)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(answer.stdout)
    assert report['summary']['filesAnalyzed'] >= len(RIGHT) + len(WRONG)
    return [
        (Path(each['file']), each['range']['start']['line'] + 1, each['message'])
        for each in report['generalDiagnostics']
        if each['severity'] == 'error'
    ]


def ask_mypy(folder):
    """The errors of mypy in strict mode."""
    settings = folder / 'mypy.ini'
    settings.write_text(
        f'[mypy]\nstrict = true\npython_version = 3.11\nfollow_imports = silent\nmypy_path = {":".join(map(str, SOURCES))}\n'
    )
    command = [sys.executable, '-m', 'mypy', '--config-file', str(settings), '--cache-dir', str(folder / 'cache')]
    command += ['--no-pretty', '--show-absolute-path', *map(str, (*RIGHT, *WRONG))]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert answer.returncode in (0, 1), answer.stderr
    found = re.findall(r'^(.+?):(\d+): error: (.*)$', answer.stdout, re.MULTILINE)
    return [(Path(file), int(line), message) for file, line, message in found]


@pytest.mark.timeout(600)
@pytest.mark.parametrize('path', RIGHT, ids=lambda path: path.stem)
def test_right_programs_are_accepted(path, findings):
    """A strict checker has nothing to say against a right program."""
    assert [(line, message) for file, line, message in findings if file == path] == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize('path', WRONG, ids=lambda path: path.stem)
def test_each_wrong_line_is_refused(path, findings):
    """Each line of a wrong program that is marked has an error."""
    marked = {number for number, line in enumerate(path.read_text().splitlines(), 1) if line.endswith('# wrong')}
    refused = {line for file, line, _ in findings if file == path}

    assert sorted(marked - refused) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize('path', WRONG, ids=lambda path: path.stem)
def test_no_other_line_is_refused(path, findings):
    """No line of a wrong program has an error that is not marked."""
    lines = path.read_text().splitlines()
    unmarked = [each for each in findings if each[0] == path and not lines[each[1] - 1].endswith('# wrong')]

    assert unmarked == []
