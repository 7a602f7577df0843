"""What is said to those whose output type cannot be one: at the agent, before anything is run."""

import sys
from collections.abc import Callable, Iterator
from typing import Any, Union

import pytest
from pydantic import BaseModel, InstanceOf
from typing_extensions import TypedDict

from plait_agent._output import OutputSchema, OutputValidator
from plait_agent.exceptions import UserError
from plait_agent.messages import BinaryImage
from plait_agent.output import NativeOutput, PromptedOutput, StructuredDict, TextOutput, ToolOutput
from plait_agent.profiles import ModelProfile
from plait_agent.tools import DeferredToolRequests, RunContext


class Foo(BaseModel):
    x: int


class Unknown:
    pass


class Waiting(BaseModel):
    other: 'Nowhere'  # noqa: F821


class WaitingKeys(TypedDict):
    other: 'Nowhere'  # noqa: F821


def refused(output_type, message):
    """Building is refused with a message."""
    with pytest.raises(UserError, match=message):
        OutputSchema.build(output_type)


# Nothing to choose from


@pytest.mark.parametrize('output_type', [[], [[]], ()], ids=repr)
def test_an_output_is_needed(output_type):
    """A sequence without types says nothing."""
    refused(output_type, r'^At least one output type must be provided\.$')


@pytest.mark.parametrize('output_type', [DeferredToolRequests, [DeferredToolRequests]], ids=['alone', 'list'])
def test_deferral_alone_is_no_output(output_type):
    """A run has to be able to end with something else."""
    refused(output_type, r'^At least one output type must be provided other than `DeferredToolRequests`\.$')


@pytest.mark.parametrize('marker', [NativeOutput, PromptedOutput])
def test_a_marker_has_outputs_in_it(marker):
    """An empty marker is named."""
    refused(marker([]), f'`{marker.__name__}` has no output types in it. Give it at least one')


# Side by side


@pytest.mark.parametrize(
    'output_type',
    [[str, str], [str, TextOutput(lambda text: text)], [[str], [Foo, str]]],
    ids=['twice', 'function', 'nested'],
)
def test_text_is_taken_in_one_way(output_type):
    """Two outputs for text exclude each other."""
    refused(output_type, r'^Only one `str` or `TextOutput` is allowed\.$')


@pytest.mark.parametrize('marker', [NativeOutput, PromptedOutput])
@pytest.mark.parametrize('other', [str, Foo, ToolOutput(Foo)], ids=['text', 'type', 'tool'])
def test_data_as_text_stands_alone(marker, other):
    """What asks for JSON text allows no other text and no tools."""
    refused([other, marker(Foo)], rf'^`{marker.__name__}` must be the only output type\.$')


@pytest.mark.parametrize(
    'outputs', [[NativeOutput(Foo), PromptedOutput(Foo)], [PromptedOutput(Foo), NativeOutput(Foo)]]
)
def test_two_ways_to_ask_for_text(outputs):
    """Of two markers in whatever order the native one is named."""
    refused(outputs, r'^`NativeOutput` must be the only output type\.$')


@pytest.mark.parametrize('marker', [NativeOutput, PromptedOutput])
@pytest.mark.parametrize('inside', [DeferredToolRequests, BinaryImage])
def test_what_is_no_data_stands_beside_a_marker(marker, inside):
    """The remedy is written out."""
    name, other = marker.__name__, inside.__name__

    refused(
        marker([Foo, inside]),
        rf'`{name}` cannot contain `{other}`.*beside the marker: `output_type=\[{name}\(\.\.\.\), {other}\]`',
    )


@pytest.mark.parametrize('inside', [NativeOutput(Foo), ToolOutput(Foo), TextOutput(lambda text: text)], ids=repr)
def test_markers_are_not_nested(inside):
    """A marker within a marker is named."""
    refused(
        PromptedOutput(inside), rf'`PromptedOutput` cannot contain a `{type(inside).__name__}`.*types and functions'
    )


def test_a_tool_is_one_output():
    """A sequence is several tools."""
    refused(ToolOutput([Foo, int]), r'one tool, and this one has a sequence in it\. Write one for each type')


@pytest.mark.parametrize(
    ('inside', 'shown'),
    [(NativeOutput(Foo), '`NativeOutput`'), (DeferredToolRequests, 'DeferredToolRequests')],
    ids=['marker', 'deferral'],
)
def test_a_tool_is_for_data(inside, shown):
    """A marker or a deferral cannot be the arguments of a tool."""
    refused(ToolOutput(inside), f'takes a type or a function, and no {shown}. Put that beside it')


def test_two_tools_of_one_name():
    """A name that was given twice is named, since a call of it could mean either."""
    outputs = [ToolOutput(Foo, name='a'), ToolOutput(int, name='a')]

    refused(outputs, r"Two output tools are called 'a'.*a `name` of its own")


# One by one


@pytest.mark.parametrize(
    'output_type', ['Foo', ['Foo'], Union['Foo', int], ToolOutput('Foo')], ids=['text', 'list', 'union', 'tool']
)
def test_a_name_is_no_type(output_type):
    """A type that is only named cannot be found."""
    refused(output_type, r"Output type 'Foo' is the name of a type.*Give the type itself")


