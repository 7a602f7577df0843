"""What a scheduler asks of whoever drives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from plait_graph._run.tokens import Region, Task, Timer


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Stop the body of a task that runs; whatever it still gives is dropped."""

    task: Task


@dataclass(frozen=True, slots=True)
class PullItem:
    """Get the next item of an asynchronous source."""

    region: Region


@dataclass(frozen=True, slots=True)
class CloseSource:
    """Stop reading an asynchronous source."""

    region: Region


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Tell of a timer when its time is up."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Forget a timer."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class AskPermit:
    """Ask a limit by name to let the next task go on that waits for it."""

    name: str
    limit: Any
    weight: float


@dataclass(frozen=True, slots=True)
class ReturnPermit:
    """Give a permit back that no body has used."""

    task: Task


Command: TypeAlias = CancelTask | PullItem | CloseSource | StartTimer | StopTimer | AskPermit | ReturnPermit

FOR_WORK_TO_COME = PullItem, StartTimer, AskPermit
"""What is not to be done any more once the run has stopped."""
