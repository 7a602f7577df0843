"""Own nodes: what users put into the loop of an agent runs there, is shown and drawn, or is refused."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import pytest

from plait_agent import (
    Agent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    TextPart,
    ToolCallPart,
    UsageLimitExceeded,
    UserError,
    UserPromptPart,
)
from plait_agent._agent_graph.graph import agent_graph
from plait_agent.models.function import AgentInfo, FunctionModel
from plait_agent.models.test import TestModel
from plait_agent.nodes import (
    CallToolsNode,
    Edge,
    End,
    FinalResult,
    ModelRequestNode,
    NodeContext,
    OwnNode,
    UserPromptNode,
    after,
    before,
)
from plait_graph import BaseNode


def echo(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """Says what it was told last."""
    last = messages[-1].parts[-1]
    return ModelResponse([TextPart(f'heard {last.content}')])


def asked(text: str) -> ModelRequestNode:
    """A request with a text of the user's."""
    return ModelRequestNode(ModelRequest([UserPromptPart(text)]))


def said(messages: list[ModelMessage]) -> list[Any]:
    """What users, tools and models said."""
    return [getattr(part, 'content', part.part_kind) for message in messages for part in message.parts]


@dataclass
class Guard(OwnNode):
    """Lets requests pass, but for some that it knows."""

    node: ModelRequestNode

    async def run(self, ctx: NodeContext) -> ModelRequestNode | CallToolsNode | End[FinalResult[str]]:
        match self.node.request.parts[-1].content:
            case 'rude':
                return asked('polite')
            case 'known':
                return await self.node.answer(ctx, 'by heart')
            case 'stop':
                return End(FinalResult('stopped'))
            case _:
                return self.node


@dataclass
class Reviewer(OwnNode):
    """Sends one output back, and replaces another one."""

    end: End[FinalResult[str]]

    async def run(self, ctx: NodeContext) -> ModelRequestNode | End[FinalResult[str]]:
        output = self.end.data.output
        if output == 'heard vague':
            return asked('say more')
        if output == 'heard loud':
            return End(replace(self.end.data, output='heard quiet'))
        return self.end


GUARDED = [before(ModelRequestNode, Guard), before(End, Reviewer)]


def guarded(**options: Any) -> Agent[None, str]:
    """An agent with a guard and a reviewer."""
    return Agent(FunctionModel(echo), own_nodes=GUARDED, **options)


# What they can do


@pytest.mark.parametrize(
    ('prompt', 'output', 'history'),
    [
        ('hi', 'heard hi', ['hi', 'heard hi']),
        ('rude', 'heard polite', ['polite', 'heard polite']),
        ('known', 'by heart', ['known', 'by heart']),
        ('stop', 'stopped', []),
        ('loud', 'heard quiet', ['loud', 'heard loud']),
        ('vague', 'heard say more', ['vague', 'heard vague', 'say more', 'heard say more']),
    ],
)
async def test_guard_and_reviewer_have_their_say(prompt: str, output: str, history: list[str]):
    """A guard passes, changes, answers or ends; a reviewer ends, replaces or sends back."""
    result = await guarded().run(prompt)

    assert result.output == output
    assert said(result.all_messages()) == history


async def test_an_answer_in_the_place_of_the_model_is_no_request():
    """What a guard answers is in the history like a model's answer, with ids and instructions, and uses nothing."""
    result = await guarded(instructions='Be good.').run('known')

    request, response = result.all_messages()
    assert isinstance(request, ModelRequest)
    assert (request.instructions, request.run_id, response.run_id) == ('Be good.', result.run_id, result.run_id)
    assert result.usage().requests == 0


async def test_a_guard_meets_every_request():
    """A guard stands before the first request, those after tools, and those that another own node sends."""
    seen: list[str] = []

    @dataclass
    class Watch(OwnNode):
        node: ModelRequestNode

        async def run(self, ctx: NodeContext) -> ModelRequestNode:
            seen.append(self.node.request.parts[-1].part_kind)
            return self.node

    @dataclass
    class Once(OwnNode):
        end: End[FinalResult[str]]

        async def run(self, ctx: NodeContext) -> ModelRequestNode | End[FinalResult[str]]:
            return asked('again') if ctx.state.run_step < 3 else self.end

    agent = Agent(TestModel(), own_nodes=[before(ModelRequestNode, Watch), before(End, Once)])
    agent.tool_plain(lambda: 1, name='look')
    await agent.run('hi')

    assert seen == ['user-prompt', 'tool-return', 'user-prompt']


