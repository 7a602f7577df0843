"""What models are told of the output that a run wants."""

import json
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar, Union

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model
from typing_extensions import TypeAliasType, TypedDict

from plait_agent._output import OutputSchema
from plait_agent.messages import BinaryImage
from plait_agent.output import NativeOutput, PromptedOutput, StructuredDict, TextOutput, ToolOutput
from plait_agent.profiles import ModelProfile
from plait_agent.tools import DeferredToolRequests, RunContext

T = TypeVar('T')
DEFAULT = 'The final response which ends this conversation'


class Foo(BaseModel):
    x: int


class Bar(BaseModel):
    """What a bar is."""

    y: str = Field(description='Its name')


class Gen(BaseModel, Generic[T]):
    v: T


class Node(BaseModel):
    below: list['Node'] = []


class Numbers(RootModel[list[int]]):
    pass


class Counts(RootModel[dict[str, int]]):
    pass


@dataclass
class Point:
    a: int


class Keys(TypedDict):
    a: int


class Colour(Enum):
    RED = 'r'


class Hand:
    def over(self, ctx: RunContext[None], to: str) -> bool:
        """Hand over."""
        return bool(to)

    def __call__(self, to: str) -> str:
        return to


async def fetch(number: int, unit: str = 'm') -> Foo:
    """Fetch it.

    Args:
        number: How many.
        unit: Of what.
    """
    return Foo(x=number)


def take(foo: Foo) -> str:  # noqa: D103 - what has no docstring
    return str(foo.x)


def promise(number: int) -> Awaitable[int]:
    """Not async itself, but what it returns is awaited."""
    raise NotImplementedError


def lost(number: int) -> 'Nowhere':  # noqa: F821
    """Nobody knows what it returns."""


NATIVE = ModelProfile(supports_json_schema_output=True)
FOO = {'properties': {'x': {'type': 'integer'}}, 'required': ['x'], 'title': 'Foo', 'type': 'object'}
BAR = {
    'properties': {'y': {'description': 'Its name', 'type': 'string'}},
    'required': ['y'],
    'title': 'Bar',
    'type': 'object',
}
INTEGER = {'properties': {'response': {'type': 'integer'}}, 'required': ['response'], 'type': 'object'}


def tool(output_type):
    """The only output tool."""
    (definition,) = OutputSchema.build(output_type).tool_defs
    return definition


def names(output_type):
    """What the output tools are called."""
    return [each.name for each in OutputSchema.build(output_type).tool_defs]


# Text, images, deferral


def test_plain_text_needs_no_tools():
    """`str` is text mode, with nothing to tell the model."""
    schema = OutputSchema.build(str).resolve(ModelProfile())

    assert (schema.mode, schema.allows_text, schema.allows_image, schema.allows_deferred) == (
        'text',
        True,
        False,
        False,
    )
    assert (schema.tool_defs, schema.object_def, schema.template) == ((), None, None)
    assert schema.instructions(ModelProfile()) is None


@pytest.mark.parametrize(
    'output_type',
    [str, [str], (str,), [[str]], TypeAliasType('Said', str), TextOutput(lambda text: text)],
    ids=['str', 'list', 'tuple', 'nested', 'alias', 'function'],
)
def test_text_in_any_wrapping_is_text(output_type):
    """Sequences are flattened, and a function of text is text to the model."""
    schema = OutputSchema.build(output_type)

    assert (schema.mode, schema.allows_text, len(schema.tools)) == ('text', True, 0)


@pytest.mark.parametrize(
    ('output_type', 'mode', 'allows_text', 'tools'),
    [
        (BinaryImage, 'image', False, 0),
        ([BinaryImage, str], 'text', True, 0),
        (BinaryImage | str, 'text', True, 0),
        ([BinaryImage, Foo], 'tool', False, 1),
    ],
    ids=['alone', 'text', 'union', 'data'],
)
def test_images(output_type, mode, allows_text, tools):
    """An image is allowed beside text or data, or makes a mode of its own."""
    schema = OutputSchema.build(output_type).resolve(ModelProfile(supports_image_output=True))

    assert (schema.mode, schema.allows_image, schema.allows_text, len(schema.tool_defs)) == (
        mode,
        True,
        allows_text,
        tools,
    )


