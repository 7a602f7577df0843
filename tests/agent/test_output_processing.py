"""How what a model says becomes the output of a run."""

import threading
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import partial
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ValidationError, ValidationInfo, field_validator
from typing_extensions import TypedDict

from plait_agent._output import OutputSchema, OutputValidator, retry_part
from plait_agent.exceptions import ModelRetry
from plait_agent.output import NativeOutput, PromptedOutput, StructuredDict, TextOutput, ToolOutput
from plait_agent.profiles import ModelProfile
from plait_agent.tools import DeferredToolRequests, RunContext
from plait_agent.usage import RunUsage


class Foo(BaseModel):
    x: int
    note: str | None = None


class Bar(BaseModel):
    y: str


class Odd(BaseModel):
    x: int

    @field_validator('x')
    @classmethod
    def check(cls, value: int, info: ValidationInfo) -> int:
        if value % 2 == 0:
            raise ValueError(f'{value} is even')
        return value * (info.context or 1)


class Keys(TypedDict, total=False):
    a: str
    b: list[int]


@dataclass
class Point:
    a: int
    b: int = 0


class Colour(Enum):
    RED = 'r'


def scale(ctx: RunContext[int], number: int) -> int:
    """Multiply, unless it is below zero."""
    if number < 0:
        raise ModelRetry('Not below zero')
    return number * ctx.deps


async def later(number: int) -> str:
    """Write a number."""
    return f'{number}!'


def take(foo: Foo) -> int:
    """Give the number of a record."""
    return foo.x


def context(deps: Any = None) -> RunContext[Any]:
    """A run with these dependencies."""
    return RunContext(deps=deps, model=None, usage=RunUsage())


def tool_of(output_type):
    """The only output tool."""
    (tool,) = OutputSchema.build(output_type).tools.values()
    return tool


def text_of(output_type):
    """How text becomes the output."""
    return OutputSchema.build(output_type).resolve(ModelProfile(supports_json_schema_output=True)).text


def errors_of(processor, given, **options):
    """The errors of something that is not right."""
    with pytest.raises(ValidationError) as caught:
        processor.validate(given, **options)
    return [(each['type'], each['loc']) for each in caught.value.errors()]


# Calls of output tools


@pytest.mark.parametrize(
    ('output_type', 'args', 'output'),
    [
        (Foo, '{"x": 1}', Foo(x=1)),
        (Foo, {'x': '1', 'more': 2}, Foo(x=1)),
        (Point, '{"a": 1}', Point(1)),
        (Keys, {'a': 'k'}, {'a': 'k'}),
        (int, '{"response": 5}', 5),
        (list[Foo], {'response': [{'x': 1}]}, [Foo(x=1)]),
        (Colour, '{"response": "r"}', Colour.RED),
        (date, '{"response": "2024-01-02"}', date(2024, 1, 2)),
        (None, '{"response": null}', None),
        (StructuredDict({'type': 'object', 'required': ['a']}), '{"z": 3}', {'z': 3}),
    ],
    ids=['json', 'python', 'dataclass', 'keys', 'int', 'list', 'enum', 'date', 'none', 'dict'],
)
async def test_arguments_become_the_output(output_type, args, output):
    """JSON and Python objects are validated; what was wrapped is unwrapped."""
    tool = tool_of(output_type)

    assert await tool.call(tool.validate(args), context()) == output


@pytest.mark.parametrize('args', ['', None, '{}', {}], ids=repr)
def test_no_arguments_are_an_empty_object(args):
    """A model that gives no arguments means an object without properties."""
    assert tool_of(Keys).validate(args) == {}
    assert errors_of(tool_of(Foo), args) == [('missing', ('x',))]


