"""What the behaviour tests of the engine share."""

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture
def thread_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop of the thread, for tests of `run_sync`; whatever loop is there afterwards is closed."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.get_event_loop_policy().get_event_loop().close()
    loop.close()
    asyncio.set_event_loop(None)
