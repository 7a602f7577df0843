"""What maps pull their items from, item by item as places come free."""

from __future__ import annotations

from typing import Any

from plait_graph._run.commands import CloseSource, PullItem
from plait_graph._run.evaluator import EXHAUSTED
from plait_graph._run.machine import FAILED, Machine
from plait_graph._run.tokens import Region

SOURCE_THREAD = -(1 << 62)
"""Where the token of a source is counted: it belongs to no item and to no join."""


def want_item(machine: Machine, region: Region) -> None:
    """See to it that a map gets its next item, if it has a place for it."""
    source = region.source
    if source is None or source.requested or not source.has_room:
        return
    source.requested = True
    if source.is_async:
        machine.commands.append(PullItem(region))
    else:
        machine.counts.agenda.thirsty.append(region)


def pull(machine: Machine, region: Region) -> Any:
    """The next item of a plain iterable, `EXHAUSTED`, or `FAILED`."""
    source = region.source
    if source is None or source.iterator is None:
        return EXHAUSTED
    try:
        return machine.evaluator.pull(source.iterator)
    except Exception as error:  # noqa: BLE001 # the user's own, handed on
        fail_source(machine, region, error)
        return FAILED


def fail_source(machine: Machine, region: Region, error: BaseException) -> None:
    """Note that a map cannot get its next item: all of its run has failed."""
    parent = region.parent or region
    what = 'the items of map'
    machine.fail_at(region.node, parent, region.index, region.visit, error, what, broken=region)


def close_source(machine: Machine, region: Region) -> None:
    """Stop reading a map's source."""
    source = region.source
    if source is None or source.exhausted:
        return
    source.exhausted = True
    source.iterator = None
    if machine.sources.pop(region.id, None) is not None:
        machine.commands.append(CloseSource(region))
    machine.counts.remove(region, region.node.leaving, SOURCE_THREAD)