@pytest.mark.parametrize(
    ('args', 'errors'),
    [
        ({'x': 'a'}, [('int_parsing', ('x',))]),
        ('{"x":', [('json_invalid', ())]),
        ('[1]', [('model_type', ())]),
        ({'x': 'a', 'note': 1}, [('int_parsing', ('x',)), ('string_type', ('note',))]),
    ],
    ids=['value', 'json', 'list', 'two'],
)
def test_wrong_arguments_are_told(args, errors):
    """All errors come out, each with its place."""
    assert errors_of(tool_of(Foo), args) == errors


def test_errors_of_what_is_wrapped():
    """They are placed within the response."""
    assert errors_of(tool_of(int), {'response': 'a'}) == [('int_parsing', ('response',))]
    assert errors_of(tool_of(int), {'respons': 1}) == [('missing', ('response',))]
    assert errors_of(tool_of(list[int]), '3') == [('dict_type', ())]


@pytest.mark.parametrize('args', ['{"response": "[1, 2]"}', {'response': '[1, 2]'}], ids=['json', 'python'])
def test_json_within_json_is_read(args):
    """A model that writes a list as a text has given a list."""
    assert tool_of(list[int]).validate(args) == [1, 2]


@pytest.mark.parametrize('inside', ['no list', '["a"]', '3'], ids=['text', 'items', 'number'])
def test_json_within_json_that_is_wrong(inside):
    """If the inner JSON does not fit either, the error is that of the text."""
    assert errors_of(tool_of(list[int]), {'response': inside}) == [('list_type', ('response',))]


def test_a_text_that_looks_like_json_stays_a_text():
    """Where a text fits, it is not read as JSON."""
    assert tool_of(ToolOutput(str)).validate({'response': '[1]'}) == '[1]'


def test_validators_see_the_validation_context():
    """It is `info.context`, in tools and in text, of several types too."""
    assert tool_of(Odd).validate('{"x": 3}', validation_context=2).x == 6
    assert text_of(NativeOutput(Odd)).validate('{"x": 3}', validation_context=2).x == 6
    said = '{"result": {"kind": "Odd", "data": {"x": 3}}}'
    assert text_of(NativeOutput([Bar, Odd])).validate(said, validation_context=2).value.x == 6


# Functions


async def test_an_output_function_makes_the_output():
    """It is called with the validated arguments, and with the context if it takes that."""
    tool = tool_of(scale)

    assert await tool.call(tool.validate({'number': 4}), context(deps=3)) == 12


@pytest.mark.parametrize(
    ('function', 'args', 'output'),
    [(later, {'number': 1}, '1!'), (take, '{"x": 2}', 2), (partial(scale, context(deps=5)), {'number': 1}, 5)],
    ids=['async', 'record', 'partial'],
)
async def test_kinds_of_output_functions(function, args, output):
    """Functions may be asynchronous, take one record, or be partial."""
    tool = tool_of(function)

    assert await tool.call(tool.validate(args), context()) == output


async def test_a_plain_function_runs_in_a_thread():
    """A function that is not async does not keep the loop waiting; one of text neither."""

    def which(text: str) -> int:
        return threading.get_ident()

    tool, text = tool_of(which), text_of(TextOutput(which))
    here = threading.get_ident()

    assert await tool.call(tool.validate({'text': ''}), context()) != here
    assert await text.call(text.validate(''), context()) != here


def test_a_function_takes_nothing_else():
    """Arguments that the function does not have are told."""
    assert errors_of(tool_of(later), {'number': 1, 'more': 2}) == [('extra_forbidden', ('more',))]


async def test_a_function_can_ask_for_another_try():
    """`ModelRetry` comes out of the call, and nothing is made of it there."""
    tool = tool_of(scale)

    with pytest.raises(ModelRetry, match='Not below zero'):
        await tool.call(tool.validate({'number': -1}), context(deps=1))


# Text


async def test_plain_text_is_the_output():
    """`str` takes the text as it is."""
    text = text_of(str)

    assert text.is_plain
    assert await text.call(text.validate(' a\n'), context()) == ' a\n'


