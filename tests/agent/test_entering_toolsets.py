"""When toolsets are entered and left, and those that are found while a run goes on."""

from typing import Any

import anyio
import pytest
from toolset_parts import Watched, call, context, names, one, two

from plait_agent import Agent
from plait_agent.exceptions import UserError
from plait_agent.tools import RunContext
from plait_agent.toolsets import AbstractToolset, CombinedToolset, FunctionToolset
from plait_agent.toolsets._dynamic import DynamicToolset

# ---------------------------------------------------------------------------------- entering


async def test_toolsets_are_entered_in_order_and_once():
    """Who comes second finds them entered; who goes last leaves them, in the other order."""
    log = []
    toolset = CombinedToolset([Watched(log, id='a'), FunctionToolset(), Watched(log, id='b').prefixed('p')])

    async with toolset:
        async with toolset:
            assert log == ['enter a', 'enter b']
        assert log == ['enter a', 'enter b']
    assert log == ['enter a', 'enter b', 'leave b', 'leave a']

    async with toolset:
        pass
    assert log[4:] == log[:4]


async def test_a_toolset_that_comes_late_is_entered_with_the_next_who_comes_first():
    """A combination in which nothing has to be entered can be entered all the same, as often as one likes."""
    log = []
    toolsets = [FunctionToolset([one])]
    toolset = CombinedToolset(toolsets)

    async with toolset, toolset:
        assert await names(toolset) == ['one']
    toolsets.append(Watched(log, [two], id='late'))
    async with toolset:
        assert await names(toolset) == ['one', 'two']

    assert log == ['enter late', 'leave late']


async def test_who_comes_while_others_enter_waits_for_them():
    """Nobody uses a toolset that is not quite there."""
    log = []
    may_enter = anyio.Event()

    class Slow(Watched):
        async def __aenter__(self):
            await may_enter.wait()
            return await super().__aenter__()

    async def use():
        async with toolset:
            log.append('use')

    toolset = CombinedToolset([Slow(log, id='slow')])
    async with anyio.create_task_group() as group:
        group.start_soon(use)
        group.start_soon(use)
        await anyio.wait_all_tasks_blocked()
        may_enter.set()

    assert log[0] == 'enter slow'
    assert sorted(log[1:]) == ['leave slow', 'use', 'use']
    assert log[-1] == 'leave slow'


async def test_a_toolset_that_cannot_be_entered_leaves_those_before_it():
    """The error comes through, and the next to come tries again."""
    log = []

    class Failing(Watched):
        async def __aenter__(self):
            self.log.append('fail')
            raise ValueError('no')

    toolset = CombinedToolset([Watched(log, id='a'), Failing(log, id='b')])

    for _ in range(2):
        with pytest.raises(ValueError, match=r'^no$'):
            await toolset.__aenter__()
    assert log == ['enter a', 'fail', 'leave a'] * 2


async def test_who_is_cancelled_leaves_too():
    """Toolsets are left whatever ends a run, also if it has to wait for its turn."""
    log = []
    may_leave = anyio.Event()

    class Slow(Watched):
        async def __aexit__(self, kind, error, traceback):
            with anyio.CancelScope(shield=True):
                await may_leave.wait()
            await super().__aexit__(kind, error, traceback)

    toolset = CombinedToolset([Slow(log, id='slow')])

    async def use(scope):
        with scope:
            async with toolset:
                await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        scopes = [anyio.CancelScope(), anyio.CancelScope()]
        for scope in scopes:
            group.start_soon(use, scope)
        await anyio.wait_all_tasks_blocked()
        for scope in scopes:
            scope.cancel()
        await anyio.wait_all_tasks_blocked()
        may_leave.set()

    assert log == ['enter slow', 'leave slow']


# ---------------------------------------------------------------------------------- dynamic


def sequence(*toolsets):
    """A function that finds one toolset after the other, and the steps in which it was asked."""
    left, asked = list(toolsets), []

    def find(ctx: RunContext[Any]) -> AbstractToolset[Any] | None:
        asked.append(ctx.run_step)
        return left.pop(0)

    return find, asked