@pytest.mark.parametrize(
    ('output_type', 'mode'),
    [
        ([str, DeferredToolRequests], 'text'),
        ([Foo, DeferredToolRequests], 'tool'),
        (Foo | DeferredToolRequests, 'tool'),
        ([NativeOutput(Foo), DeferredToolRequests], 'native'),
    ],
    ids=['text', 'data', 'union', 'native'],
)
def test_deferral_is_no_choice_of_the_model(output_type, mode):
    """`DeferredToolRequests` changes nothing of what the model is told."""
    schema = OutputSchema.build(output_type).resolve(NATIVE)

    assert (schema.mode, schema.allows_deferred) == (mode, True)
    assert [each.name for each in schema.tool_defs] == (['final_result'] if mode == 'tool' else [])


# Output tools


def test_a_model_is_a_tool():
    """A pydantic model is the schema of the arguments of `final_result`."""
    definition = tool(Foo)

    assert (definition.name, definition.description, definition.kind) == ('final_result', DEFAULT, 'output')
    assert definition.parameters_json_schema == FOO
    assert (definition.outer_typed_dict_key, definition.strict) == (None, None)
    assert OutputSchema.build(Foo).allows_text is False


@pytest.mark.parametrize(
    ('output_type', 'schema'),
    [
        (Point, {'properties': {'a': {'type': 'integer'}}, 'required': ['a'], 'title': 'Point', 'type': 'object'}),
        (Keys, {'properties': {'a': {'type': 'integer'}}, 'required': ['a'], 'title': 'Keys', 'type': 'object'}),
        (
            Gen[int],
            {'properties': {'v': {'type': 'integer'}}, 'required': ['v'], 'title': 'Gen[int]', 'type': 'object'},
        ),
        (Counts, {'additionalProperties': {'type': 'integer'}, 'title': 'Counts', 'type': 'object'}),
        (TypeAliasType('AnyFoo', Foo), FOO),
    ],
    ids=['dataclass', 'typed_dict', 'generic', 'root', 'alias'],
)
def test_objects_are_their_own_schema(output_type, schema):
    """What is written as a JSON object is not wrapped, and its fields have no titles."""
    definition = tool(output_type)

    assert definition.parameters_json_schema == schema
    assert definition.outer_typed_dict_key is None


@pytest.mark.parametrize(
    ('output_type', 'inside'),
    [
        (int, {'type': 'integer'}),
        (list[int], {'items': {'type': 'integer'}, 'type': 'array'}),
        (dict[str, int], {'additionalProperties': {'type': 'integer'}, 'type': 'object'}),
        (Literal['a', 'b'], {'enum': ['a', 'b'], 'type': 'string'}),
        (Annotated[int, Field(description='How many')], {'description': 'How many', 'type': 'integer'}),
        (Colour, {'$ref': '#/$defs/Colour'}),
        (Numbers, {'$ref': '#/$defs/Numbers'}),
        (None, {'type': 'null'}),
        (ToolOutput(None), {'type': 'null'}),
        (Any, {}),
        (ToolOutput(str), {'type': 'string'}),
        (ToolOutput(Foo | None), {'anyOf': [{'$ref': '#/$defs/Foo'}, {'type': 'null'}]}),
    ],
    ids=['int', 'list', 'dict', 'literal', 'annotated', 'enum', 'root', 'none', 'none_tool', 'any', 'str', 'union'],
)
def test_what_is_no_object_is_wrapped(output_type, inside):
    """Anything else is the `response` of an object."""
    definition = tool(output_type)
    schema = dict(definition.parameters_json_schema)
    schema.pop('$defs', None)

    assert schema == {'properties': {'response': inside}, 'required': ['response'], 'type': 'object'}
    assert definition.outer_typed_dict_key == 'response'


def test_a_recursive_model_has_an_object_at_its_root():
    """Providers want an object at the root, and not a reference to one."""
    schema = tool(Node).parameters_json_schema

    assert (schema['type'], schema['title']) == ('object', 'Node')
    assert schema['properties']['below']['items'] == {'$ref': '#/$defs/Node'}
    assert 'Node' in schema['$defs']