@pytest.mark.parametrize(
    'function',
    [
        lambda text: text * 2,
        lambda ctx, text: text * ctx.deps,
        partial(lambda times, text: text * times, 2),
    ],
    ids=['text', 'context', 'partial'],
)
async def test_a_function_of_text(function):
    """A function of text may take the context before the text."""
    text = text_of(TextOutput(function))

    assert await text.call(text.validate('ab'), context(deps=2)) == 'abab'


async def test_annotated_functions_of_text():
    """Annotations say the same; what has a default is left alone if it can only be given by name."""

    async def shout(ctx: RunContext[str], text: Annotated[str, 'said'] | None, *, end: str = '!') -> str:
        return f'{text}{ctx.deps}{end}'

    text = text_of([TextOutput(shout), DeferredToolRequests])

    assert not text.is_plain
    assert await text.call(text.validate('a'), context(deps='b')) == 'ab!'


FENCED = [
    '{"x": 1}',
    '  \n{"x": 1}\n ',
    '```json\n{"x": 1}\n```',
    '```\n{"x": 1}\n```',
    '```JSON\n\n  {"x": 1}\n\n```\n',
    '~~~json\n{"x": 1}\n~~~',
    'Sure:\n\n```json\n{"x": 1}\n```\nAnything else?',
    '  ```json\n  {"x": 1}\n  ```',
    'So:\n```json\n{"x": 1}',
    'So:\n```json\n{"x": 1}```',
    'First:\n```python\nprint()\n```\nthen:\n```json\n{"x": 1}\n```',
]


@pytest.mark.parametrize('said', FENCED, ids=range(len(FENCED)))
@pytest.mark.parametrize(
    'marker', [NativeOutput, PromptedOutput, lambda output: output], ids=['native', 'prompted', 'tool']
)
def test_json_is_found_between_fences(said, marker):
    """Fences around the JSON and words around the fences are left out, in every mode."""
    assert text_of(marker(Foo)).validate(said) == Foo(x=1)


@pytest.mark.parametrize(
    'said',
    [
        'nope',
        'Here {"x": 1}',
        '{"x": 1} there',
        '```json\n[1]\n```',
        '```json\n{"x": 1}\n```\nor\n```json\n{"x": 2}\n```',
        '',
    ],
    ids=['words', 'before', 'after', 'list', 'two', 'nothing'],
)
def test_what_is_not_one_json_object(said):
    """Words around JSON without fences, or two objects of which either may be meant, are an error."""
    assert errors_of(text_of(NativeOutput(Foo)), said) == [('json_invalid', ())]


@pytest.mark.parametrize('inside', ['```json\\n{}\\n```', 'a ``` b'])
def test_fences_within_the_json_stay(inside):
    """A text in the object may have fences of its own."""
    text = text_of(NativeOutput(Bar))
    said = f'{{"y": "{inside}"}}'

    assert text.validate(said) == text.validate(f'```json\n{said}\n```') == Bar(y=inside.replace('\\n', '\n'))


def test_text_in_place_of_the_only_tool():
    """A model that writes the arguments as text has answered, though text is not allowed otherwise."""
    schema = OutputSchema.build(Foo).resolve(ModelProfile())

    assert schema.allows_text is False
    assert schema.text.validate('{"x": 5}') == Foo(x=5)
    assert errors_of(schema.text, 'nope') == [('json_invalid', ())]


@pytest.mark.parametrize('output_type', [[Foo, Bar], ToolOutput(Foo)], ids=['several', 'marked'])
def test_text_in_place_of_tools_that_must_be_called(output_type):
    """With several tools nobody knows which is meant, and a marked tool is to be called."""
    assert OutputSchema.build(output_type).resolve(ModelProfile()).text is None


def test_text_beside_data_is_text():
    """Where text is an output it is not looked at for data."""
    assert text_of([Foo, str]).validate('{"x": 5}') == '{"x": 5}'


async def test_native_output_of_a_function():
    """The object in the text is what the function is called with."""
    text = text_of(NativeOutput(scale))

    assert await text.call(text.validate('{"number": 2}'), context(deps=3)) == 6