async def test_a_reviewer_sees_outputs_of_tools():
    """A reviewer gets the final result with its tool, and what it sends back follows the return of the call."""
    finals: list[FinalResult[Any]] = []

    @dataclass
    class Review(OwnNode[None, Any]):
        end: End[FinalResult[Any]]

        async def run(self, ctx: NodeContext) -> ModelRequestNode | End[FinalResult[Any]]:
            finals.append(self.end.data)
            return asked('more') if len(finals) == 1 else self.end

    agent = Agent(TestModel(), output_type=list[int], own_nodes=[before(End, Review)])
    result = await agent.run('hi')

    assert [final.tool_name for final in finals] == ['final_result', 'final_result']
    kinds = [part.part_kind for message in result.all_messages() for part in message.parts]
    assert kinds == ['user-prompt', 'tool-call', 'tool-return', 'user-prompt', 'tool-call', 'tool-return']


async def test_a_reviewer_that_is_never_content_meets_the_limit():
    """A run that is sent back again and again ends at its limit of requests."""

    @dataclass
    class Never(OwnNode):
        end: End[FinalResult[str]]

        async def run(self, ctx: NodeContext) -> ModelRequestNode | End[FinalResult[str]]:
            return asked('again')

    with pytest.raises(UsageLimitExceeded, match='request_limit of 50'):
        await Agent(TestModel(), own_nodes=[before(End, Never)]).run('hi')


async def test_own_nodes_lead_to_own_nodes():
    """A node that only an own node leads to, by a name seen where it was placed, runs between that and the place."""
    order: list[str] = []

    @dataclass
    class First(OwnNode):
        node: ModelRequestNode

        async def run(self, ctx: NodeContext) -> 'Second':
            order.append('first')
            return Second(self.node)

    @dataclass
    class Second(OwnNode):
        node: ModelRequestNode

        async def run(self, ctx: NodeContext) -> ModelRequestNode:
            order.append('second')
            return self.node

    agent = Agent(TestModel(), own_nodes=[before(ModelRequestNode, First)])
    await agent.run('hi')

    assert order == ['first', 'second']


@dataclass
class AfterPrompt(OwnNode):
    """Stands after the prompt."""

    node: ModelRequestNode | CallToolsNode

    async def run(self, ctx: NodeContext) -> ModelRequestNode | CallToolsNode:
        return self.node


@dataclass
class AfterRequest(OwnNode):
    """Stands after each request."""

    node: CallToolsNode

    async def run(self, ctx: NodeContext) -> CallToolsNode:
        return self.node


@dataclass
class AfterTools(OwnNode):
    """Stands after each response was handled."""

    node: ModelRequestNode | End[FinalResult[str]]

    async def run(self, ctx: NodeContext) -> ModelRequestNode | End[FinalResult[str]]:
        return self.node


@dataclass
class BeforePrompt(OwnNode):
    """Stands before everything."""

    node: UserPromptNode

    async def run(self, ctx: NodeContext) -> UserPromptNode:
        return self.node


@dataclass
class BeforeTools(OwnNode):
    """Stands before each response is handled."""

    node: CallToolsNode

    async def run(self, ctx: NodeContext) -> CallToolsNode:
        return self.node


EVERYWHERE = [
    before(UserPromptNode, BeforePrompt),
    after(UserPromptNode, AfterPrompt),
    before(ModelRequestNode, Guard),
    after(ModelRequestNode, AfterRequest),
    before(CallToolsNode, BeforeTools),
    after(CallToolsNode, AfterTools),
    before(End, Reviewer),
]


async def names_of(agent: Agent[None, str], prompt: str = 'hi') -> list[str]:
    """The nodes of a run in their order."""
    async with agent.iter(prompt) as run:
        return [type(node).__name__ async for node in run]


