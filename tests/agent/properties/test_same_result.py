"""However a run is watched, it is the same run: messages, output, usage and errors do not depend on it."""

import re
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from plait_agent import Agent, ModelRetry, RunUsage, TextOutput, capture_run_messages
from plait_agent.messages import ModelMessagesTypeAdapter, ModelResponse, TextPart, ThinkingPart, ToolCallPart
from plait_agent.models.function import DeltaThinkingPart, DeltaToolCall, FunctionModel


class Foo(BaseModel):
    x: int


class Bar(BaseModel):
    y: str


def loud(text: str) -> str:
    """Refuse what is too long."""
    if len(text) > 3:
        raise ModelRetry('too long')
    return text.upper()


OUTPUTS: list[Any] = [str, Foo, [Foo, str], [Foo, Bar], TextOutput(loud), [TextOutput(loud), Bar]]
TOOLS = ['add', 'again', 'broken', 'unknown', 'final_result', 'final_result_Foo', 'final_result_Bar']
ARGS = [None, '{}', '{"a": 1, "b": 2}', '{"a": "no"}', '{"x": 1}', '{"x": "no"}', '{"y": "z"}', '{"x": 1']


@dataclass
class Answer:
    """What the model does once, and in which pieces it does it."""

    parts: list[Any]
    finish_reason: Any
    error: Exception | None
    pieces: int

    def response(self) -> ModelResponse:
        if self.error is not None:
            raise self.error
        return ModelResponse(list(self.parts), finish_reason=self.finish_reason)

    async def stream(self) -> Any:
        yield {}
        for place, part in enumerate(self.parts):
            for item in self._deltas(place, part):
                yield item
        if self.error is not None:
            raise self.error

    def _deltas(self, place: int, part: Any) -> Any:
        match part:
            case TextPart(content):
                yield from self._split(content)
            case ThinkingPart(content):
                yield from ({place: DeltaThinkingPart(content=piece)} for piece in self._split(content))
            case ToolCallPart(name, args):
                yield {place: DeltaToolCall(name, tool_call_id=part.tool_call_id)}
                if args is not None:
                    yield from ({place: DeltaToolCall(json_args=piece)} for piece in self._split(args))

    def _split(self, text: str) -> list[str]:
        return [text[at : at + self.pieces] for at in range(0, len(text), self.pieces)] or ['']


texts = st.sampled_from(['', 'a', 'word', 'more words', '{"x": 5}']).map(TextPart)
thoughts = st.sampled_from(['', 'hm']).map(ThinkingPart)
calls = st.builds(ToolCallPart, st.sampled_from(TOOLS), st.sampled_from(ARGS), st.sampled_from(['1', '2', '3', '4']))


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """An answer with one text at most: a stream function has but one."""
    parts: list[Any] = draw(st.lists(thoughts | calls, max_size=4))
    parts += draw(st.lists(texts, max_size=1))
    reason = draw(st.sampled_from([None, None, 'stop', 'length', 'content_filter']))
    fails = draw(st.integers(0, 9)) == 9
    parts = draw(st.permutations(parts))
    return Answer(parts, reason, ValueError('the model failed') if fails else None, draw(st.integers(1, 5)))


class Script(FunctionModel):
    """Plays answers one after the other, and says `end` when there are no more."""

    def __init__(self, answers: list[Answer]):
        self.left = list(answers)
        super().__init__(
            lambda _messages, _info: self.take().response(), stream_function=self.play, model_name='script'
        )

    def take(self) -> Answer:
        return self.left.pop(0) if self.left else Answer([TextPart('end')], None, None, 1)

    def play(self, _messages: Any, _info: Any) -> Any:
        return self.playing.stream()

    @asynccontextmanager
    async def request_stream(self, *args: Any) -> Any:
        self.playing = self.take()
        async with super().request_stream(*args) as stream:
            stream.finish_reason = self.playing.finish_reason
            yield stream