@pytest.mark.parametrize('output_type', [3, {'a': Foo}, {Foo}, iter([Foo]), Foo(x=1), b'a'], ids=type)
@pytest.mark.parametrize(
    'around', [lambda each: each, lambda each: [str, each], ToolOutput, NativeOutput], ids=range(4)
)
def test_a_value_is_no_type(output_type, around):
    """Something that is neither a type nor a function is shown, with what can be given."""
    refused(around(output_type), r'^Output type .* is neither a type nor a function\. Give a type, a function')


def test_a_class_that_nobody_knows_to_make():
    """A class without fields for pydantic is named, with what to use in its place."""
    refused(
        [str, Unknown], r'^Output type Unknown cannot be validated: .*Use a type that pydantic knows, or a function'
    )


@pytest.mark.parametrize('output_type', [Callable[[], int], InstanceOf[Unknown]], ids=['callable', 'instance'])
def test_a_type_without_a_form_in_json(output_type):
    """What cannot be told to a model is named, with how to say it."""
    refused(output_type, r'^Output type .* cannot be told to a model: .*WithJsonSchema')


@pytest.mark.parametrize(
    ('output_type', 'shown'),
    [(Waiting, 'Waiting'), (WaitingKeys, 'WaitingKeys'), (list['Nowhere'], 'list'), (list[Waiting], 'list')],  # noqa: F821
    ids=['model', 'keys', 'list', 'deep'],
)
def test_a_type_that_waits_for_another(output_type, shown):
    """A name that is not defined anywhere is said, with the type that needs it."""
    refused(output_type, rf"^Output type {shown}.* refers to 'Nowhere', which is not defined\. .*model_rebuild")


@pytest.mark.skipif(sys.version_info < (3, 12), reason='The statement is new in Python 3.12')
def test_an_alias_that_waits_for_its_meaning():
    """An alias that cannot be read yet is named."""
    scope: dict[str, Any] = {}
    exec('type Later = int | Nowhere', scope)

    refused(scope['Later'], "Output type Later stands for something that is not defined: name 'Nowhere'")


@pytest.mark.parametrize(
    'schema',
    [{'type': 'array'}, {'properties': {}}, {'$ref': '#/$defs/A', '$defs': {'A': {'type': 'string'}}}],
    ids=['array', 'no_type', 'reference'],
)
def test_a_structured_dict_is_an_object(schema):
    """A schema that is not that of an object is refused where it is written."""
    with pytest.raises(UserError, match=r'^Schema must be an object$'):
        StructuredDict(schema)


# Functions


def count(number: int) -> int:
    """Take a number."""
    return number


def join(first: str, second: str) -> str:
    """Take two texts."""
    return first + second


async def told(ctx: RunContext[int], number: int) -> int:
    """Take the context and a number."""
    return number


@pytest.mark.parametrize(
    'function',
    [
        lambda: '',
        lambda *, text: text,
        lambda text, *, other: text,
        lambda ctx, text, more: text,
        count,
        join,
        told,
        None,
    ],
    ids=['nothing', 'by_name', 'more_by_name', 'three', 'number', 'two_texts', 'context_and_number', 'none'],
)
@pytest.mark.parametrize('around', [lambda each: each, lambda each: [Foo, each]], ids=['alone', 'beside'])
def test_a_function_of_text_takes_a_text(function, around):
    """A function that cannot be called with a text, or with the context and a text, is refused."""
    refused(around(TextOutput(function)), r'^TextOutput must take a function taking a single `str` argument$')


def test_an_output_function_has_to_be_a_tool():
    """What is wrong with the parameters of a function is said as it is for tools."""

    def choose(which: Unknown) -> int:
        return 1

    def items(number: int) -> Iterator[int]:
        yield number

    refused(choose, "Error generating schema for choose:\n  Parameter 'which'")
    refused(items, 'Error generating schema for items:\n')


def test_an_output_validator_takes_the_output():
    """A validator that takes something else is named when it is registered."""

    def check(ctx: RunContext[int], output: int, more: int) -> int:
        return output

    with pytest.raises(UserError, match="Output validator 'check' takes 3 arguments"):
        OutputValidator(check)


# Models that cannot


@pytest.mark.parametrize(
    ('output_type', 'abilities', 'message'),
    [
        (NativeOutput(Foo), {}, 'Native structured output is not supported by this model.'),
        (Foo, {'default_structured_output_mode': 'native'}, 'Native structured output is not supported by this model.'),
        (Foo, {'supports_tools': False}, 'Tool output is not supported by this model.'),
        ([Foo, str], {'supports_tools': False}, 'Tool output is not supported by this model.'),
        (BinaryImage, {}, 'Image output is not supported by this model.'),
        ([str, BinaryImage], {}, 'Image output is not supported by this model.'),
        ([PromptedOutput(Foo), BinaryImage], {}, 'Image output is not supported by this model.'),
    ],
    ids=['native', 'native_default', 'tool', 'tool_or_text', 'image', 'image_or_text', 'image_or_data'],
)
def test_a_model_that_cannot_give_it(output_type, abilities, message):
    """What a model is not able to is refused before it is asked."""
    schema = OutputSchema.build(output_type)

    with pytest.raises(UserError) as caught:
        schema.resolve(ModelProfile(**abilities))

    assert str(caught.value) == message


def test_a_model_without_tools_can_give_text():
    """Text and prompted data need nothing of a model."""
    bare = ModelProfile(supports_tools=False)

    assert OutputSchema.build(str).resolve(bare).mode == 'text'
    assert OutputSchema.build(PromptedOutput(Foo)).resolve(bare).mode == 'prompted'
