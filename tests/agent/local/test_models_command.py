import os
from pathlib import Path

import pytest
from local_parts import DIGEST, WHOLE

from plait_agent._cli.models import app
from plait_agent._local.folders import config_folder, models_folder


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of the user's, as a file of a few bytes on a server of files."""
    source = tmp_path / 'source.gguf'
    source.write_bytes(WHOLE)
    path = config_folder() / 'models.toml'
    path.parent.mkdir(parents=True)
    path.write_text(
        f'[models.tiny]\nsha256 = "{DIGEST}"\nsize = {len(WHOLE)}\nlicence = "MIT"\nnote = "For trying."\n'
        f'[[models.tiny.sources]]\nkind = "url"\nurl = "{source.as_uri()}"\n'
    )
    monkeypatch.setenv('COLUMNS', '200')
    return source


def say(*words: str) -> int:
    """Run a command, and give its status."""
    try:
        app(list(words), exit_on_error=False, result_action='return_value')
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def test_models_are_listed_with_their_state(capsys: pytest.CaptureFixture[str]):
    """The list has names, sizes, licences, and what is here."""
    say('list')
    lines = capsys.readouterr().out.splitlines()

    assert any(line.split()[:5] == ['tiny', '15.3', 'KiB', 'MIT', 'no'] for line in lines)
    assert lines[-1] == 'The default is qwen2.5-coder-0.5b.'


def test_pulling_says_size_and_licence_first(capsys: pytest.CaptureFixture[str]):
    """What is about to be fetched is told before, and where it is after."""
    assert say('pull', 'tiny') == 0
    told = capsys.readouterr().out

    assert told.index('15.3 KiB, to be fetched once. Its licence is MIT.') < told.index('tiny is ready: ')
    assert (models_folder() / 'tiny.gguf').read_bytes() == WHOLE


def test_pulling_twice_fetches_once(tiny: Path, capsys: pytest.CaptureFixture[str]):
    """The second time nothing is needed."""
    say('pull', 'tiny')
    tiny.unlink()

    assert say('pull', 'tiny') == 0
    assert 'tiny is here already' in capsys.readouterr().out


def test_paths_and_removal(capsys: pytest.CaptureFixture[str]):
    """`path` prints where a model is, and `rm` takes it away."""
    say('pull', 'tiny')
    capsys.readouterr()
    say('path', 'tiny')
    assert capsys.readouterr().out == f'{models_folder() / "tiny.gguf"}\n'
    say('rm', 'tiny')
    assert 'tiny is gone, 15.' in capsys.readouterr().out
    say('rm', 'tiny')
    assert capsys.readouterr().out == 'Nothing of tiny is here.\n'
    say('path')
    assert capsys.readouterr().out == f'{models_folder()}\n'


@pytest.mark.parametrize('words', [('pull', 'nonsense'), ('path', 'tiny'), ('rm', 'nonsense')])
def test_mistakes_end_with_a_line_and_a_status(words: tuple[str, str]):
    """There is no traceback for a wrong name."""
    with pytest.raises(SystemExit, match=r'^plait: '):
        app(list(words), exit_on_error=False, result_action='return_value')


def test_a_stopped_download_is_told(tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Ctrl-C ends with status 130 and a line that says what is kept."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', interrupted)

    assert say('pull', 'tiny') == 130
    assert 'What was fetched is kept' in capsys.readouterr().err
