"""How functions become tools, and how they are called."""

from __future__ import annotations

import functools
import json
import math
import threading
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from plait_agent.exceptions import UserError
from plait_agent.tools import RunContext, Tool, ToolDefinition
from plait_agent.usage import RunUsage

CONTEXT: RunContext[Any] = RunContext(deps='deps', model=None, usage=RunUsage())
here = ContextVar('here', default='nowhere')


def schema(function, **options):
    """The JSON schema of a function."""
    return Tool(function, **options).function_schema.json_schema


async def call(function, arguments='{}'):
    """What a tool gives for arguments as a model writes them."""
    made = Tool(function).function_schema
    return await made.call(made.validator.validate_json(arguments), CONTEXT)


# ---------------------------------------------------------------------------------- calling


async def test_every_kind_of_parameter_gets_its_argument():
    """Positional, collected, keyword-only and further arguments arrive where Python would put them."""

    def all_kinds(ctx: RunContext[str], a: int, /, b: int, *c: int, d: int = 4, **e: int):
        return ctx.deps, a, b, c, d, e

    def by_position(a: int, b: int = 2, /, *, c: int = 3):
        return a, b, c

    assert await call(all_kinds, '{"a": 1, "b": 2, "c": [7, 8], "z": 9}') == ('deps', 1, 2, (7, 8), 4, {'z': 9})
    assert await call(by_position, '{"a": 1, "c": 5}') == (1, 2, 5)


async def test_an_async_function_runs_on_the_loop_and_another_in_a_thread():
    """A function that is not async cannot block the loop; context variables are seen in both."""

    async def on_the_loop():
        return threading.get_ident(), here.get()

    def in_a_thread():
        return threading.get_ident(), here.get()

    here.set('somewhere')
    own = threading.get_ident()
    assert await call(on_the_loop) == (own, 'somewhere')
    thread, place = await call(in_a_thread)
    assert thread != own
    assert place == 'somewhere'


async def test_what_hides_an_async_function_is_awaited():
    """A decorator that is not async itself does not keep its function from being awaited."""

    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    @logged
    async def function(a: int) -> int:
        return a + 1

    assert await call(function, '{"a": 1}') == 2


class Adder:
    """Adds."""

    def __init__(self, to: int):
        self.to = to

    def __call__(self, number: int) -> int:
        """Add to a number."""
        return self.to + number

    async def method(self, ctx: RunContext[str], number: int) -> tuple[str, int]:
        """Add and tell."""
        return ctx.deps, self.to + number

    @classmethod
    def of_class(cls, number: int) -> str:
        """Say the class."""
        return f'{cls.__name__} {number}'

    @staticmethod
    def of_none(number: int) -> int:
        """Add one."""
        return number + 1


def add(ctx: RunContext[str], number: int, b: int, c: int = 0) -> tuple[str, int]:
    """Add all."""
    return ctx.deps, number + b + c


@pytest.mark.parametrize(
    ('function', 'name', 'description', 'result'),
    [
        pytest.param(Adder(1), 'Adder', 'Add to a number.', 3, id='object'),
        pytest.param(Adder(1).method, 'method', 'Add and tell.', ('deps', 3), id='method'),
        pytest.param(Adder.of_class, 'of_class', 'Say the class.', 'Adder 2', id='classmethod'),
        pytest.param(Adder.of_none, 'of_none', 'Add one.', 3, id='staticmethod'),
        pytest.param(vars(Adder)['of_none'], 'of_none', 'Add one.', 3, id='staticmethod as it is stored'),
        pytest.param(partial(Adder(1)), 'Adder', 'Add to a number.', 3, id='partial of an object'),
        pytest.param(partial(partial(add, c=40), b=5), 'add', 'Add all.', ('deps', 47), id='partial of a partial'),
    ],
)
async def test_whatever_can_be_called_can_be_a_tool(function, name, description, result):
    """Objects, methods and partials are named and described by what is in them."""
    tool = Tool(function)

    assert (tool.name, tool.description) == (name, description)
    assert await call(function, '{"number": 2}') == result


def test_what_a_partial_has_bound_is_not_shown():
    """A bound argument, which may be a secret, is neither asked for nor told; also where a partial poses as another."""

    def function(key: str, text: str, lang: str = 'en'): ...

    bound = partial(function, 'secret', lang='secret')
    posing = functools.update_wrapper(partial(function, 'secret', lang='secret'), function)

    assert json.dumps(schema(bound)) == json.dumps(schema(posing))
    assert schema(bound)['properties'] == {'text': {'type': 'string'}}


async def test_a_compiled_function_can_be_a_tool():
    """What it does not say of its parameters is left open."""
    assert await call(math.sqrt, '{"x": 9}') == 3
    assert await call(functools.lru_cache(math.sqrt), '{"x": 16}') == 4


async def test_a_class_can_be_a_tool():
    """Its parameters are those of its constructor."""
    made = await call(Adder, '{"to": 3}')

    assert Tool(Adder).description == 'Adds.'
    assert made.to == 3


# ---------------------------------------------------------------------------------- context and hints


def test_the_context_is_seen_from_the_annotation():
    """A first parameter that is annotated with `RunContext` is the context and no argument."""

    def bare(ctx: RunContext, a: int): ...

    def generic(ctx: RunContext[Any], a: int): ...

    def without(a: int): ...

    def unannotated(ctx, a: int): ...

    assert [Tool(each).takes_ctx for each in (bare, generic, without, unannotated)] == [True, True, False, False]
    assert list(schema(unannotated, takes_ctx=True)['properties']) == ['a']
    assert [list(schema(each)['properties']) for each in (bare, generic)] == [['a'], ['a']]


