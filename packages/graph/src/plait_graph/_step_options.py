"""From the keywords that a step is given to its policy, or to what is wrong with them."""

from __future__ import annotations

from typing import Any

from plait_graph.exceptions import GraphSetupError
from plait_graph.policies import LoopGuard, Retry, StepOptions, StepPolicy, seconds_of


def step_policy(step_id: str, options: StepOptions) -> StepPolicy | None:
    """The policy that keywords say; nothing if they say nothing.

    Raises:
        GraphSetupError: One of them makes no sense, or is unknown.
    """
    said: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    unknown = said.keys() - StepOptions.__annotations__.keys()
    if unknown:
        raise GraphSetupError(
            f'Step {step_id!r} was given {sorted(unknown)}, which no step knows. '
            f'The policies are {", ".join(StepOptions.__annotations__)}.'
        )
    if not said:
        return None
    if isinstance(said.get('retry'), int):
        said['retry'] = Retry(said['retry'])
    if isinstance(said.get('loop_guard'), int):
        said['loop_guard'] = LoopGuard(said['loop_guard'])
    for name in ('timeout', 'idle_timeout'):
        if name in said:
            said[name] = seconds_of(said[name], f'Step {step_id!r}: {name}')
    limit = said.get('max_concurrency', 1)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise GraphSetupError(f'Step {step_id!r}: max_concurrency={limit!r} lets no body run. Give at least 1.')
    if 'timeout' in said and said.get('idle_timeout', 0) >= said['timeout']:
        raise GraphSetupError(
            f'Step {step_id!r}: idle_timeout={said["idle_timeout"]:g} is never reached before '
            f'timeout={said["timeout"]:g}. Give a shorter one, or leave it out.'
        )
    _check_type(step_id, 'retry', said.get('retry'), Retry)
    _check_type(step_id, 'loop_guard', said.get('loop_guard'), LoopGuard)
    _check_cache(step_id, said.get('cache'))
    _check_limit(step_id, said.get('limit'))
    return StepPolicy(**said)


def _check_type(step_id: str, name: str, value: Any, wanted: type) -> None:
    if value is not None and not isinstance(value, wanted):
        raise GraphSetupError(f'Step {step_id!r}: {name}={value!r} is no {wanted.__name__}. Give one, or a number.')


def _check_cache(step_id: str, cache: Any) -> None:
    if cache is None:
        return
    from plait_graph.cache import Cache

    if not isinstance(cache, Cache):
        raise GraphSetupError(f'Step {step_id!r}: cache={cache!r} is no Cache. Give Cache(), or Cache(store=...).')


def _check_limit(step_id: str, limit: Any) -> None:
    if limit is None or (isinstance(limit, str) and limit):
        return
    from plait_graph.limits import Limit, WeighedLimit

    if not isinstance(limit, Limit | WeighedLimit):
        raise GraphSetupError(
            f'Step {step_id!r}: limit={limit!r} is no limit. Give Limit(...), limit.weighing(...), or the name of one.'
        )
