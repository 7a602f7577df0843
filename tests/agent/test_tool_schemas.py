"""What a model is told of a function, and what is made of the arguments that it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar

import pytest
from pydantic import BaseModel, Field, RootModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict, Unpack

from plait_agent.tools import GenerateToolJsonSchema, RunContext, Tool
from plait_agent.usage import RunUsage

T = TypeVar('T')
CONTEXT: RunContext[Any] = RunContext(deps='deps', model=None, usage=RunUsage())


class Place(BaseModel):
    """Where something is."""

    city: str = Field(description='Its name', title='City!')
    zip_code: int = 0


class Plain(BaseModel):
    x: int


class Box(BaseModel, Generic[T]):
    content: T


class Tree(BaseModel):
    """A tree."""

    name: str
    children: list[Tree] = []


@dataclass
class Point:
    a: int
    b: str = 'q'


class Keys(TypedDict):
    a: int
    b: NotRequired[Annotated[str, Field(description='The b')]]


def schema(function, **options):
    """The JSON schema of a function."""
    return Tool(function, **options).function_schema.json_schema


async def call(function, arguments):
    """What a tool gives for arguments as a model writes them."""
    made = Tool(function).function_schema
    return await made.call(made.validator.validate_json(arguments), CONTEXT)


# ---------------------------------------------------------------------------------- JSON schemas


def test_parameters_become_properties_and_those_without_a_default_are_required():
    """A model sees the names, types, defaults and constraints of parameters, and may send nothing else."""

    def function(a: int, b: str = 'q', *, c: list[float] | None = None, d: Annotated[int, Field(ge=2)] = 3): ...

    assert schema(function) == {
        'type': 'object',
        'properties': {
            'a': {'type': 'integer'},
            'b': {'type': 'string', 'default': 'q'},
            'c': {'anyOf': [{'type': 'array', 'items': {'type': 'number'}}, {'type': 'null'}], 'default': None},
            'd': {'type': 'integer', 'default': 3, 'minimum': 2},
        },
        'required': ['a'],
        'additionalProperties': False,
    }


def test_a_function_of_nothing_has_an_empty_schema():
    """Without parameters there is nothing to require."""

    def function(): ...

    assert schema(function) == {'type': 'object', 'properties': {}, 'additionalProperties': False}


def test_a_parameter_without_a_type_may_be_anything():
    """Nothing is said of a parameter that is not annotated."""

    def function(a, b=3): ...

    assert schema(function)['properties'] == {'a': {}, 'b': {'default': 3}}


def test_arguments_without_names_are_an_array_and_other_names_keep_their_type():
    """`*args` is a required array under its name, `**kwargs` says what further properties are."""

    def typed(*args: int, **kwargs: str): ...

    def untyped(*args, **kwargs): ...

    assert schema(typed) == {
        'type': 'object',
        'properties': {'args': {'type': 'array', 'items': {'type': 'integer'}}},
        'required': ['args'],
        'additionalProperties': {'type': 'string'},
    }
    assert schema(untyped)['properties'] == {'args': {'type': 'array', 'items': {}}}
    assert schema(untyped)['additionalProperties'] is True


def test_unpacked_keywords_are_parameters():
    """`**kwargs: Unpack[...]` stands for the keys of the TypedDict."""

    def function(**kwargs: Unpack[Keys]): ...

    assert schema(function) == {
        'type': 'object',
        'properties': {'a': {'type': 'integer'}, 'b': {'type': 'string', 'description': 'The b'}},
        'required': ['a'],
        'additionalProperties': False,
    }


def test_a_field_describes_a_parameter_before_the_docstring_does():
    """What `Field` says goes before what the docstring says, and both are seen."""

    def function(a: Annotated[int, Field(description='by field')], b: int = Field(1, description='too'), c: int = 2):
        """Do it.

        Args:
            a: by docstring
            b: by docstring
            c: by docstring
        """

    described = {name: each['description'] for name, each in schema(function)['properties'].items()}
    assert described == {'a': 'by field', 'b': 'too', 'c': 'by docstring'}


def test_what_else_a_field_says_is_kept():
    """Aliases are what the model sends, examples and further JSON are seen, a factory makes the default."""

    async def function(  # noqa: D417
        a: Annotated[int, Field(alias='theA', examples=[7], json_schema_extra={'x-unit': 'm'})],
        b: list[int] = Field(default_factory=list),
    ):
        """Do it.

        Args:
            a: The a.
        """
        return a, b

    made = Tool(function).function_schema
    a = {'type': 'integer', 'examples': [7], 'x-unit': 'm', 'description': 'The a.'}
    assert made.json_schema['properties'] == {'theA': a, 'b': {'type': 'array', 'items': {'type': 'integer'}}}
    assert made.validator.validate_json('{"theA": 1}') == {'a': 1, 'b': []}


def test_models_among_several_parameters_are_definitions_without_titles_of_fields():
    """A model keeps its own title, its fields have none, and the parameter may be described beside it."""

    def function(place: Place, point: Point):  # noqa: D417
        """Do it.

        Args:
            place: Where.
        """

    made = schema(function)
    assert made['properties'] == {
        'place': {'$ref': '#/$defs/Place', 'description': 'Where.'},
        'point': {'$ref': '#/$defs/Point'},
    }
    assert made['$defs']['Place'] == {
        'type': 'object',
        'title': 'Place',
        'description': 'Where something is.',
        'properties': {
            'city': {'type': 'string', 'description': 'Its name'},
            'zip_code': {'type': 'integer', 'default': 0},
        },
        'required': ['city'],
    }


def test_describing_a_parameter_does_not_describe_its_type():
    """The description of one tool's parameter is not seen in another tool with the same recursive model."""

    def first(tree: Annotated[Tree, Field(description='of the first')], x: int): ...

    def second(tree: Tree, x: int): ...

    assert schema(first)['properties']['tree'] == {'$ref': '#/$defs/Tree', 'description': 'of the first'}
    assert schema(second)['properties']['tree'] == {'$ref': '#/$defs/Tree'}