@pytest.mark.parametrize(
    ('said', 'output'),
    [
        ('{"kind": "Foo", "data": {"x": 1}}', Foo(x=1)),
        ('{"data": {"y": "k"}, "kind": "Bar"}', Bar(y='k')),
        ('{"kind": "int", "data": {"response": "7"}}', 7),
        ('{"kind": "list", "data": {"response": "[1]"}}', [1]),
        ('{"kind": "list_2", "data": {"response": ["a"]}}', ['a']),
        ('{"kind": "scale", "data": {"number": 2}}', 6),
    ],
    ids=['first', 'order', 'wrapped', 'json_in_json', 'second', 'function'],
)
async def test_several_kinds_in_one_object(said, output):
    """The kind says what the data is, and what makes the output of it."""
    text = text_of(NativeOutput([Foo, Bar, int, list[int], list[str], scale]))
    value = text.validate(f'{{"result": {said}}}')

    assert await text.call(value, context(deps=3)) == output


@pytest.mark.parametrize(
    ('said', 'errors'),
    [
        ('{"x": 1}', [('missing', ('result',))]),
        ('{"result": {"kind": "Baz", "data": {}}}', [('literal_error', ('result', 'kind'))]),
        ('{"result": {"data": {}}}', [('missing', ('result', 'kind'))]),
        ('{"result": {"kind": "Foo"}}', [('missing', ('result', 'data'))]),
        ('{"result": {"kind": "Foo", "data": {"x": "a"}}}', [('int_parsing', ('result', 'data', 'x'))]),
        ('{"result": {"kind": "Foo", "data": 3}}', [('model_type', ('result', 'data'))]),
    ],
    ids=['no_result', 'unknown', 'no_kind', 'no_data', 'inside', 'no_object'],
)
def test_errors_in_several_kinds(said, errors):
    """Errors say where in the whole object they are, once each."""
    assert errors_of(text_of(NativeOutput([Foo, Bar])), said) == errors


# Partial output


PARTS = ['{', '"a": "he', 'llo"', ', "b": [1', '2, 3', ']}']


def growing(parts):
    """What has been said after each part."""
    return [''.join(parts[: index + 1]) for index in range(len(parts))]


def seen(processor, texts):
    """The values while they grow, without those that are not right yet."""
    values = []
    for text in texts:
        try:
            values.append(processor.validate(text, allow_partial=True))
        except ValidationError:
            continue
    return values


def test_arguments_can_be_read_while_they_grow():
    """Texts and lists grow, and what is not yet said is left out."""
    assert seen(tool_of(Keys), growing(PARTS)) == [
        {},
        {'a': 'he'},
        {'a': 'hello'},
        {'a': 'hello', 'b': [1]},
        {'a': 'hello', 'b': [12, 3]},
        {'a': 'hello', 'b': [12, 3]},
    ]


def test_records_can_be_read_once_they_are_whole():
    """A model is there as soon as its required fields are."""
    parts = ['{"no', 'te": "a", "x": ', '1', '2', '}']

    assert seen(tool_of(Foo), growing(parts)) == [Foo(x=1, note='a'), Foo(x=12, note='a'), Foo(x=12, note='a')]


def test_a_wrapped_list_can_be_read_while_it_grows():
    """Items come one by one; one that is not whole yet is left out."""
    parts = ['{"response": [', '{"x": 1', '}, {"note": "a', '", "x": 2}', ']}']

    assert seen(tool_of(list[Foo]), growing(parts)) == [
        [],
        [Foo(x=1)],
        [Foo(x=1)],
        [Foo(x=1), Foo(x=2, note='a')],
        [Foo(x=1), Foo(x=2, note='a')],
    ]