def test_a_docstring_describes_the_tool():
    """What a type says of itself is the description of its tool and stands in the schema no more."""
    definition = tool(Bar)

    assert definition.description == 'What a bar is.'
    assert definition.parameters_json_schema == BAR


def test_a_function_is_a_tool():
    """The parameters of an output function are the arguments, its docstring describes them."""
    definition = tool(fetch)

    assert definition.description == 'Fetch it.'
    assert definition.parameters_json_schema == {
        'additionalProperties': False,
        'properties': {
            'number': {'description': 'How many.', 'type': 'integer'},
            'unit': {'default': 'm', 'description': 'Of what.', 'type': 'string'},
        },
        'required': ['number'],
        'type': 'object',
    }


@pytest.mark.parametrize('function', [Hand().over, Hand()], ids=['method', 'object'])
def test_whatever_can_be_called_is_a_function(function):
    """Bound methods and objects that can be called are output functions; the context is no argument."""
    schema = tool(function).parameters_json_schema

    assert schema['properties'] == {'to': {'type': 'string'}}


def test_a_function_of_one_record_takes_its_fields():
    """The fields of the only parameter are the arguments."""
    definition = tool(take)

    assert definition.parameters_json_schema == FOO
    assert definition.description == DEFAULT


@pytest.mark.parametrize(
    'output_type',
    [[Foo, Bar], (Foo, Bar), Foo | Bar, Union[Foo, Bar], [[Foo], [Bar]], TypeAliasType('Either', Foo | Bar)],  # noqa: UP007
    ids=['list', 'tuple', 'union', 'typing', 'nested', 'alias'],
)
def test_several_types_are_several_tools(output_type):
    """However several types are written, each is a tool with its name."""
    foo, bar = OutputSchema.build(output_type).tool_defs

    assert (foo.name, foo.description) == ('final_result_Foo', f'Foo: {DEFAULT}')
    assert (bar.name, bar.description) == ('final_result_Bar', 'What a bar is.')


@pytest.mark.parametrize(
    ('output_type', 'expected'),
    [
        ([Foo, str], ['final_result']),
        ([Foo, TextOutput(lambda text: text)], ['final_result']),
        (Foo | None, ['final_result_Foo', 'final_result_NoneType']),
        (Optional[Foo], ['final_result_Foo', 'final_result_NoneType']),  # noqa: UP045
        ([Gen[int], Gen[str]], ['final_result_Genint', 'final_result_Genstr']),
        ([list[int], list[str], list[bool]], ['final_result_list', 'final_result_list_2', 'final_result_list_3']),
        ([Foo, Foo], ['final_result_Foo', 'final_result_Foo_2']),
        ([fetch, take, Foo], ['final_result_fetch', 'final_result_take', 'final_result_Foo']),
        ([Hand().over, Hand()], ['final_result_over', 'final_result_Hand']),
        ([lambda x: x, int], ['final_result_lambda', 'final_result_int']),
        ([TypeAliasType('Numbers', list[int]), Keys], ['final_result_Numbers', 'final_result_Keys']),
        ([ToolOutput(Foo, name='foo'), Bar], ['foo', 'final_result_Bar']),
        ([ToolOutput(Foo, name='final_result'), Bar], ['final_result', 'final_result_Bar']),
        ([Bar, ToolOutput(Foo, name='final_result_Bar')], ['final_result_Bar_2', 'final_result_Bar']),
        (ToolOutput(Foo, name='foo'), ['foo']),
    ],
)
def test_names_of_tools(output_type, expected):
    """One tool is `final_result`; several say of which type they are, and no name is there twice."""
    assert names(output_type) == expected


def test_a_title_is_a_name():
    """A model that has a title is known by it; what providers refuse in names is left out."""

    class Titled(BaseModel):
        model_config = ConfigDict(title='My Größe')

    assert names([Titled, Foo]) == ['final_result_MyGre', 'final_result_Foo']