def test_a_default_that_is_no_json_is_left_out():
    """A default that only Python knows makes a parameter optional, and no noise."""

    def function(a: object = object()): ...

    assert schema(function) == {'type': 'object', 'properties': {'a': {}}, 'additionalProperties': False}


# ---------------------------------------------------------------------------------- one parameter


def test_the_fields_of_a_single_model_are_the_arguments():
    """A function of one model has the model's schema, and gets the model."""

    async def function(ctx: RunContext[str], place: Place):
        return ctx.deps, place

    made = Tool(function)
    assert made.description == 'Where something is.'
    assert made.function_schema.single_arg_name == 'place'
    assert made.function_schema.json_schema == {
        'type': 'object',
        'title': 'Place',
        'properties': {
            'city': {'type': 'string', 'description': 'Its name'},
            'zip_code': {'type': 'integer', 'default': 0},
        },
        'required': ['city'],
    }


async def test_a_single_model_is_made_of_what_the_model_sends():
    """The function gets one object of its type."""

    async def of_model(place: Place):
        return place

    async def of_dataclass(point: Point):
        return point

    async def of_keys(keys: Keys):
        return keys

    assert await call(of_model, '{"city": "Bern"}') == Place(city='Bern')
    assert await call(of_dataclass, '{"a": 1}') == Point(1)
    assert await call(of_keys, '{"a": 1}') == {'a': 1}


def test_the_docstring_of_the_function_goes_before_that_of_the_model():
    """With a docstring of its own the tool says that, and the model's stays within the schema."""

    def function(place: Place):
        """Go there.

        Args:
            place: Not said anywhere.
        """

    made = Tool(function)
    assert made.description == 'Go there.'
    assert made.function_schema.json_schema['description'] == 'Where something is.'


@pytest.mark.parametrize('annotation', [Place | None, list[Place], RootModel[list[int]], dict[str, int]])
def test_what_may_be_missing_or_is_no_object_with_fields_is_a_property(annotation):
    """Only a required model, dataclass or TypedDict is taken apart."""

    def function(it: annotation): ...

    function.__annotations__['it'] = annotation
    assert list(schema(function)['properties']) == ['it']


def test_a_single_model_with_a_default_is_a_property():
    """A model that need not be sent cannot be taken apart, since then nothing could be left out."""

    def function(place: Plain = Plain(x=1)): ...

    assert schema(function)['properties'] == {'place': {'$ref': '#/$defs/Plain', 'default': {'x': 1}}}


def test_a_recursive_model_is_an_object_at_the_root():
    """Providers want an object there, not a reference to one."""

    def function(tree: Tree): ...

    made = schema(function)
    assert made['type'] == 'object'
    assert list(made['properties']) == ['name', 'children']
    assert made['properties']['children']['items'] == {'$ref': '#/$defs/Tree'}
    assert 'Tree' in made['$defs']


def test_a_generic_model_is_taken_apart():
    """What a type variable stands for is seen."""

    def function(box: Box[int]): ...

    assert schema(function)['properties'] == {'content': {'type': 'integer'}}


# ---------------------------------------------------------------------------------- generators


def test_the_schema_generator_can_be_replaced():
    """A generator of one's own writes the schema; field titles come back with pydantic's."""

    def function(some_number: int): ...

    class Shouting(GenerateToolJsonSchema):
        def int_schema(self, schema):
            return {**super().int_schema(schema), 'format': 'LOUD'}

    assert schema(function, schema_generator=Shouting)['properties'] == {
        'some_number': {'type': 'integer', 'format': 'LOUD'}
    }
    assert schema(function, schema_generator=GenerateJsonSchema)['properties']['some_number']['title'] == 'Some Number'


# ---------------------------------------------------------------------------------- validation


def test_arguments_are_validated_and_completed():
    """Values are made what the types say, and defaults are filled in."""

    def function(a: int, b: Literal['x', 'y'] = 'x'): ...

    validator = Tool(function).function_schema.validator
    assert validator.validate_json('{"a": "1"}') == {'a': 1, 'b': 'x'}
    assert validator.validate_python({'a': 2, 'b': 'y'}) == {'a': 2, 'b': 'y'}


@pytest.mark.parametrize(
    ('arguments', 'kinds'),
    [('{}', ['missing']), ('{"a": 1, "z": 2}', ['extra_forbidden']), ('{"a"', ['json_invalid']), ('[]', ['dict_type'])],
)
def test_arguments_that_do_not_fit_are_refused(arguments, kinds):
    """The errors are those that pydantic has for fields, and are titled with the function's name."""

    def function(a: int): ...

    with pytest.raises(ValidationError) as caught:
        Tool(function).function_schema.validator.validate_json(arguments)

    assert [error['type'] for error in caught.value.errors()] == kinds
    assert caught.value.title == 'function'


def test_a_mutable_default_is_not_shared_by_calls():
    """What one call does to its default is not seen by the next."""

    def function(a: list[int] = []): ...  # noqa: B006

    validator = Tool(function).function_schema.validator
    validator.validate_json('{}')['a'].append(1)
    assert validator.validate_json('{}') == {'a': []}
