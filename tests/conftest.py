"""What all tests share: the event loops they run on, and how hard Hypothesis looks."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# No deadline: the machine may be slow and shared, and time is not what these tests are about.
# A failure prints the blob that repeats it; the seed is a new one each time, so that runs add up.
settings.register_profile('default', derandomize=False, deadline=None, print_blob=True)
settings.register_profile(
    'ci',
    settings.get_profile('default'),
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE') or ('ci' if os.environ.get('CI') == 'true' else 'default'))


@pytest.fixture(scope='session', params=['asyncio', 'trio'])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each asynchronous test on both loops; it need not ask for it."""
    return request.param


@pytest.fixture
def thread_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop of the thread, for tests of `run_sync`; whatever loop is there afterwards is closed."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.get_event_loop_policy().get_event_loop().close()
    loop.close()
    asyncio.set_event_loop(None)