async def test_all_places_can_be_taken():
    """Nodes before and after all others run in the order in which they stand."""
    assert await names_of(Agent(FunctionModel(echo), own_nodes=EVERYWHERE)) == [
        'BeforePrompt',
        'UserPromptNode',
        'AfterPrompt',
        'Guard',
        'ModelRequestNode',
        'AfterRequest',
        'BeforeTools',
        'CallToolsNode',
        'AfterTools',
        'Reviewer',
        'End',
    ]


async def test_a_reviewer_after_the_tools_leaves_the_end_of_a_guard_alone():
    """What stands after a node of the loop does not see where own nodes lead; what stands before the end sees all."""
    behind = Agent(FunctionModel(echo), own_nodes=[before(ModelRequestNode, Guard), after(CallToolsNode, AfterTools)])

    assert await names_of(behind, 'stop') == ['UserPromptNode', 'Guard', 'End']
    assert await names_of(guarded(), 'stop') == ['UserPromptNode', 'Guard', 'Reviewer', 'End']


async def test_one_node_can_stand_in_two_places():
    """The same class before two places is one node of the graph, and lets each of them pass."""

    @dataclass
    class Log(OwnNode):
        node: ModelRequestNode | CallToolsNode

        async def run(self, ctx: NodeContext) -> ModelRequestNode | CallToolsNode:
            return self.node

    agent = Agent(FunctionModel(echo), own_nodes=[before(ModelRequestNode, Log), before(CallToolsNode, Log)])

    assert await names_of(agent) == ['UserPromptNode', 'Log', 'ModelRequestNode', 'Log', 'CallToolsNode', 'End']


# Steering and streaming


async def test_own_nodes_can_be_steered():
    """`next` runs own nodes, takes others in their place, and goes on after one that has failed."""

    @dataclass
    class Fragile(OwnNode):
        node: ModelRequestNode
        is_whole: bool = False

        async def run(self, ctx: NodeContext) -> ModelRequestNode:
            if not self.is_whole:
                raise ValueError('broken')
            return self.node

    agent = Agent(FunctionModel(echo), own_nodes=[before(ModelRequestNode, Fragile), before(End, Reviewer)])
    async with agent.iter('hi') as run:
        fragile: Any = await run.next(run.next_node)
        with pytest.raises(ValueError, match='broken'):
            await run.next(fragile)
        node: Any = await run.next(Fragile(asked('instead'), is_whole=True))
        while not isinstance(node, End):
            node = await run.next(node)

    assert run.result is not None
    assert run.result.output == 'heard instead'
    assert isinstance(fragile, Fragile)


async def test_a_node_that_is_run_twice_leads_to_the_same():
    """A node of the loop that has run is not run again, and meets the own node behind it once more."""
    async with guarded().iter('hi') as run:
        node: Any = run.next_node
        while not isinstance(node, ModelRequestNode):
            node = await run.next(node)
        first = await run.next(node)
        second = await run.next(node)

    assert first is second
    assert run.usage().requests == 1


@pytest.mark.parametrize(
    ('prompt', 'output'), [('hi', 'heard hi'), ('vague', 'heard say more'), ('known', 'by heart'), ('stop', 'stopped')]
)
@pytest.mark.parametrize('until', ['match', 'end'])
async def test_streamed_runs_end_as_others_do(prompt: str, output: str, until: Any):
    """Guard and reviewer have their say in a streamed run too, and the output is what they leave."""
    async with guarded().run_stream(prompt, until=until) as result:
        _ = [text async for text in result.stream_text()]
        streamed = await result.get_output()

    plain = await guarded().run(prompt)
    assert streamed == plain.output == output
    assert said(result.all_messages()) == said(plain.all_messages())