def test_what_is_said_of_a_tool():
    """A marker names and describes its tool, before the docstring, and says how strict it is."""
    foo = tool(ToolOutput(Foo, description='Given', strict=True))
    bar = tool(ToolOutput(Bar, name='bar', description='Given.'))
    built = OutputSchema.build(ToolOutput(Foo, max_retries=3)).tools['final_result']

    assert (foo.description, foo.strict) == ('Given', True)
    assert (bar.name, bar.description) == ('bar', 'Given. What a bar is.')
    assert built.max_retries == 3


def test_what_is_said_of_all_tools():
    """A name, a description and strictness can be given for all; what a marker says goes before."""
    foo, bar = OutputSchema.build(
        [Foo, ToolOutput(Bar, strict=False)], name='answer', description='Said', strict=True
    ).tool_defs

    assert (foo.name, foo.description, foo.strict) == ('answer_Foo', 'Said', True)
    assert (bar.name, bar.description, bar.strict) == ('answer_Bar', 'Said. What a bar is.', False)


# Data as text


def test_native_output():
    """A marker for native output tells the schema and no tools; the reply is text."""
    schema = OutputSchema.build(NativeOutput(Bar, description='Given', strict=True)).resolve(NATIVE)
    told = schema.object_def

    assert (schema.mode, schema.allows_text, schema.tool_defs) == ('native', True, ())
    assert (told.json_schema, told.name, told.strict) == (BAR, 'Bar', True)
    assert told.description == 'Given. What a bar is.'
    assert schema.instructions(NATIVE) is None


def test_native_output_of_what_is_no_object():
    """It is wrapped as in tools, and known by the name of the type."""
    told = OutputSchema.build(NativeOutput(int)).object_def

    assert (told.json_schema, told.name, told.description) == (INTEGER, 'int', None)


def test_native_output_of_several_types():
    """Several types are one object, which says of which kind its data is."""
    told = OutputSchema.build(NativeOutput([int, Bar, fetch], name='n', description='d')).object_def
    kinds = told.json_schema['properties']['result']['anyOf']

    assert (told.name, told.description) == ('n', 'd')
    assert told.json_schema['required'] == ['result']
    assert [each['title'] for each in kinds] == ['int', 'Bar', 'fetch']
    assert kinds[1] == {
        'type': 'object',
        'properties': {
            'kind': {'type': 'string', 'const': 'Bar'},
            'data': {key: BAR[key] for key in ('properties', 'required', 'type')},
        },
        'required': ['kind', 'data'],
        'additionalProperties': False,
        'title': 'Bar',
        'description': 'What a bar is.',
    }


def test_kinds_of_one_name_are_told_apart():
    """The second kind of a name has a number, as a tool would."""
    told = OutputSchema.build(NativeOutput([list[int], list[str]])).object_def
    kinds = told.json_schema['properties']['result']['anyOf']

    assert [each['properties']['kind']['const'] for each in kinds] == ['list', 'list_2']


def test_definitions_of_one_name_are_told_apart():
    """Definitions go to the top of the one schema; two that differ have two names, equal ones share theirs."""
    other = create_model('Foo', z=(bool, ...))
    schema = OutputSchema.build(NativeOutput([list[Foo], set[Foo], list[other]])).object_def.json_schema
    kinds = schema['properties']['result']['anyOf']
    items = [each['properties']['data']['properties']['response']['items'] for each in kinds]

    assert items == [{'$ref': '#/$defs/Foo'}, {'$ref': '#/$defs/Foo'}, {'$ref': '#/$defs/Foo_2'}]
    assert schema['$defs'].keys() == {'Foo', 'Foo_2'}
    assert schema['$defs']['Foo'] == FOO
    assert schema['$defs']['Foo_2']['properties'] == {'z': {'type': 'boolean'}}


@pytest.mark.parametrize('needs_schema', [False, True])
def test_native_output_tells_the_schema_where_it_is_needed(needs_schema):
    """Instructions come with a model that wants them, or with a template of one's own."""
    wants = ModelProfile(
        supports_json_schema_output=True,
        native_output_requires_schema_in_instructions=needs_schema,
        prompted_output_template='P {schema}',
    )
    plain = OutputSchema.build(NativeOutput(Foo))
    own = OutputSchema.build(NativeOutput(Foo, template='T {schema}'))

    assert plain.instructions(wants) == (f'P {json.dumps(FOO)}' if needs_schema else None)
    assert own.instructions(wants) == f'T {json.dumps(FOO)}'


