"""Ten thousand requests with faults by chance: every run ends as it should, and nothing is left behind."""

from itertools import pairwise

import pytest
from real_models import KINDS, Kind, readers_may_be_left
from soak import Report, soak

pytestmark = [readers_may_be_left, pytest.mark.timeout(300)]

PARTS = 4
REQUESTS = 625
"""In each part of a soak, of each of four models: ten thousand together."""
_NOISE = 300
"""By how many objects the memory may differ after two parts; one that each run left would be more, each time."""


def check(report: Report) -> None:
    """See that every run has ended in the right result or a named error, and that nothing is left."""
    assert report.wrong == []
    assert report.right > 0
    assert report.named
    assert (report.tasks, report.connections) == (0, 0)


@pytest.mark.parametrize('anyio_backend', ['asyncio'])
@pytest.mark.parametrize('kind', KINDS, ids=lambda kind: kind.api)
async def test_a_long_soak_leaves_nothing_behind(kind: Kind):
    """Results and errors are right, no task or connection is left, and memory does not grow from part to part."""
    parts = [await soak(seed, REQUESTS, kinds=[kind]) for seed in range(PARTS)]

    for part in parts:
        check(part)
    assert sum(part.requests for part in parts) >= PARTS * REQUESTS
    # What the process has met for the first time stays in some cache; what is lost is lost in every part.
    assert min(after.objects - before.objects for before, after in pairwise(parts)) < _NOISE


async def test_models_of_all_providers_soak_at_once():
    """They do not disturb one another, on asyncio and on trio."""
    check(await soak(3, 500, at_once=40))