@dataclass
class Scenario:
    """A model, and the agent that asks it."""

    script: list[Answer]
    output: Any
    end_strategy: Any
    retries: int
    refuses: bool
    reads: int
    """How many events of each node are read, where one may choose."""

    def agent(self) -> Agent[None, Any]:
        agent = Agent(
            Script(self.script), output_type=self.output, end_strategy=self.end_strategy, retries=self.retries
        )

        @agent.tool_plain
        async def add(a: int, b: int) -> int:
            return a + b

        @agent.tool_plain
        async def again() -> str:
            raise ModelRetry('once more')

        @agent.tool_plain
        async def broken() -> str:
            raise LookupError('the tool failed')

        @agent.output_validator
        async def refuse(output: Any) -> Any:
            if self.refuses and output == 'a':
                raise ModelRetry('not this')
            return output

        return agent


scenarios = st.builds(
    Scenario,
    st.lists(answers(), max_size=4),
    st.sampled_from(OUTPUTS),
    st.sampled_from(['early', 'exhaustive']),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([0, 1, 3, 100]),
)


@dataclass
class Ending:
    """What came of a run."""

    messages: Any = None
    output: Any = None
    usage: RunUsage = field(default_factory=RunUsage)
    error: Any = None


async def run(agent: Agent[None, Any], _reads: int, **options: Any) -> Any:
    """Run."""
    return (await agent.run('go', **options)).output


async def run_with_handler(agent: Agent[None, Any], reads: int, **options: Any) -> Any:
    """Run with a handler that does not read everything."""

    async def handler(_ctx: Any, events: Any) -> None:
        left = reads
        async for _ in events:
            left -= 1
            if left <= 0:
                return

    return (await agent.run('go', event_stream_handler=handler, **options)).output


async def run_by_nodes(agent: Agent[None, Any], reads: int, **options: Any) -> Any:
    """Run node by node, and read a part of what each one streams."""
    async with agent.iter('go', **options) as run:
        async for node in run:
            await _stream(node, run.ctx, reads)
    assert run.result is not None
    return run.result.output


async def _stream(node: Any, ctx: Any, most: int) -> None:
    if not Agent.is_model_request_node(node) and not Agent.is_call_tools_node(node):
        return
    async with node.stream(ctx) as events:
        for _ in range(most):
            await anext(events, None)


async def run_by_events(agent: Agent[None, Any], _reads: int, **options: Any) -> Any:
    """Run and read all events."""
    seen = [event async for event in agent.run_stream_events('go', **options)]
    return seen[-1].result.output


async def run_streamed(agent: Agent[None, Any], reads: int, **options: Any) -> Any:
    """Stream to the end of the run."""
    async with agent.run_stream('go', until='end', **options) as result:
        if reads:
            responses = [each async for each, _ in result.stream_responses(debounce_by=None if reads == 1 else 0)]
            assert responses[-1] == result.response
        return await result.get_output()


async def ending_of(scenario: Scenario, way: Callable[..., Any]) -> Ending:
    """Run in one way, and note what came of it."""
    ending = Ending()
    with capture_run_messages() as messages:
        try:
            ending.output = await way(scenario.agent(), scenario.reads, usage=ending.usage)
        except Exception as error:  # noqa: BLE001 # compared
            ending.error = type(error), re.sub(r'"(timestamp|run_id)": "[^"]*"', '', str(error))
    ending.messages = [_plain(each) for each in ModelMessagesTypeAdapter.dump_python(messages)]
    return ending


def _plain(value: Any) -> Any:
    """Messages without times, and without ids that are made up."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    left_out = {'timestamp', 'run_id'}
    if value.get('part_kind') == 'retry-prompt' and value['tool_name'] is None:
        left_out.add('tool_call_id')
    return {key: _plain(each) for key, each in value.items() if key not in left_out}


@given(scenarios)
async def test_all_ways_to_run_come_to_the_same(scenario):
    """A run, one with a handler, one by nodes, one of events and one that streams to its end do the same."""
    expected = await ending_of(scenario, run)
    for way in (run_with_handler, run_by_nodes, run_by_events, run_streamed):
        assert await ending_of(scenario, way) == expected, way.__name__
