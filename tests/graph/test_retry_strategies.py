"""What strategies for retries are told, and that tenacity's are understood."""

from plait_graph import GraphBuilder, Retry, StepContext
from plait_graph.policies import AttemptState
from plait_graph.testing import ManualRun


def run_with(retry: Retry) -> ManualRun[None, str]:
    """A run with one step."""
    g = GraphBuilder(output_type=str)

    @g.step(retry=retry)
    async def ask(ctx: StepContext[None, None, None]) -> str:
        raise NotImplementedError

    g.add(g.edge_from(g.start_node).to(ask), g.edge_from(ask).to(g.end_node))
    return ManualRun(g.build())


def test_a_function_that_waits_is_told_of_attempt_error_and_time():
    """A function for `wait=` may ask for all that an `AttemptState` has, though nothing is said of stopping."""
    told: list[AttemptState] = []

    def wait(state: AttemptState) -> float:
        told.append(state)
        return 0

    run = run_with(Retry(2, wait=wait))
    error = ConnectionError('lost')
    run.fail('ask', error)

    (state,) = told
    assert (state.attempt_number, state.outcome.exception()) == (1, error)
    assert state.seconds_since_start > 0


def test_exponential_waits_double_up_to_a_maximum():
    """Without jitter each wait is twice the one before, and none is longer than the maximum."""
    run = run_with(Retry.exponential(4, initial=0.5, maximum=1.5, jitter=0))

    for seconds in (0.5, 1.0, 1.5):
        run.fail('ask', ConnectionError('lost'))
        run.advance(seconds - 0.01)
        assert run.running == []
        run.advance(0.01)
        assert len(run.running) == 1