async def test_a_toolset_is_found_in_each_step():
    """What was found before is left, then the new one is entered; the same one again stays as it is."""
    log = []
    a, b = Watched(log, [one], id='a'), Watched(log, [two], id='b')
    find, asked = sequence(a, a, b, None, a)
    toolset = DynamicToolset(find, id='dynamic')

    async with toolset:
        offered = [await names(toolset, context(run_step=step)) for step in (1, 1, 2, 3, 4, 5)]
        assert log == ['enter a', 'leave a', 'enter b', 'leave b', 'enter a']

    assert offered == [['one'], ['one'], ['one'], ['two'], [], ['one']]
    assert asked == [1, 2, 3, 4, 5]
    assert log[-1] == 'leave a'
    assert toolset.label == "DynamicToolset 'dynamic'"


async def test_a_toolset_can_be_found_once_for_a_run():
    """Also if it is none; the next run asks again."""
    find, asked = sequence(None, FunctionToolset([one]))
    toolset = DynamicToolset(find, per_run_step=False)

    for expected in ([], ['one']):
        async with toolset:
            assert [await names(toolset, context(run_step=step)) for step in (1, 2)] == [expected, expected]
    assert asked == [1, 1]


async def test_the_toolset_that_was_found_is_called():
    """Its tools are called through it; the function may be async."""

    async def find(_ctx: RunContext[Any]) -> AbstractToolset[Any]:
        return FunctionToolset([one]).prefixed('p')

    toolset = DynamicToolset(find)
    async with toolset:
        assert await call(toolset, 'p_one', {'a': 6}) == 6
    with pytest.raises(UserError, match=r"^DynamicToolset has no toolset that could call 'p_one'\."):
        await toolset.call_tool('p_one', {}, context(), None)


async def test_a_toolset_that_is_found_is_left_whatever_ends_the_run():
    """An error in the run, an error of the function and an error on entering leave nothing entered."""
    log = []

    async def two_steps(toolset):
        async with toolset:
            await toolset.get_tools(context(run_step=1))
            await toolset.get_tools(context(run_step=2))

    class Failing(Watched):
        async def __aenter__(self):
            raise ValueError('cannot be entered')

    find, _ = sequence(Watched(log, id='a'), Failing(log, id='b'))
    toolset = DynamicToolset(find)

    with pytest.raises(ValueError, match='cannot be entered'):
        await two_steps(toolset)
    assert log == ['enter a', 'leave a']

    find, _ = sequence(Watched(log, id='c'))
    with pytest.raises(IndexError):
        await two_steps(DynamicToolset(find))
    assert log[2:] == ['enter c', 'leave c']


async def test_what_is_no_toolset_is_refused():
    """The function and what it gave are named."""

    def find(_ctx: RunContext[Any]) -> Any:
        return [one]

    with pytest.raises(
        UserError, match=r"^Toolset function 'find' gave \[<function one at .*\]\. Let it give a toolset"
    ):
        await DynamicToolset(find).get_tools(context())


async def test_runs_at_the_same_time_find_toolsets_of_their_own():
    """A toolset for a run is another one only if something in it belongs to the run."""
    plain = CombinedToolset([FunctionToolset([one]).prefixed('p')])
    find, _ = sequence(FunctionToolset([one]), FunctionToolset([two]))
    shared = CombinedToolset([FunctionToolset(), DynamicToolset(find).prefixed('d')])
    first, second = shared.for_run(), shared.for_run()

    async with first, second:
        assert await names(first) == ['d_one']
        assert await names(second) == ['d_two']
        assert await names(first) == ['d_one']
    assert plain.for_run() is plain
    assert first.toolsets[0] is shared.toolsets[0]


async def test_visitors_see_what_was_found():
    """Before that the toolset stands for itself."""
    found = FunctionToolset()
    toolset = DynamicToolset(lambda ctx: found.prefixed('p'))
    seen = []

    toolset.apply(seen.append)
    async with toolset:
        await toolset.get_tools(context())
        toolset.apply(seen.append)

    assert seen == [toolset, found]


async def test_an_agent_is_entered_by_the_first_block_and_left_by_the_last():
    """Blocks within blocks share what they have entered, so that nothing is left while somebody needs it."""
    log = []
    agent = Agent('test', toolsets=[Watched(log, id='a'), Watched(log, id='b')])

    async with agent:
        async with agent:
            assert log == ['enter a', 'enter b']
        assert log == ['enter a', 'enter b']

    assert log == ['enter a', 'enter b', 'leave b', 'leave a']