async def test_own_nodes_around_the_response_are_run_in_streams():
    """What stands between a request and its response's handling is not passed over by a streamed run."""
    handled: list[str] = []

    @dataclass
    class Censor(OwnNode):
        node: CallToolsNode

        async def run(self, ctx: NodeContext) -> CallToolsNode:
            handled.append(self.node.model_response.text or '')
            return CallToolsNode(ModelResponse([TextPart('[removed]')]))

    agent = Agent(FunctionModel(echo), own_nodes=[before(CallToolsNode, Censor)])
    async with agent.run_stream('hi') as result:
        assert await result.get_output() == '[removed]'

    assert handled == ['heard hi']


async def test_events_and_handlers_are_as_without():
    """Events come from the nodes of the loop, and a handler is called once for each of these."""
    called: list[int] = []

    async def handler(_ctx: Any, events: Any) -> None:
        called.append(len([event async for event in events]))

    plain = Agent(TestModel(), event_stream_handler=handler)
    wired = Agent(TestModel(), event_stream_handler=handler, own_nodes=EVERYWHERE)
    await plain.run('hi')
    await wired.run('hi')
    async with wired.run_stream_events('hi') as events:
        deltas = [event async for event in events if isinstance(event, PartDeltaEvent)]

    assert called[:2] == called[2:]
    assert deltas


async def test_own_nodes_know_what_the_run_was_started_with():
    """A node reads the caller's dependencies and the history, and each run has nodes of its own."""

    @dataclass
    class Greet(OwnNode[str, str]):
        node: ModelRequestNode[str, str]
        notes: list[str] = field(default_factory=list)

        async def run(self, ctx: NodeContext[str]) -> End[FinalResult[str]]:
            self.notes.append(ctx.deps.user_deps)
            return End(FinalResult(f'{len(self.notes)} {self.notes[0]} {len(ctx.state.message_history)}'))

    agent = Agent(TestModel(), deps_type=str, own_nodes=[before(ModelRequestNode, Greet)])

    assert (await agent.run('hi', deps='Ada')).output == '1 Ada 0'
    assert (await agent.run('hi', deps='Bob')).output == '1 Bob 0'


# The picture


def edges(agent: Agent[Any, Any]) -> set[str]:
    """The edges of an agent's picture, with those through decisions made straight."""
    lines = [line.strip() for line in str(agent.graph).splitlines() if '-->' in line]
    pairs = [tuple(line.partition(':')[0].strip().split(' --> ')) for line in lines]
    straight = {(start, end) for start, end in pairs if not end.startswith('decision')}
    inner = {(start, end) for start, end in pairs if end.startswith('decision')}
    for start, decision in inner:
        straight |= {(start, end) for source, end in pairs if source == decision}
    return {f'{start} > {end}' for start, end in straight if not start.startswith('decision')}


def test_the_picture_has_the_own_nodes_between():
    """Edges of the picture go to the own nodes where the run does, and nowhere past them."""
    assert edges(guarded()) == {
        '[*] > UserPromptNode',
        'UserPromptNode > Guard',
        'UserPromptNode > CallToolsNode',
        'Guard > ModelRequestNode',
        'Guard > CallToolsNode',
        'Guard > Reviewer',
        'ModelRequestNode > CallToolsNode',
        'CallToolsNode > Guard',
        'CallToolsNode > Reviewer',
        'Reviewer > Guard',
        'Reviewer > [*]',
    }


def test_an_agent_without_own_nodes_keeps_the_shared_graph():
    """Agents with nothing of their own in the loop share one graph, however many there are."""
    assert Agent(TestModel()).graph is Agent(TestModel(), own_nodes=[]).graph is agent_graph()
    assert guarded().graph is not agent_graph()


def test_labels_of_hints_are_drawn():
    """An `Edge` in a return hint labels the edge, also where an own node stands in its way."""

    @dataclass
    class Gate(OwnNode):
        node: ModelRequestNode

        async def run(
            self, ctx: NodeContext
        ) -> Annotated[ModelRequestNode, Edge('open')] | Annotated[End[FinalResult[str]], Edge('shut')]:
            return self.node

    picture = Agent(TestModel(), own_nodes=[before(ModelRequestNode, Gate), before(End, Reviewer)]).graph.render()

    assert '--> ModelRequestNode: open' in picture
    assert '--> Reviewer: shut' in picture


# What cannot be


