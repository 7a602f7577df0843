"""What a run may end with: markers that say how a model is asked for it, and the types for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias

from typing_extensions import TypeAliasType, TypeForm, TypeVar

from plait_agent._run_context import RunContext
from plait_agent._typevars import OutputDataT

__all__ = (
    'NativeOutput',
    'OutputDataT',
    'OutputMode',
    'OutputObjectDefinition',
    'OutputSpec',
    'OutputTypeOrFunction',
    'OutputValidatorFunc',
    'PromptedOutput',
    'StructuredDict',
    'StructuredOutputMode',
    'TextOutput',
    'TextOutputFunc',
    'ToolOutput',
)

T = TypeVar('T')
"""What an output is."""
T_co = TypeVar('T_co', covariant=True)
"""The same for what gives it."""

StructuredOutputMode: TypeAlias = Literal['tool', 'native', 'prompted']
"""How a model is asked for data."""
OutputMode: TypeAlias = Literal['text', 'tool', 'native', 'prompted', 'tool_or_text', 'image', 'auto']
"""How a model is asked for an output; `'auto'` is a way of asking for data that depends on the model."""

OutputTypeOrFunction = TypeAliasType(
    'OutputTypeOrFunction',
    # `type` for those who do not know `TypeForm`, which takes unions and literals too
    type[T_co] | TypeForm[T_co] | Callable[..., Awaitable[T_co] | T_co],
    type_params=(T_co,),
)
"""A type, or a function that is called with what the model gives and makes the output of it."""
TextOutputFunc = TypeAliasType(
    'TextOutputFunc',
    Callable[[str], Awaitable[T_co] | T_co] | Callable[[RunContext[Any], str], Awaitable[T_co] | T_co],
    type_params=(T_co,),
)
"""A function that makes the output of a text."""
OutputValidatorFunc = TypeAliasType(
    'OutputValidatorFunc',
    Callable[[T], Awaitable[T] | T] | Callable[[RunContext[Any], T], Awaitable[T] | T],
    type_params=(T,),
)
"""A function that looks at an output and gives it back, changed perhaps, or raises `ModelRetry`."""


@dataclass(init=False)
class ToolOutput(Generic[OutputDataT]):
    """Marks an output that the model gives by calling a tool.

    Args:
        type_: The type of the output, or a function that makes it.
        name: The name of the tool; by default `final_result`, with the name of the type if there are several.
        description: What the model is told about the tool, before what the type's docstring says.
        max_retries: How often in a row the model may get the arguments of this tool wrong.
        strict: Whether the provider is to hold the model to the schema, where it can.
    """

    output: OutputTypeOrFunction[OutputDataT]
    name: str | None
    description: str | None
    max_retries: int | None
    strict: bool | None

    def __init__(
        self,
        type_: OutputTypeOrFunction[OutputDataT],
        *,
        name: str | None = None,
        description: str | None = None,
        max_retries: int | None = None,
        strict: bool | None = None,
    ):
        self.output = type_
        self.name = name
        self.description = description
        self.max_retries = max_retries
        self.strict = strict


@dataclass(init=False)
class NativeOutput(Generic[OutputDataT]):
    """Marks outputs that the model gives as JSON in the provider's own mode for it.

    Args:
        outputs: The type of the output, a function that makes it, or several of these.
        name: What the provider is told that the schema is called; by default the name of the type.
        description: What the model is told about it, before what the type's docstring says.
        strict: Whether the provider is to hold the model to the schema, where it can.
        template: An instruction to the model, with the schema in place of `{schema}`; by default there is none unless
            the model needs one.
    """

    outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]]
    name: str | None
    description: str | None
    strict: bool | None
    template: str | None

    def __init__(
        self,
        outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
        template: str | None = None,
    ):
        self.outputs = outputs
        self.name = name
        self.description = description
        self.strict = strict
        self.template = template


@dataclass(init=False)
class PromptedOutput(Generic[OutputDataT]):
    """Marks outputs that the model gives as JSON since an instruction asks for it.

    Args:
        outputs: The type of the output, a function that makes it, or several of these.
        name: The title of the schema; by default the name of the type.
        description: What the schema says of itself, before what the type's docstring says.
        template: The instruction, with the schema in place of `{schema}`; by default that of the model's profile.
    """

    outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]]
    name: str | None
    description: str | None
    template: str | None

    def __init__(
        self,
        outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]],
        *,
        name: str | None = None,
        description: str | None = None,
        template: str | None = None,
    ):
        self.outputs = outputs
        self.name = name
        self.description = description
        self.template = template


@dataclass
class TextOutput(Generic[OutputDataT]):
    """Marks a function that makes the output of the text of an answer.

    It is called with the text, or with the `RunContext` and the text, and may raise `ModelRetry`.
    """

    output_function: TextOutputFunc[OutputDataT]


@dataclass
class OutputObjectDefinition:
    """What a model is told of the data that it is asked for as JSON."""

    json_schema: dict[str, Any]
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


OutputSpec = TypeAliasType(
    'OutputSpec',
    OutputTypeOrFunction[T_co]
    | ToolOutput[T_co]
    | NativeOutput[T_co]
    | PromptedOutput[T_co]
    | TextOutput[T_co]
    | Sequence['OutputSpec[T_co]'],
    type_params=(T_co,),
)
"""What `output_type` may be: a type, a function, a marker, or a sequence of these."""


def StructuredDict(  # noqa: N802 - it makes a type
    json_schema: Mapping[str, Any], name: str | None = None, description: str | None = None
) -> type[dict[str, Any]]:
    """Make a dictionary type that shows models a JSON schema of yours.

    What the model gives has to be an object; whether it fits the schema is not checked.

    Args:
        json_schema: The schema of an object.
        name: The title that takes the place of the schema's.
        description: The description that takes the place of the schema's.

    Raises:
        UserError: The schema is not that of an object.
    """
    from plait_agent._output.structured_dict import structured_dict

    return structured_dict(json_schema, name, description)
