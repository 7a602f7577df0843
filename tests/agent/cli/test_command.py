"""The command `plait`: what it says of itself, and its status when a line makes no sense."""

import sys
from typing import Any

import pytest

from plait_agent._cli import main


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """Say a line, and give the status."""
    monkeypatch.setattr(sys, 'argv', ['plait', *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_its_help_says_what_each_word_does(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A reader need not ask each word for its own help."""
    assert run(monkeypatch, '--help') == 0

    told = capsys.readouterr().out
    assert 'Talk with an agent' in told
    assert 'Fetch and keep models' in told


@pytest.mark.parametrize('words', [('nope',), ('chat', '--nope'), ('models', 'rm')])
def test_a_line_that_makes_no_sense_has_the_status_of_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Scripts can tell it from a run that has failed, and people are told what is wrong."""
    assert run(monkeypatch, *words) == 2

    assert 'Error' in ''.join(capsys.readouterr())


def test_missing_packages_are_named_with_what_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is there without its extra, and says what it lacks."""
    monkeypatch.setitem(sys.modules, 'cyclopts', None)

    assert "pip install 'plait-agent[cli]'" in run(monkeypatch)