@dataclass
class Hintless(OwnNode):
    """Says nothing of where it leads."""

    node: Any

    async def run(self, ctx: NodeContext):
        return self.node


@dataclass
class Vague(OwnNode):
    """Leads anywhere."""

    node: Any

    async def run(self, ctx: NodeContext) -> BaseNode[Any, Any, Any]:
        return self.node


@dataclass
class Unknown(OwnNode):
    """Names what there is not."""

    node: Any

    async def run(self, ctx: NodeContext) -> 'Nowhere':  # noqa: F821
        return self.node


@dataclass
class Two(OwnNode):
    """Wants two things."""

    node: ModelRequestNode
    other: int

    async def run(self, ctx: NodeContext) -> ModelRequestNode:
        return self.node


@dataclass
class Lazy(OwnNode):
    """Has nothing to run."""

    node: ModelRequestNode


class Forever(OwnNode):
    """Leads to itself alone."""

    def __init__(self, node: Any):
        self.node = node

    async def run(self, ctx: NodeContext) -> 'Forever':
        return self


@pytest.mark.parametrize(
    ('where', 'place', 'node', 'message'),
    [
        (before, ToolCallPart, Guard, 'ToolCallPart is no place that a node can stand before. Name one of UserPrompt'),
        (after, End, Guard, 'End is no place that a node can stand after'),
        (before, ModelRequestNode, echo, 'is no node of your own. Give a class that is derived from OwnNode'),
        (before, ModelRequestNode, CallToolsNode, 'CallToolsNode is no node of your own'),
        (before, ModelRequestNode, Lazy, 'Node Lazy has no `run`'),
        (before, ModelRequestNode, Two, 'made with one argument, ModelRequestNode, and cannot be: missing a required'),
        (before, End, Guard, 'Node Guard, before End, is made with End, and does not take End'),
        (after, CallToolsNode, Guard, 'is made with ModelRequestNode or End, and does not take End'),
    ],
)
def test_what_cannot_stand_there_is_refused(where: Any, place: Any, node: Any, message: str):
    """A wrong place, something that is no node, or a node that cannot be made there is refused where it is put."""
    with pytest.raises(UserError) as caught:
        where(place, node)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ('own_nodes', 'message'),
    [
        (
            [before(End, Reviewer), before(End, Hintless)],
            'Nodes Reviewer and Hintless both stand before End. Put one of them there, and let it lead to the other',
        ),
        ([before(End, Hintless)], 'Node Hintless is missing a return type hint on its `run` method'),
        ([before(End, Vague)], 'Node Vague has a return hint that says nothing of where to go: BaseNode'),
        ([before(End, Unknown)], "The return hint of Unknown.run cannot be resolved: name 'Nowhere' is not defined"),
        (
            [after(UserPromptNode, Forever), before(ModelRequestNode, Guard)],
            'Nothing leads to node Guard, before ModelRequestNode: other nodes of your own keep runs from getting',
        ),
        ([after(UserPromptNode, Forever)], "The agent's own nodes make no graph."),
    ],
)
def test_what_makes_no_graph_is_refused(own_nodes: Any, message: str):
    """Two nodes in one place, hints that say nothing, and nodes that nothing leads to are refused by the agent."""
    with pytest.raises(UserError) as caught:
        Agent(TestModel(), own_nodes=own_nodes)

    assert message in str(caught.value)


def test_two_nodes_of_one_name_are_refused():
    """Nodes are known by the names of their classes, so two cannot share one."""

    def other() -> Any:
        @dataclass
        class Guard(OwnNode):
            end: Any

            async def run(self, ctx: NodeContext) -> End[FinalResult[str]]:
                return self.end

        return Guard

    with pytest.raises(UserError, match=r"Two nodes are called 'Guard': .*Guard and .*Guard. Rename one"):
        Agent(TestModel(), own_nodes=[before(ModelRequestNode, Guard), before(End, other())])


def test_saying_the_same_twice_is_no_conflict():
    """A placement that is there twice is there once."""
    assert edges(Agent(TestModel(), own_nodes=[*GUARDED, *GUARDED])) == edges(guarded())