def test_python_objects_can_be_partial():
    """Arguments that a provider sends as objects may end early, too."""
    assert tool_of(list[int]).validate({'response': [1, 'x']}, allow_partial=True) == [1]
    assert errors_of(tool_of(list[int]), {'response': [1, 'x']}) == [('int_parsing', ('response', 1))]


def test_text_can_be_read_while_it_grows():
    """JSON in text grows within its fences."""
    text = text_of(NativeOutput(Keys))

    assert seen(text, growing(['Hm.\n``', '`json\n', *PARTS, '\n```', '\nBye'])) == [
        {},
        {'a': 'he'},
        {'a': 'hello'},
        {'a': 'hello', 'b': [1]},
        *[{'a': 'hello', 'b': [12, 3]}] * 4,
    ]


def test_several_kinds_can_be_read_while_they_grow():
    """Once the kind is there its data grows."""
    text = text_of(NativeOutput([Foo, Keys]))
    values = seen(text, growing(['{"result": {"kind": "Ke', 'ys", "data": ', *PARTS, '}}']))

    assert [each.value for each in values] == [
        {},
        {'a': 'he'},
        {'a': 'hello'},
        {'a': 'hello', 'b': [1]},
        *[{'a': 'hello', 'b': [12, 3]}] * 3,
    ]


# Validators


@pytest.mark.parametrize(
    'function',
    [
        lambda output: output + 3,
        lambda ctx, output: output + ctx.deps,
        partial(lambda more, output: output + more, 3),
    ],
    ids=['output', 'context', 'partial'],
)
async def test_a_validator_may_change_the_output(function):
    """It takes the output, or the context and the output."""
    assert await OutputValidator(function).validate(4, context(deps=3)) == 7


async def test_an_asynchronous_validator():
    """It is awaited on the loop."""

    async def check(ctx: RunContext[int], output: int) -> int:
        return output + ctx.deps + (threading.get_ident() == here)

    here = threading.get_ident()
    validator = OutputValidator(check)

    assert await validator.validate(4, context(deps=3)) == 8
    assert validator.function is check


async def test_a_validator_can_ask_for_another_try():
    """`ModelRetry` comes out."""

    def refuse(output: int) -> int:
        raise ModelRetry('No')

    with pytest.raises(ModelRetry, match='No'):
        await OutputValidator(refuse).validate(1, context())


# What the model is told


def error_of(processor, given) -> ValidationError:
    """The error of something that is not right."""
    with pytest.raises(ValidationError) as caught:
        processor.validate(given)
    return caught.value


def test_a_wrong_call_is_told_with_its_errors():
    """The part names the call and holds what pydantic found, without links and context."""
    part = retry_part(error_of(tool_of(Odd), {'x': 2}), tool_name='final_result', tool_call_id='c')

    assert (part.tool_name, part.tool_call_id) == ('final_result', 'c')
    assert part.content == [{'type': 'value_error', 'loc': ('x',), 'msg': 'Value error, 2 is even', 'input': 2}]


def test_a_wrong_text_is_told_with_its_errors():
    """A part about text names no tool; the exceptions of validators are texts, so that the part can be stored."""
    part = retry_part(error_of(text_of(NativeOutput(Odd)), '{"x": 2}'))
    invalid = retry_part(error_of(text_of(NativeOutput(Odd)), 'nope'))

    assert part.tool_name is None
    assert part.content[0]['ctx'] == {'error': '2 is even'}
    assert set(invalid.content[0]) == {'type', 'loc', 'msg', 'input', 'ctx'}
    assert (invalid.content[0]['type'], invalid.content[0]['input']) == ('json_invalid', 'nope')


def test_another_try_is_told_in_its_own_words():
    """The message of `ModelRetry` is the content."""
    about_text = retry_part(ModelRetry('Better'))
    about_call = retry_part(ModelRetry('Better'), tool_name='t', tool_call_id='c')

    assert about_text.model_response() == 'Validation feedback:\nBetter\n\nFix the errors and try again.'
    assert about_call.model_response() == 'Better\n\nFix the errors and try again.'
