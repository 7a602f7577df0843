"""The races of agents: the same programs on `plait_agent` and on `pydantic_ai`, whose names are the same.

The model is a function, so that nothing but the agent's own work is measured.
"""

import importlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from harness import Bar, Lane, Race
from programs import Program

OURS, PEER = 'plait', 'pydantic-ai'
_ROOTS = {OURS: 'plait_agent', PEER: 'pydantic_ai'}
_DELTAS = 500
_FEW_ROUNDS, _MANY_ROUNDS, _PEER_ROUNDS = 25, 1_000, 25


class Answer(BaseModel):
    """A structured output."""

    number: int
    text: str


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Library:
    """One of the two libraries."""

    def __init__(self, name: str):
        root = _ROOTS[name]
        self.root: ModuleType = importlib.import_module(root)
        self.messages: ModuleType = importlib.import_module(f'{root}.messages')
        self.function_model: Any = importlib.import_module(f'{root}.models.function').FunctionModel
        self.delta_call: Any = importlib.import_module(f'{root}.models.function').DeltaToolCall

    def response(self, *parts: Any) -> Any:
        return self.messages.ModelResponse(parts=list(parts))

    def text(self, content: str) -> Any:
        return self.messages.TextPart(content)

    def call(self, name: str, **arguments: Any) -> Any:
        return self.messages.ToolCallPart(name, arguments)

    def agent(self, function: Any = None, **options: Any) -> Any:
        model = self.function_model(function, stream_function=options.pop('stream_function', None))
        return self.root.Agent(model, **options)


def text_answer(library: Library, _units: int) -> Program:
    """A run that is answered with text."""

    async def model(_messages: Any, _info: Any) -> Any:
        return library.response(library.text('hello'))

    return _lengths(library.agent(model))


def structured(library: Library, _units: int) -> Program:
    """A run that is answered with a model of pydantic."""

    async def model(_messages: Any, info: Any) -> Any:
        return library.response(library.call(info.output_tools[0].name, number=5, text='five'))

    agent = library.agent(model, output_type=Answer)

    async def program() -> int:
        return (await agent.run('x')).output.number

    return program


def tool_calls(library: Library, calls: int) -> Program:
    """A run in which so many tools are called at once."""

    async def model(messages: Sequence[Any], _info: Any) -> Any:
        if len(messages) == 1:
            return library.response(*(library.call('add', a=number, b=2) for number in range(calls)))
        return library.response(library.text('hello'))

    return _lengths(library.agent(model, tools=[add]))


def rounds(library: Library, count: int) -> Program:
    """A run in which a tool is called so often, one call after the other."""

    async def model(messages: Sequence[Any], _info: Any) -> Any:
        if len(messages) < 2 * count:
            return library.response(library.call('add', a=1, b=2))
        return library.response(library.text('hello'))

    agent = library.agent(model, tools=[add])
    limits = library.root.UsageLimits(request_limit=None)

    async def program() -> int:
        return (await agent.run('x', usage_limits=limits)).usage().tool_calls

    return program


def text_deltas(library: Library, deltas: int) -> Program:
    """A run whose text comes in so many pieces."""

    async def model(_messages: Any, _info: Any) -> AsyncIterator[str]:
        for _ in range(deltas):
            yield 'word '

    agent = library.agent(stream_function=model)

    async def program() -> int:
        async with agent.run_stream('x') as result:
            return sum([len(text) // 5 async for text in result.stream_text(delta=True, debounce_by=None)])

    return program


def output_deltas(library: Library, deltas: int) -> Program:
    """A run whose structured output comes in so many pieces, and is looked at each time."""

    async def model(_messages: Any, info: Any) -> AsyncIterator[Any]:
        yield {0: library.delta_call(info.output_tools[0].name, '{"number": 5, "text": "')}
        for _ in range(deltas):
            yield {0: library.delta_call(json_args='word ')}
        yield {0: library.delta_call(json_args='"}')}

    agent = library.agent(stream_function=model, output_type=Answer)

    async def program() -> int:
        last = 0
        async with agent.run_stream('x') as result:
            async for output in result.stream_output(debounce_by=None):
                last = len(output.text) // 5
        return last

    return program


def _lengths(agent: Any) -> Program:
    async def program() -> int:
        return len((await agent.run('x')).output)

    return program


def _race(
    name: str,
    title: str,
    unit: str,
    make: Callable[[Library, int], Program],
    sizes: Mapping[str, Sequence[int]],
    expected: Callable[[int], int],
    bars: Sequence[Bar],
) -> Race:
    def prepared(contender: str, size: int) -> Program:
        return make(Library(contender), size)

    lanes = [
        Lane(contender, size, partial(prepared, contender, size), expected(size))
        for contender in (OURS, PEER)
        if contender in sizes and _is_there(contender)
        for size in sizes[contender]
    ]
    return Race(name, title, unit, lanes, bars)


def _is_there(contender: str) -> bool:
    try:
        importlib.import_module(_ROOTS[contender])
    except ImportError:
        return False
    return True


def _versus(size: int, at_most: float) -> list[Bar]:
    return [Bar((OURS, size), (PEER, size), at_most)]


def _both(size: int) -> dict[str, tuple[int, ...]]:
    return {OURS: (size,), PEER: (size,)}


def _tool_rounds() -> Race:
    sizes = {OURS: (_FEW_ROUNDS, _MANY_ROUNDS), PEER: (_PEER_ROUNDS,)}
    bars = [Bar((OURS, _MANY_ROUNDS), (OURS, _FEW_ROUNDS), 1.5)]
    return _race(
        'agent-rounds', 'agent: one tool call after the other', 'round', rounds, sizes, lambda size: size, bars
    )


RACES: Mapping[str, Callable[[], Race]] = {
    'agent-text': lambda: _race(
        'agent-text', 'agent: a text answer', 'run', text_answer, _both(1), lambda _: 5, _versus(1, 1 / 8)
    ),
    'agent-one-tool': lambda: _race(
        'agent-one-tool',
        'agent: one tool call, a text answer',
        'run',
        tool_calls,
        _both(1),
        lambda _: 5,
        _versus(1, 1 / 8),
    ),
    'agent-structured': lambda: _race(
        'agent-structured', 'agent: a structured output', 'run', structured, _both(1), lambda _: 5, _versus(1, 1 / 8)
    ),
    'agent-ten-tools': lambda: _race(
        'agent-ten-tools',
        'agent: ten tool calls at once',
        'call',
        tool_calls,
        _both(10),
        lambda _: 5,
        _versus(10, 1 / 8),
    ),
    'agent-deltas': lambda: _race(
        'agent-deltas',
        f'agent: text in {_DELTAS} pieces',
        'delta',
        text_deltas,
        _both(_DELTAS),
        lambda size: size,
        _versus(_DELTAS, 1 / 10),
    ),
    'agent-partial-output': lambda: _race(
        'agent-partial-output',
        f'agent: structured output in {_DELTAS} pieces, validated at each',
        'delta',
        output_deltas,
        _both(_DELTAS),
        lambda size: size,
        _versus(_DELTAS, 1 / 10),
    ),
    'agent-rounds': _tool_rounds,
}
