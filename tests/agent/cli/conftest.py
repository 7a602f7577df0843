"""What tests of the chat share: its event loop, and a data folder that is theirs."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope='session')
def anyio_backend() -> str:
    """Run on asyncio: prompt-toolkit runs on no other loop."""
    return 'asyncio'


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep chats in a folder of the test's own."""
    folder = tmp_path / 'data'
    monkeypatch.setenv('PLAIT_DATA', str(folder))
    return folder
