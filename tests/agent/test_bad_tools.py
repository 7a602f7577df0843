"""What is said of functions that cannot be tools, where they are registered."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from plait_agent.exceptions import UserError
from plait_agent.tools import RunContext, Tool
from plait_agent.toolsets import FunctionToolset


class Odd:
    """Pydantic does not know what to do with this."""


def refused(function, **options):
    """The message with which a function is refused."""
    with pytest.raises(UserError) as caught:
        Tool(function, **options)
    return str(caught.value)


def test_what_cannot_be_called_is_no_tool():
    """The thing itself is shown."""
    assert refused(5) == '5 cannot be a tool, since it cannot be called. Give a function.'


def test_a_tool_that_takes_context_needs_one():
    """Without a first parameter for it, or with another one there, the context has no place."""

    def another(a: int): ...

    def none(): ...

    message = 'First parameter of tools that take context must be annotated with RunContext[...]'
    assert refused(another, takes_ctx=True) == f'Error generating schema for another:\n  {message}'
    assert refused(none, takes_ctx=True) == f'Error generating schema for none:\n  {message}'


def test_a_context_has_to_come_first():
    """Anywhere else it would be an argument of the model; all problems come together."""

    def second(a: int, ctx: RunContext[Any]): ...

    only_with = 'RunContext annotations can only be used with tools that take context'
    only_first = 'RunContext annotations can only be used as the first argument'
    needs_first = 'First parameter of tools that take context must be annotated with RunContext[...]'
    assert refused(second) == f'Error generating schema for second:\n  {only_with}'
    assert refused(second, takes_ctx=True) == f'Error generating schema for second:\n  {needs_first}\n  {only_first}'


def test_a_tool_without_context_cannot_have_one():
    """`tool_plain` is for functions that need none."""

    def function(ctx: RunContext[Any], a: int): ...

    message = 'RunContext annotations can only be used with tools that take context'
    assert refused(function, takes_ctx=False) == f'Error generating schema for function:\n  {message}'


def test_a_context_is_given_by_position():
    """A keyword-only context could not be."""

    def function(*, ctx: RunContext[Any]): ...

    assert refused(function) == (
        'Error generating schema for function:\n'
        "  The context is given by position, and 'ctx' can only be given by name. Move the `*`."
    )


def test_a_name_that_is_nowhere_to_be_found_is_told():
    """Parameter, annotation and name are in the message."""

    def function(a: list[Nowhere], b: int): ...  # noqa: F821

    message = refused(function)
    assert "Parameter 'a' is annotated with 'list[Nowhere]', but name 'Nowhere' is not defined." in message
    assert "'b'" not in message


@pytest.mark.parametrize('annotation', ['Odd.missing', 'Odd | 5', 'list['])
def test_a_text_that_is_no_type_is_told(annotation):
    """Whatever Python says of it is passed on."""

    def function(a, b: int): ...

    function.__annotations__['a'] = annotation
    message = refused(function)
    assert f"Parameter 'a' is annotated with {annotation!r}, but " in message
    assert "'b'" not in message


def test_types_that_pydantic_does_not_know_are_told_together():
    """Each parameter is named with its type; the error is one of pydantic's too."""

    def function(a: Odd, b: int, c: list[Odd]): ...

    with pytest.raises(PydanticSchemaGenerationError):
        Tool(function)
    first, second = (line for line in refused(function).splitlines() if 'Parameter' in line)
    assert first.startswith("  Parameter 'a' is annotated with <class ")
    assert 'Use a type that it knows' in first
    assert second.startswith("  Parameter 'c' is annotated with list[")


def test_a_type_within_a_single_model_that_pydantic_does_not_know_is_told():
    """The parameter is named, and the type that is the reason."""

    class Unfinished(BaseModel):
        later: Later  # noqa: F821

    def function(it: Unfinished): ...

    function.__annotations__['it'] = Unfinished
    message = refused(function)
    assert "Parameter 'it' is annotated with " in message
    assert "name 'Later' is not defined" in message


def test_a_type_that_is_no_json_is_told():
    """A model cannot send a function."""

    def function(a: int, how: Callable[[int], int]): ...

    with pytest.raises(PydanticInvalidForJsonSchema):
        Tool(function)
    message = refused(function)
    assert message.startswith("Error generating schema for function:\n  Parameter 'how' is annotated with ")
    assert 'which a model cannot write as JSON' in message


def test_a_generator_answers_more_than_once():
    """Neither kind of generator is a tool."""

    def plain():
        yield 1

    async def asynchronous():
        yield 1

    class Called:
        async def __call__(self):
            yield 1

    for function in (plain, asynchronous, partial(asynchronous), Called()):
        assert refused(function).endswith('Collect the items in a list and return that.')


def test_what_has_no_signature_is_told():
    """Some builtins do not say what they take."""
    assert refused(int).startswith('Error generating schema for int:\n  no signature found')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'max_retries': -1}, "Tool 't' has max_retries=-1. Give 0 or more."),
        ({'timeout': 0}, "Tool 't' has timeout=0. Give seconds above 0."),
        ({'prepare': 'me'}, "Tool 't' is prepared by 'me', which cannot be called. Give a function."),
    ],
)
def test_options_without_a_sense_are_refused(options, message):
    """Tool, option and value are named."""
    assert refused(lambda: 1, name='t', **options) == message


def test_two_tools_of_one_name_are_refused():
    """In one toolset names are unique, whichever way the tools came in."""

    def np(): ...

    toolset = FunctionToolset([np])

    for add in (lambda: toolset.add_function(np), lambda: toolset.tool(np), lambda: toolset.add_tool(Tool(np))):
        with pytest.raises(UserError, match=r"^Tool name conflicts with existing tool: 'np'$"):
            add()
    assert list(toolset.tools) == ['np']