def test_prompted_output():
    """The instructions hold the schema, with the name and description that were given, in the model's template."""
    schema = OutputSchema.build(PromptedOutput(Bar, name='Given', description='Said'))
    told = BAR | {'title': 'Given', 'description': 'Said. What a bar is.'}

    assert (schema.mode, schema.allows_text, schema.tool_defs) == ('prompted', True, ())
    assert schema.instructions(ModelProfile()) == (
        "\nAlways respond with a JSON object that's compatible with this schema:\n\n"
        f"{json.dumps(told)}\n\nDon't include any text or Markdown fencing before or after.\n"
    )


@pytest.mark.parametrize(
    ('template', 'before', 'after'),
    [('A {schema} B', 'A ', ' B'), ('{"a": 1} {schema}', '{"a": 1} ', ''), ('No place', 'No place\n\n', '')],
    ids=['place', 'braces', 'no_place'],
)
def test_templates(template, before, after):
    """The schema takes its place in a template, whatever else is in braces, or stands below it."""
    schema = OutputSchema.build(PromptedOutput(Foo, template=template))

    for _ in range(2):
        assert schema.instructions(ModelProfile()) == f'{before}{json.dumps(FOO)}{after}'


# The mode that a model prefers


@pytest.mark.parametrize('mode', ['tool', 'native', 'prompted'])
def test_a_plain_type_is_asked_for_as_the_model_prefers(mode):
    """Without a marker the profile decides; the same schema serves models of different profiles."""
    schema = OutputSchema.build([Foo, Bar])
    resolved = schema.resolve(ModelProfile(supports_json_schema_output=True, default_structured_output_mode=mode))

    assert schema.mode == 'auto'
    assert resolved.mode == mode
    assert bool(resolved.tool_defs) == (mode == 'tool')
    assert (resolved.object_def is None) == (mode == 'tool')


@pytest.mark.parametrize('output_type', [[Foo, str], ToolOutput(Foo), [ToolOutput(Foo), Bar]], ids=repr)
def test_text_beside_data_and_marked_tools_need_tools(output_type):
    """Text that may be just text cannot be data as well, and a marked tool is a tool."""
    prefers_native = ModelProfile(supports_json_schema_output=True, default_structured_output_mode='native')

    assert OutputSchema.build(output_type).resolve(prefers_native).mode == 'tool'


def test_a_mode_can_be_set_for_all_models():
    """A default mode goes before what profiles say."""
    schema = OutputSchema.build(Foo, default_mode='prompted', name='Named')

    assert schema.resolve(NATIVE).mode == 'prompted'
    assert schema.object_def.name == 'Named'


def test_modes_are_worked_out_once():
    """Resolving again gives the same object."""
    schema = OutputSchema.build(Foo)

    assert schema.resolve(ModelProfile()) is schema.resolve(ModelProfile())


# Schemas of one's own


def test_a_structured_dict_shows_its_schema():
    """A dictionary type has the schema that it was made with; a name and a description replace those in it."""
    written = {'type': 'object', 'title': 'Old', 'properties': {'a': {'type': 'integer'}}}
    plain, named = StructuredDict(written), StructuredDict(written, name='New', description='Said')
    told = OutputSchema.build(NativeOutput(named)).object_def

    assert tool(plain).parameters_json_schema == written
    assert names([plain, named]) == ['final_result_Old', 'final_result_New']
    assert (told.name, told.description, told.json_schema) == ('New', 'Said', written | {'title': 'New'})
    assert issubclass(named, dict)


def test_a_structured_dict_has_its_definitions_in_place():
    """References are followed; definitions that refer to themselves stay."""
    flat = StructuredDict(
        {
            'type': 'object',
            'properties': {'a': {'$ref': '#/$defs/A'}},
            '$defs': {'A': {'anyOf': [{'$ref': '#/$defs/B'}]}, 'B': {'type': 'integer'}},
        }
    )
    looped = {
        'type': 'object',
        'properties': {'a': {'$ref': '#/$defs/A'}},
        '$defs': {'A': {'type': 'object', 'properties': {'a': {'$ref': '#/$defs/A'}}}},
    }

    assert tool(flat).parameters_json_schema == {
        'type': 'object',
        'properties': {'a': {'anyOf': [{'type': 'integer'}]}},
    }
    assert tool(StructuredDict(looped)).parameters_json_schema == looped


