"""Asynchronous sources of maps, each read by one task of the event loop from beginning to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from plait_graph._run.tokens import Region

if TYPE_CHECKING:
    from plait_graph._run.driver import Driver

_PULLS_WITHOUT_PAUSE = 64
"""How many items are read from a source before other tasks get their turn."""


class Reading:
    """Reads the sources of one run, as far as the scheduler asks for items."""

    def __init__(self, driver: Driver):
        self._driver = driver
        self._readers: dict[int, _Reader] = {}

    def pull(self, region: Region) -> None:
        """Get the next item of a source."""
        reader = self._readers.get(region.id)
        if reader is None:
            reader = self._readers[region.id] = _Reader()
            self._driver.start(lambda: self._read(region, reader))
        reader.want()

    async def _read(self, region: Region, reader: _Reader) -> None:
        driver = self._driver
        try:
            await driver.crew.run_body(region, driver.new_context(), self._read_all(region, reader))
        except BaseException as error:
            if driver.crew.is_outer(error):
                raise
            failure = error
            driver.guarded(lambda: driver.scheduler.broken(region, failure))
        finally:
            self._readers.pop(region.id, None)
            driver.guarded(driver.follow_up)
            driver.end_activity()

    async def _read_all(self, region: Region, reader: _Reader) -> None:
        scheduler = self._driver.scheduler
        source = region.source
        if source is None:
            return
        iterator = aiter(source.value)
        count = 0
        try:
            while True:
                await reader.wait_wanted()
                try:
                    item = await anext(iterator)
                except StopAsyncIteration:
                    scheduler.exhausted(region)
                    return
                scheduler.pulled(region, item)
                self._driver.follow_up()
                count += 1
                if count % _PULLS_WITHOUT_PAUSE == 0:
                    await anyio.lowlevel.checkpoint()
        finally:
            close = getattr(iterator, 'aclose', None)
            if close is not None:
                with anyio.CancelScope(shield=True):
                    await close()


class _Reader:
    """Whether the next item of a source is wanted."""

    def __init__(self) -> None:
        self._is_wanted = False
        self._event: anyio.Event | None = None

    def want(self) -> None:
        self._is_wanted = True
        if self._event is not None:
            self._event.set()

    async def wait_wanted(self) -> None:
        if not self._is_wanted:
            self._event = anyio.Event()
            await self._event.wait()
            self._event = None
        self._is_wanted = False
