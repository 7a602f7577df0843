"""Results of steps, kept so that a body need not run again."""

from __future__ import annotations

import copy
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from plait_graph.exceptions import GraphRuntimeError, GraphSetupError
from plait_graph.policies import Duration, seconds_of
from plait_graph.util import Some, get_callable_name

__all__ = 'Cache', 'CacheStore', 'MemoryCache'


class CacheStore(Protocol):
    """Where results are kept. Give your own to keep them on a disk or in a server."""

    async def get(self, key: str) -> Some[Any] | None:
        """The value under a key, or nothing if there is none or its time is over."""
        ...

    async def set(self, key: str, value: Any, ttl: float | None) -> None:
        """Keep a value for some seconds, or for ever."""
        ...


class MemoryCache:
    """Keeps results in the memory of this process, the latest used ones if there are too many.

    Values are copied on their way in and out, so that nobody changes what is kept.

    Args:
        max_size: How many results are kept.
        clock: Gives the time in seconds.

    Raises:
        GraphSetupError: It could keep nothing.
    """

    def __init__(self, max_size: int = 1024, *, clock: Callable[[], float] = time.monotonic):
        if max_size < 1:
            raise GraphSetupError(f'MemoryCache(max_size={max_size!r}) can keep nothing. Give 1 or more.')
        self.max_size = max_size
        self._clock = clock
        self._kept: OrderedDict[str, tuple[Any, float | None]] = OrderedDict()

    async def get(self, key: str) -> Some[Any] | None:
        """The value under a key, or nothing if there is none or its time is over."""
        found = self._kept.get(key)
        if found is None:
            return None
        value, ends = found
        if ends is not None and self._clock() >= ends:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return Some(copy.deepcopy(value))

    async def set(self, key: str, value: Any, ttl: float | None) -> None:
        """Keep a value for some seconds, or for ever."""
        self._kept[key] = _copy(value), None if ttl is None else self._clock() + ttl
        self._kept.move_to_end(key)
        while len(self._kept) > self.max_size:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget all results."""
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f'<MemoryCache with {len(self)} of {self.max_size} results>'


def _copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise GraphRuntimeError(
            f'A value of type {type(value).__name__} cannot be copied ({error}), and MemoryCache keeps copies. '
            f'Let the step give plain data, or give Cache(store=...) that can keep it.'
        ) from error


@dataclass(frozen=True, slots=True)
class Cache:
    """How the results of a step are kept.

    A result that is found is the step's value at once: no body runs, and no limit is asked. Failures are not kept.

    Args:
        key: Makes the key from the step's context; without it, the inputs as JSON are the key. The names of the step
            and of its function are always a part of it, so that several steps may share a store. What a function has
            closed over is not: graphs that are made by one function need a store each.
        ttl: How long a result is good; a number means seconds, `None` means for ever.
        store: Where results are kept; in the memory of the process, if nothing else is said.

    Raises:
        GraphSetupError: The key cannot be called, or the time is none.
    """

    key: Callable[[Any], object] | None = None
    ttl: Duration | None = None
    store: CacheStore = field(default_factory=MemoryCache)

    def __post_init__(self) -> None:
        if self.key is not None and not callable(self.key):
            raise GraphSetupError(f'Cache(key={self.key!r}) cannot be called. Give a function of a StepContext.')
        if self.ttl is not None:
            seconds_of(self.ttl, 'Cache: ttl')

    async def find(self, key: str) -> Some[Any] | None:
        """What is kept under a key, if anything is."""
        return await self.store.get(key)

    async def keep(self, key: str, value: Any) -> None:
        """Keep a value under a key."""
        await self.store.set(key, value, None if self.ttl is None else seconds_of(self.ttl, 'ttl'))

    def key_of(self, step_id: str, call: Any, context: Any) -> str:
        """The key of a step's call. Made before the body runs, which may change its inputs.

        Raises:
            GraphRuntimeError: The inputs, or what `key` makes of the context, cannot be written as JSON.
        """
        import hashlib

        from pydantic_core import PydanticSerializationError, to_json

        subject = context.inputs if self.key is None else self.key(context)
        try:
            text = to_json(subject)
        except (PydanticSerializationError, ValueError) as error:
            raise GraphRuntimeError(
                f'Step {step_id!r} is cached, and {"its inputs" if self.key is None else "its key"} of type '
                f'{type(subject).__name__} cannot be written as JSON: {error}. '
                f'Give Cache(key=...) that returns text or numbers.'
            ) from error
        name = f'{getattr(call, "__module__", "")}.{getattr(call, "__qualname__", get_callable_name(call))}'
        return f'{name}:{step_id}:{type(subject).__qualname__}:{hashlib.sha256(text).hexdigest()}'