def test_a_structured_dict_may_begin_with_a_reference():
    """A schema that refers to the object which it is, is that object."""
    referring = StructuredDict({'$ref': '#/$defs/A', '$defs': {'A': {'type': 'object', 'properties': {}}}})

    assert tool(referring).parameters_json_schema == {'type': 'object', 'properties': {}}


def test_a_structured_dict_within_another_type():
    """Its schema is that of items and fields, too, and stays what it was."""
    written = {'type': 'object', 'title': 'Written', 'properties': {'a': {}}}
    kind = StructuredDict(written)

    class Holder(BaseModel):
        field: kind

    assert tool(list[kind]).parameters_json_schema['properties']['response']['items'] == written
    assert tool(Holder).parameters_json_schema['properties']['field']['type'] == 'object'
    assert tool(kind).parameters_json_schema == written


# The schema of the result


@pytest.mark.parametrize(
    ('output_type', 'schema'),
    [
        (str, {'type': 'string'}),
        (int, {'type': 'integer'}),
        (None, {'type': 'null'}),
        (ToolOutput(int), {'type': 'integer'}),
        (NativeOutput([int, bool]), {'anyOf': [{'type': 'integer'}, {'type': 'boolean'}]}),
        ([[int], [bool, str]], {'anyOf': [{'type': 'integer'}, {'type': 'boolean'}, {'type': 'string'}]}),
        ([int, int], {'type': 'integer'}),
        (Hand().over, {'type': 'boolean'}),
        ([Hand(), str], {'type': 'string'}),
        (lambda x: x, {'type': 'string'}),
        (partial(Hand().over), {'type': 'boolean'}),
        (promise, {'type': 'integer'}),
        (lost, {}),
        (TextOutput(lambda text: text), {'type': 'string'}),
        (StructuredDict({'type': 'object'}, name='N'), {'type': 'object', 'title': 'N'}),
    ],
)
def test_the_schema_of_the_result(output_type, schema):
    """A program can ask what a run ends with: what functions return, and each choice once."""
    assert OutputSchema.build(output_type).json_schema() == schema


def test_the_schema_of_a_result_keeps_its_titles():
    """It is pydantic's own, as the output is serialised, of a function's return type too."""
    foo = {'properties': {'x': {'title': 'X', 'type': 'integer'}}, 'required': ['x'], 'title': 'Foo', 'type': 'object'}

    assert OutputSchema.build(Foo).json_schema() == foo
    assert OutputSchema.build([fetch, str]).json_schema() == {'anyOf': [foo, {'type': 'string'}]}


def test_the_schema_of_a_result_has_its_definitions_at_the_top():
    """Definitions of all choices stand together."""
    schema = OutputSchema.build([list[Foo], list[Bar]]).json_schema()

    assert set(schema) == {'anyOf', '$defs'}
    assert set(schema['$defs']) == {'Foo', 'Bar'}


def test_a_schema_shows_its_mode_and_tools():
    """The repr is short."""
    assert repr(OutputSchema.build([Foo, str])) == "OutputSchema(mode='tool', tools=['final_result'])"
    assert repr(OutputSchema.build(str)) == "OutputSchema(mode='text')"


def test_markers_show_what_they_were_given():
    """A marker prints all its fields."""
    assert repr(ToolOutput(int, name='n')) == (
        "ToolOutput(output=<class 'int'>, name='n', description=None, max_retries=None, strict=None)"
    )
    assert repr(NativeOutput(int)) == (
        "NativeOutput(outputs=<class 'int'>, name=None, description=None, strict=None, template=None)"
    )
    assert repr(PromptedOutput(int)) == (
        "PromptedOutput(outputs=<class 'int'>, name=None, description=None, template=None)"
    )
