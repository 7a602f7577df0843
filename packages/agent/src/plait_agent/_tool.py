"""A function as a tool: what a model is told of it, and how it is to be called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Self, TypeAlias, Union

from typing_extensions import ParamSpec

from plait_agent._functions import name_of
from plait_agent._run_context import RunContext
from plait_agent._settled import settled
from plait_agent._tool_definition import ObjectJsonSchema, ToolDefinition, copy_of
from plait_agent._typevars import AgentDepsT
from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from pydantic.json_schema import GenerateJsonSchema

    from plait_agent._docstrings import DocstringFormat
    from plait_agent._function_schema import FunctionSchema
    from plait_graph import Limit

ToolParams = ParamSpec('ToolParams', default=...)
"""The parameters of a tool without the context."""
ToolFuncContext: TypeAlias = Callable[Concatenate[RunContext[AgentDepsT], ToolParams], Any]
"""A function that takes the context and arguments."""
ToolFuncPlain: TypeAlias = Callable[ToolParams, Any]
"""A function that takes arguments alone."""
ToolFuncEither: TypeAlias = Union[ToolFuncContext[AgentDepsT, ToolParams], ToolFuncPlain[ToolParams]]  # noqa: UP007 # `|` needs types, and these are aliases
"""A function of either kind."""
ToolPrepareFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT], ToolDefinition], Awaitable['ToolDefinition | None'] | ToolDefinition | None
]
"""Changes the definition of a tool for a step, or leaves the tool out with `None`."""
ToolsPrepareFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT], list[ToolDefinition]],
    Awaitable['list[ToolDefinition] | None'] | list[ToolDefinition] | None,
]
"""The same for all tools at once."""


class Changes:
    """How often any tool was changed, so that what was made of tools can be kept until then."""

    count = 0


@dataclass(init=False)
class Tool(Generic[AgentDepsT]):
    """A function that a model may call.

    Args:
        function: The function. One that is not async runs in a thread. Methods, `functools.partial`, classes and
            objects that can be called will do as well.
        takes_ctx: Whether its first parameter is the `RunContext`; `None` to see that from the annotation.
        max_retries: How often in a row it may fail; `None` leaves that to its toolset.
        name: What the model calls it; by default the name of the function.
        description: What it does; by default what the docstring says.
        prepare: Changes the definition in each step, or leaves the tool out.
        docstring_format: How the docstring is written.
        require_parameter_descriptions: Whether a parameter that nothing describes is an error.
        schema_generator: Writes the JSON schema; by default `GenerateToolJsonSchema`.
        strict: Whether the provider is to keep the model to the schema.
        sequential: Whether calls of the same response run one after another.
        requires_approval: Whether somebody has to approve each call.
        metadata: What the program notes about the tool; not for the model.
        timeout: How many seconds a call may take.
        limit: A limit, or the name of one, that each call holds while it runs.
        function_schema: A schema that was made before.

    Raises:
        UserError: The function cannot be a tool, or an option has no sense.
    """

    function: ToolFuncEither[AgentDepsT]
    takes_ctx: bool
    max_retries: int | None
    name: str
    description: str | None
    prepare: ToolPrepareFunc[AgentDepsT] | None
    docstring_format: DocstringFormat
    require_parameter_descriptions: bool
    strict: bool | None
    sequential: bool
    requires_approval: bool
    metadata: dict[str, Any] | None
    timeout: float | None
    function_schema: FunctionSchema
    """How the function is described and called."""
    limit: str | Limit | None = field(default=None)

    def __init__(
        self,
        function: ToolFuncEither[AgentDepsT],
        *,
        takes_ctx: bool | None = None,
        max_retries: int | None = None,
        name: str | None = None,
        description: str | None = None,
        prepare: ToolPrepareFunc[AgentDepsT] | None = None,
        docstring_format: DocstringFormat = 'auto',
        require_parameter_descriptions: bool = False,
        schema_generator: type[GenerateJsonSchema] | None = None,
        strict: bool | None = None,
        sequential: bool = False,
        requires_approval: bool = False,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
        limit: str | Limit | None = None,
        function_schema: FunctionSchema | None = None,
    ):
        from plait_agent._function_schema import function_schema as schema_of

        self.function_schema = function_schema or schema_of(
            function,
            schema_generator,
            takes_ctx=takes_ctx,
            docstring_format=docstring_format,
            require_parameter_descriptions=require_parameter_descriptions,
        )
        self.function = function
        self.takes_ctx = self.function_schema.takes_ctx
        self.max_retries = max_retries
        self.name = name or name_of(function)
        self.description = description or self.function_schema.description
        self.prepare = prepare
        self.docstring_format = docstring_format
        self.require_parameter_descriptions = require_parameter_descriptions
        self.strict = strict
        self.sequential = sequential
        self.requires_approval = requires_approval
        self.metadata = metadata
        self.timeout = timeout
        self.limit = limit
        self._check()

    @classmethod
    def from_schema(
        cls,
        function: Callable[..., Any],
        name: str,
        description: str | None,
        json_schema: ObjectJsonSchema,
        takes_ctx: bool = False,
        sequential: bool = False,
    ) -> Self:
        """Make a tool of a function and a JSON schema that was written elsewhere.

        The arguments are not validated, beyond that they are an object, and are given by name.

        Args:
            function: The function.
            name: What the model calls it.
            description: What it does.
            json_schema: The arguments.
            takes_ctx: Whether its first parameter is the `RunContext`.
            sequential: Whether calls of the same response run one after another.
        """
        from plait_agent._function_schema import schema_by_hand

        schema = schema_by_hand(function, description, json_schema, takes_ctx=takes_ctx)
        return cls(
            function,
            takes_ctx=takes_ctx,
            name=name,
            description=description,
            sequential=sequential,
            function_schema=schema,
        )

    @property
    def tool_def(self) -> ToolDefinition:
        """What a model is told, before it is prepared."""
        return ToolDefinition(
            name=self.name,
            parameters_json_schema=self.function_schema.json_schema,
            description=self.description,
            strict=self.strict,
            sequential=self.sequential,
            kind='unapproved' if self.requires_approval else 'function',
            metadata=self.metadata,
            timeout=self.timeout,
        )

    async def prepare_tool_def(self, ctx: RunContext[AgentDepsT]) -> ToolDefinition | None:
        """What a model is told in this step; `None` if it is not told of the tool."""
        if self.prepare is None:
            return self.tool_def
        return await settled(self.prepare(ctx, copy_of(self.tool_def)))

    def _check(self) -> None:
        if self.max_retries is not None and self.max_retries < 0:
            raise UserError(f'Tool {self.name!r} has max_retries={self.max_retries!r}. Give 0 or more.')
        if self.timeout is not None and self.timeout <= 0:
            raise UserError(f'Tool {self.name!r} has timeout={self.timeout!r}. Give seconds above 0.')
        if self.prepare is not None and not callable(self.prepare):
            raise UserError(
                f'Tool {self.name!r} is prepared by {self.prepare!r}, which cannot be called. Give a function.'
            )

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        Changes.count += 1
