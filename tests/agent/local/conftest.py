"""Tests of local models: most need no weights, and those that do run with `make test-models`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

MARK = 'real_model'


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave real models out unless they are asked for by their mark, and say so in one line."""
    if MARK in config.getoption('markexpr'):
        return
    real = [item for item in items if item.get_closest_marker(MARK)]
    if not real:
        return
    items[:] = [item for item in items if not item.get_closest_marker(MARK)]
    config.hook.pytest_deselected(items=real)
    config.stash[LEFT_OUT] = len(real)


LEFT_OUT = pytest.StashKey[int]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out."""
    left_out = config.stash.get(LEFT_OUT, 0)
    if left_out:
        terminalreporter.write_line(
            f'{left_out} tests of real models were left out; `make test-models` fetches the weights and runs them.'
        )


@pytest.fixture(autouse=True)
def own_folders(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test that needs no weights an empty cache, and no settings of the user's."""
    if request.node.get_closest_marker(MARK):
        return
    monkeypatch.setenv('PLAIT_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'config'))
    monkeypatch.delenv('PLAIT_LOCAL_THREADS', raising=False)