def test_types_of_a_local_scope_are_found():
    """A type that is defined in the function that registers the tool can be named, though annotations are texts."""

    class Local(BaseModel):
        x: int

    def function(one: Local, other: list[Local]): ...

    assert Tool(function).function_schema.json_schema['properties']['one'] == {'$ref': '#/$defs/Local'}


def test_the_type_of_the_dependencies_need_not_be_known():
    """Only the checker needs it, so its import may be for the checker alone; the same holds for what is returned."""

    def function(ctx: RunContext[OnlyForCheckers], a: int) -> OnlyForCheckers: ...  # noqa: F821

    tool = Tool(function)
    assert tool.takes_ctx
    assert list(tool.function_schema.json_schema['properties']) == ['a']


# ---------------------------------------------------------------------------------- tools


async def test_a_tool_tells_what_it_was_made_with():
    """Name, description and options are in the definition."""

    def function(a: int): ...

    tool = Tool(
        function, name='other', description='Says it.', strict=True, sequential=True, metadata={'k': 1}, timeout=2
    )

    assert tool.tool_def == ToolDefinition(
        name='other',
        description='Says it.',
        parameters_json_schema=schema(function),
        strict=True,
        sequential=True,
        metadata={'k': 1},
        timeout=2,
    )
    assert await tool.prepare_tool_def(CONTEXT) == tool.tool_def


def test_an_empty_description_is_none_given():
    """The docstring is used then."""

    def function():
        """Do it."""

    assert Tool(function, description='').description == 'Do it.'


async def test_a_tool_of_a_schema_takes_any_object_by_name():
    """With a schema from elsewhere nothing is validated but that there is an object."""

    def function(ctx: RunContext[str], **arguments: Any):
        return ctx.deps, arguments

    json_schema = {'type': 'object', 'properties': {'a': {'type': 'integer'}}}
    tool = Tool.from_schema(function, 'name', 'description', json_schema, takes_ctx=True, sequential=True)

    made = tool.function_schema
    assert await made.call(made.validator.validate_json('{"a": "x", "b": 1}'), CONTEXT) == ('deps', {'a': 'x', 'b': 1})
    assert tool.tool_def == ToolDefinition(
        name='name', description='description', parameters_json_schema=json_schema, sequential=True
    )
    with pytest.raises(ValidationError, match='dict_type'):
        made.validator.validate_json('[1]')


async def test_a_prepare_function_may_change_all_of_its_definition():
    """It gets a definition of its own, so what it does to the schema is for this step alone."""

    async def describe(ctx: RunContext[Any], tool_def: ToolDefinition) -> ToolDefinition | None:
        tool_def.parameters_json_schema['properties']['a']['description'] = f'for {ctx.deps}'
        tool_def.metadata['seen'] = True
        return tool_def

    def function(a: int): ...

    tool = Tool(function, prepare=describe, metadata={})
    prepared = await tool.prepare_tool_def(CONTEXT)

    assert prepared.parameters_json_schema['properties'] == {'a': {'type': 'integer', 'description': 'for deps'}}
    assert tool.tool_def.parameters_json_schema['properties'] == {'a': {'type': 'integer'}}
    assert tool.metadata == {}


async def test_a_prepare_function_need_not_be_async_and_may_leave_the_tool_out():
    """`None` means that the model is not told of the tool."""

    def only_for_deps(ctx: RunContext[Any], tool_def: ToolDefinition) -> ToolDefinition | None:
        return tool_def if ctx.deps else None

    tool = Tool(lambda: 1, name='one', prepare=only_for_deps)

    assert (await tool.prepare_tool_def(CONTEXT)).name == 'one'
    assert await tool.prepare_tool_def(replace(CONTEXT, deps=None)) is None


def test_a_tool_that_needs_approval_and_one_from_outside_are_deferred():
    """The kind says who calls a tool, and whether a call ends the run."""
    kinds = {'function': False, 'output': False, 'external': True, 'unapproved': True}

    assert {kind: ToolDefinition(name='t', kind=kind).defer for kind in kinds} == kinds
    assert Tool(lambda: 1, requires_approval=True).tool_def.kind == 'unapproved'


def test_a_definition_prints_what_is_not_default():
    """The schema is always there, since it is made anew for each definition."""
    assert repr(ToolDefinition(name='t', description='d')) == (
        "ToolDefinition(name='t', parameters_json_schema={'type': 'object', 'properties': {}}, description='d')"
    )


def test_a_tool_prints_all_its_fields():
    """As a plain dataclass does, in the order of the fields."""
    printed = repr(Tool(lambda: 1, name='one'))

    assert printed.startswith('Tool(function=<function ')
    for shown in ("takes_ctx=False, max_retries=None, name='one', description=None, prepare=None, ", 'limit=None)'):
        assert shown in printed


def test_descriptions_of_parameters_can_be_demanded():
    """What neither the docstring nor a `Field` describes is named."""

    def function(a: int, b: int, c: Annotated[int, Field(description='The c')]):  # noqa: D417
        """Do it.

        Args:
            b: The b.
        """

    def described(a: int):
        """Do it.

        Args:
            a: The a.
        """

    Tool(described, require_parameter_descriptions=True)
    message = r'^Error generating schema for function:\n  Missing parameter descriptions for a$'
    with pytest.raises(UserError, match=message):
        Tool(function, require_parameter_descriptions=True)
