"""How toolsets list, wrap, join and call their tools."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from toolset_parts import Watched, call, context, names, one, two

from plait_agent.exceptions import ApprovalRequired, UserError
from plait_agent.tools import RunContext, Tool, ToolDefinition
from plait_agent.toolsets import (
    ApprovalRequiredToolset,
    CombinedToolset,
    DeferredToolset,
    ExternalToolset,
    FilteredToolset,
    FunctionToolset,
    PrefixedToolset,
    PreparedToolset,
    RenamedToolset,
    WrapperToolset,
)

HINT = 'Rename the tool or wrap the toolset in a `PrefixedToolset` to avoid name conflicts.'


# ---------------------------------------------------------------------------------- wrappers


async def test_a_wrapper_does_what_the_wrapped_toolset_does():
    """Listing, calling, entering and leaving go through to it; a derived class may step in."""
    log = []

    class Logged(WrapperToolset[Any]):
        async def call_tool(self, name, tool_args, ctx, tool):
            log.append(f'call {name}')
            return await super().call_tool(name, tool_args, ctx, tool)

    toolset = CombinedToolset([Logged(Watched(log, [one], id='w'))])
    async with toolset:
        assert await call(toolset, 'one', {'a': 4}) == 4

    assert log == ['enter w', 'call one', 'leave w']


async def test_a_filter_chooses_in_each_step():
    """It is given the run and the definition, and may be async."""

    def by_deps(ctx: RunContext[Any], tool_def: ToolDefinition) -> bool:
        return tool_def.name == ctx.deps

    async def never(_ctx: RunContext[Any], _tool_def: ToolDefinition) -> bool:
        return False

    toolset = FunctionToolset([one, two])
    assert await names(toolset.filtered(by_deps), context(deps='two')) == ['two']
    assert await names(toolset.filtered(by_deps), context(deps='one')) == ['one']
    assert await names(toolset.filtered(never)) == []


async def test_a_prefix_is_taken_off_for_the_wrapped_toolset():
    """It gets its own name, while the context keeps the one that the model knows."""
    calls = []

    class Watching(FunctionToolset[Any]):
        async def call_tool(self, name, tool_args, ctx, tool):
            calls.append((name, ctx.tool_name))
            return await super().call_tool(name, tool_args, ctx, tool)

    toolset = Watching([one, two]).prefixed('p')
    tools = await toolset.get_tools(context())

    assert {name: tool.tool_def.name for name, tool in tools.items()} == {'p_one': 'p_one', 'p_two': 'p_two'}
    assert await call(toolset, 'p_two') == 'two as p_two'
    assert calls == [('two', 'p_two')]
    toolset.prefix = 'q'
    assert await names(toolset) == ['q_one', 'q_two']


async def test_renamed_tools_are_called_by_their_own_names():
    """Names that are not in the map stay, and the order too."""
    toolset = FunctionToolset([one, two]).renamed({'uno': 'one'})

    assert await names(toolset) == ['uno', 'two']
    assert await call(toolset, 'uno', {'a': 2}) == 2
    assert await call(toolset, 'two') == 'two as two'


async def test_two_tools_may_change_names():
    """What counts is that the new names are different from one another."""
    toolset = FunctionToolset([one, two]).renamed({'one': 'two', 'two': 'one'})

    assert await names(toolset) == ['two', 'one']
    assert await call(toolset, 'two') == 1


_TWO_NAMES = "RenamedToolset(FunctionToolset) gives tool 'one' two names, 'a' and 'b'. Give it one."
_TAKEN = (
    "RenamedToolset(FunctionToolset) offers two tools of the name 'one', one of them renamed. Change its `name_map`."
)
_UNKNOWN = (
    "RenamedToolset(FunctionToolset) renames tool 'on' to 'a', and there is no tool 'on'. There are ['one', 'two']."
)


@pytest.mark.parametrize(
    ('name_map', 'message'),
    [
        ({'a': 'one', 'b': 'one'}, _TWO_NAMES),
        ({'one': 'two'}, _TAKEN),
        ({'a': 'on'}, _UNKNOWN),
    ],
    ids=['two names', 'taken', 'unknown'],
)
async def test_names_that_cannot_be_are_refused(name_map, message):
    """A tool gets one name, a free one, and has to exist where all tools are known."""
    with pytest.raises(UserError) as caught:
        await FunctionToolset([one, two]).renamed(name_map).get_tools(context())

    assert str(caught.value) == message


async def test_a_tool_that_is_left_out_of_a_step_can_be_renamed_in_others():
    """A map may name what is not offered just now."""
    toolset = FunctionToolset([Tool(one, prepare=lambda ctx, _: None), two]).renamed({'uno': 'one'})

    assert await names(toolset) == ['two']
    assert await names(ExternalToolset([ToolDefinition(name='e')]).renamed({'x': 'later'})) == ['e']


async def test_failures_are_known_behind_other_names():
    """A prepare function sees how often its tool failed, whatever the model calls the tool."""
    seen = []

    def prepare(ctx: RunContext[Any], tool_def: ToolDefinition) -> ToolDefinition:
        seen.append(ctx.retry)
        return tool_def

    toolset = FunctionToolset([Tool(one, prepare=prepare)])

    await toolset.prefixed('p').get_tools(context(retries={'p_one': 2, 'one': 9}))
    await toolset.renamed({'uno': 'one'}).get_tools(context(retries={'uno': 3}))
    assert seen == [2, 3]


async def test_definitions_are_prepared_together():
    """The function may change them as it likes, reorder them and leave some out; `None` leaves out all."""

    async def prepare(ctx: RunContext[Any], tool_defs: list[ToolDefinition]) -> list[ToolDefinition] | None:
        if not ctx.deps:
            return None
        for each in tool_defs:
            each.parameters_json_schema['properties'].clear()
        return [replace(each, strict=True) for each in reversed(tool_defs)]

    functions = FunctionToolset([one, two])
    toolset = functions.prepared(prepare)

    assert await names(toolset) == ['two', 'one']
    assert (await toolset.get_tools(context()))['one'].tool_def.strict
    assert await call(toolset, 'one', {'a': 3}) == 3
    assert await names(toolset, context(deps=None)) == []
    assert list((await functions.get_tools(context()))['one'].tool_def.parameters_json_schema['properties']) == ['a']


async def test_preparing_cannot_add_or_rename():
    """A definition of a name that is not there has no function behind it."""
    toolset = FunctionToolset([one]).prepared(lambda ctx, tool_defs: [replace(tool_defs[0], name='other')])

    with pytest.raises(UserError) as caught:
        await toolset.get_tools(context())

    assert str(caught.value) == (
        'Prepare function cannot add or rename tools. Use `FunctionToolset.add_function()` or `RenamedToolset` instead.'
    )


async def test_calls_wait_for_approval():
    """All do, or those for which a function answers true; an approved call is made."""

    async def big(ctx: RunContext[Any], tool_def: ToolDefinition, tool_args: dict[str, Any]) -> bool:
        return tool_def.name == 'one' and tool_args['a'] > 10

    toolset = FunctionToolset([one])

    with pytest.raises(ApprovalRequired):
        await call(toolset.approval_required(), 'one')
    with pytest.raises(ApprovalRequired):
        await call(toolset.approval_required(big), 'one', {'a': 11})
    assert await call(toolset.approval_required(big), 'one', {'a': 1}) == 1
    assert await call(toolset.approval_required(), 'one', {'a': 11}, context(tool_call_approved=True)) == 11


# ---------------------------------------------------------------------------------- external


async def test_external_tools_are_offered_and_not_called():
    """Their kind is external whatever it was, and any object is accepted for them."""
    definition = ToolDefinition(name='e')
    toolset = ExternalToolset([definition], id='outside')

    tool = (await toolset.get_tools(context()))['e']

    assert tool.tool_def == replace(definition, kind='external')
    assert tool.args_validator.validate_json('{"any": 1}') == {'any': 1}
    assert toolset.label == "ExternalToolset 'outside'"
    with pytest.raises(NotImplementedError, match=r'^External tools cannot be called directly$'):
        await toolset.call_tool('e', {}, context(), tool)


def test_the_older_name_of_external_toolsets_warns():
    """It goes on working."""
    with pytest.warns(DeprecationWarning, match='ExternalToolset'):
        assert isinstance(DeferredToolset([]), ExternalToolset)


# ---------------------------------------------------------------------------------- combined


async def test_toolsets_together_offer_all_tools_in_order():
    """A call goes through the toolset that offered the tool."""
    inner = CombinedToolset([FunctionToolset([two]), FunctionToolset([one]).prefixed('p')])
    toolset = CombinedToolset([FunctionToolset([one]), inner])

    assert await names(toolset) == ['one', 'two', 'p_one']
    assert await call(toolset, 'p_one', {'a': 8}) == 8
    assert await call(toolset, 'two') == 'two as two'
    assert await names(CombinedToolset([])) == []


async def test_what_is_offered_follows_the_toolsets():
    """Combined, prefixed and renamed toolsets see in each step what those within offer then."""
    toolset = FunctionToolset([one])
    combined = CombinedToolset([toolset.prefixed('p').renamed({'x': 'p_one'})])
    assert await names(combined) == ['x']

    toolset.add_function(two)
    assert await names(combined) == ['x', 'p_two']
    toolset.tools['two'].description = 'Changed.'
    assert (await combined.get_tools(context()))['p_two'].tool_def.description == 'Changed.'


async def test_tools_of_one_name_are_refused():
    """Both toolsets are named, and what can be done."""

    class Own(FunctionToolset[Any]):
        label = 'the agent'

    async def refused(*toolsets):
        with pytest.raises(UserError) as caught:
            await CombinedToolset(toolsets).get_tools(context())
        return str(caught.value)

    first = FunctionToolset([one], id='first')
    conflict = "defines a tool whose name conflicts with existing tool from FunctionToolset 'first': 'one'."
    assert await refused(first, FunctionToolset([one])) == f'FunctionToolset {conflict} {HINT}'
    assert await refused(first, Own([one])) == f'The agent {conflict} {HINT}'
    assert await refused(Own([Tool(one, name='on_e')]), FunctionToolset([Tool(one, name='e')]).prefixed('on')) == (
        'PrefixedToolset(FunctionToolset) defines a tool whose name conflicts with existing tool from the agent: '
        "'on_e'. Change the `prefix` attribute to avoid name conflicts."
    )


def test_two_toolsets_of_one_id_are_refused():
    """Also within others; the same toolset twice, under different prefixes, is one toolset."""
    first = FunctionToolset(id='same')
    CombinedToolset([first.prefixed('a'), first.prefixed('b')])

    with pytest.raises(UserError) as caught:
        CombinedToolset([CombinedToolset([first]), ExternalToolset([], id='same').prefixed('a')])

    assert str(caught.value) == (
        "Two toolsets have the id 'same': FunctionToolset 'same' and ExternalToolset 'same'. "
        'Give each an id of its own.'
    )


def test_labels_say_what_is_within():
    """A wrapper has no id of its own, and is named with what it wraps."""
    toolset = ExternalToolset([], id='x')
    wrapped = {
        'PrefixedToolset': toolset.prefixed('p'),
        'FilteredToolset': toolset.filtered(lambda ctx, tool_def: True),
        'RenamedToolset': toolset.renamed({}),
        'PreparedToolset': toolset.prepared(lambda ctx, tool_defs: None),
        'ApprovalRequiredToolset': toolset.approval_required(),
        'WrapperToolset': WrapperToolset(toolset),
        'CombinedToolset': CombinedToolset([toolset]),
    }

    assert {name: each.label for name, each in wrapped.items()} == {
        name: f"{name}(ExternalToolset 'x')" for name in wrapped
    }
    assert {each.id for each in wrapped.values()} == {None}
    assert FunctionToolset().label == 'FunctionToolset'
    assert CombinedToolset([FunctionToolset(id='a'), toolset]).label == (
        "CombinedToolset(FunctionToolset 'a', ExternalToolset 'x')"
    )


def test_wrappers_are_made_by_methods():
    """Each method of a toolset makes the wrapper of its name."""
    toolset = FunctionToolset()

    def function(*_args):
        return True

    assert toolset.prefixed('p') == PrefixedToolset(toolset, 'p')
    assert toolset.renamed({'a': 'b'}) == RenamedToolset(toolset, {'a': 'b'})
    assert toolset.filtered(function) == FilteredToolset(toolset, function)
    assert toolset.prepared(function) == PreparedToolset(toolset, function)
    assert toolset.approval_required(function) == ApprovalRequiredToolset(toolset, function)


# ---------------------------------------------------------------------------------- visiting


def test_visitors_see_what_wraps_no_other():
    """Through wrappers and combinations, in order."""
    first, second = FunctionToolset(id='1'), ExternalToolset([], id='2')
    seen = []

    CombinedToolset([first.prefixed('p'), CombinedToolset([second.filtered(lambda ctx, tool_def: True)])]).apply(
        seen.append
    )

    assert seen == [first, second]


async def test_what_wraps_no_other_can_be_replaced():
    """The wrappers are made anew around what comes instead, and the toolset itself stays as it was."""

    @dataclass
    class Tagged(WrapperToolset[Any]):
        tag: str

        def __post_init__(self):
            self.kept = [self.tag]

    first, second = FunctionToolset([one]), FunctionToolset([two])
    toolset = CombinedToolset([Tagged(first, 'x').prefixed('p'), second])

    changed = toolset.visit_and_replace(lambda leaf: leaf.prefixed('z'))

    assert await names(changed) == ['p_z_one', 'z_two']
    assert await names(toolset) == ['p_one', 'two']
    assert changed.toolsets[0].wrapped == Tagged(first.prefixed('z'), 'x')
    assert changed.toolsets[0].wrapped.kept == ['x']
