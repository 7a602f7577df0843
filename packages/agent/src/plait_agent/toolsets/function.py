"""Functions as a toolset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast, overload

from plait_agent._settled import settled
from plait_agent._tool import Changes, Tool, ToolFuncEither, ToolParams, ToolPrepareFunc
from plait_agent._tool_definition import copy_of
from plait_agent._typevars import AgentDepsT
from plait_agent.exceptions import ModelRetry, UserError
from plait_agent.toolsets.abstract import AbstractToolset, ToolsetTool

if TYPE_CHECKING:
    from pydantic.json_schema import GenerateJsonSchema

    from plait_agent._docstrings import DocstringFormat
    from plait_agent._function_schema import FunctionSchema
    from plait_agent._run_context import RunContext
    from plait_graph import Limit

__all__ = 'FunctionToolset', 'FunctionToolsetTool'


@dataclass(kw_only=True)
class FunctionToolsetTool(ToolsetTool[AgentDepsT]):
    """A tool that is a function."""

    function_schema: FunctionSchema
    """How it is called."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """The tools before they are prepared, and what they were made of."""

    tools: dict[str, FunctionToolsetTool[Any]]
    are_prepared: bool
    """Whether some of them may be different in each step."""
    made_of: dict[str, Tool[Any]]
    defaults: tuple[object, ...]
    changes: int


class FunctionToolset(AbstractToolset[AgentDepsT]):
    """Functions that a model may call.

    All options are defaults for functions that are added; a `Tool` that was made before has its own, except that it
    takes `max_retries` and `timeout` from here if it says nothing of them, and `metadata` that it does not have.

    Args:
        tools: Functions and tools.
        max_retries: How often in a row a tool may fail.
        timeout: How many seconds a call may take.
        docstring_format: How docstrings are written.
        require_parameter_descriptions: Whether a parameter that nothing describes is an error.
        schema_generator: Writes JSON schemas; by default `GenerateToolJsonSchema`.
        strict: Whether the provider is to keep the model to the schemas.
        sequential: Whether calls of the same response run one after another.
        requires_approval: Whether somebody has to approve each call.
        metadata: What the program notes about the tools; not for the model.
        id: What tells the toolset from others of the same agent.

    Raises:
        UserError: A function cannot be a tool, or two tools have one name.
    """

    def __init__(
        self,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] = (),
        *,
        max_retries: int = 1,
        timeout: float | None = None,
        docstring_format: DocstringFormat = 'auto',
        require_parameter_descriptions: bool = False,
        schema_generator: type[GenerateJsonSchema] | None = None,
        strict: bool | None = None,
        sequential: bool = False,
        requires_approval: bool = False,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
    ):
        self.tools: dict[str, Tool[AgentDepsT]] = {}
        self.max_retries = max_retries
        self.timeout = timeout
        self.docstring_format = docstring_format
        self.require_parameter_descriptions = require_parameter_descriptions
        self.schema_generator = schema_generator
        self.strict = strict
        self.sequential = sequential
        self.requires_approval = requires_approval
        self.metadata = metadata
        self._id = id
        self._offer: _Offer | None = None
        for tool in tools:
            if isinstance(tool, Tool):
                self.add_tool(cast('Tool[AgentDepsT]', tool))
            else:
                self.add_function(tool)

    @property
    def id(self) -> str | None:
        """What tells the toolset from others of the same agent."""
        return self._id

    # ------------------------------------------------------------------------------------ adding

    @overload
    def tool(self, func: ToolFuncEither[AgentDepsT, ToolParams], /) -> ToolFuncEither[AgentDepsT, ToolParams]: ...
    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        retries: int | None = None,
        prepare: ToolPrepareFunc[AgentDepsT] | None = None,
        docstring_format: DocstringFormat | None = None,
        require_parameter_descriptions: bool | None = None,
        schema_generator: type[GenerateJsonSchema] | None = None,
        strict: bool | None = None,
        sequential: bool | None = None,
        requires_approval: bool | None = None,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
        limit: str | Limit | None = None,
    ) -> Callable[[ToolFuncEither[AgentDepsT, ToolParams]], ToolFuncEither[AgentDepsT, ToolParams]]: ...
    def tool(self, func: Any = None, /, **options: Any) -> Any:
        """Add a function, as a decorator; it may take the `RunContext` first.

        Args:
            func: The function.
            **options: As for `add_function`.
        """

        def add(function: Any) -> Any:
            self.add_function(function, **options)
            return function

        return add if func is None else add(func)

    def add_function(
        self,
        func: ToolFuncEither[AgentDepsT, ...],
        takes_ctx: bool | None = None,
        name: str | None = None,
        description: str | None = None,
        retries: int | None = None,
        prepare: ToolPrepareFunc[AgentDepsT] | None = None,
        docstring_format: DocstringFormat | None = None,
        require_parameter_descriptions: bool | None = None,
        schema_generator: type[GenerateJsonSchema] | None = None,
        strict: bool | None = None,
        sequential: bool | None = None,
        requires_approval: bool | None = None,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
        limit: str | Limit | None = None,
    ) -> None:
        """Add a function; `None` stands for what the toolset says.

        Args:
            func: The function.
            takes_ctx: Whether its first parameter is the `RunContext`; `None` to see that from the annotation.
            name: What the model calls it; by default its own name.
            description: What it does; by default what its docstring says.
            retries: How often in a row it may fail.
            prepare: Changes the definition in each step, or leaves the tool out.
            docstring_format: How the docstring is written.
            require_parameter_descriptions: Whether a parameter that nothing describes is an error.
            schema_generator: Writes the JSON schema.
            strict: Whether the provider is to keep the model to the schema.
            sequential: Whether calls of the same response run one after another.
            requires_approval: Whether somebody has to approve each call.
            metadata: What the program notes about the tool, added to what the toolset notes.
            timeout: How many seconds a call may take.
            limit: A limit, or the name of one, that each call holds while it runs.

        Raises:
            UserError: The function cannot be a tool, or there is a tool of that name.
        """
        self.add_tool(
            Tool(
                func,
                takes_ctx=takes_ctx,
                name=name,
                description=description,
                max_retries=retries,
                prepare=prepare,
                docstring_format=_given(docstring_format, self.docstring_format),
                require_parameter_descriptions=_given(
                    require_parameter_descriptions, self.require_parameter_descriptions
                ),
                schema_generator=_given(schema_generator, self.schema_generator),
                strict=_given(strict, self.strict),
                sequential=_given(sequential, self.sequential),
                requires_approval=_given(requires_approval, self.requires_approval),
                metadata=metadata,
                timeout=timeout,
                limit=limit,
            )
        )

    def add_tool(self, tool: Tool[AgentDepsT]) -> None:
        """Add a tool. Runs that have begun offer it from their next step on.

        Raises:
            UserError: There is a tool of that name.
        """
        if tool.name in self.tools:
            raise UserError(f'Tool name conflicts with existing tool: {tool.name!r}')
        self.tools[tool.name] = tool

    # ------------------------------------------------------------------------------------ offering

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools of this step, prepared.

        Raises:
            UserError: A prepare function has given a tool the name of another.
        """
        offer = self._current_offer()
        tools: dict[str, ToolsetTool[AgentDepsT]] = {}
        if not offer.are_prepared:
            tools.update(offer.tools)
            return tools
        for key, tool in offer.tools.items():
            prepared = await _prepared(offer.made_of[key].prepare, key, tool, ctx)
            if prepared is not None:
                _offer_under_its_name(tools, key, prepared)
        return tools

    def _current_offer(self) -> _Offer:
        """What was made in an earlier step, as long as nothing has changed since."""
        offer = self._offer
        defaults = (self.max_retries, self.timeout, self.metadata)
        if offer is None or offer.changes != Changes.count or offer.made_of != self.tools or offer.defaults != defaults:
            tools = {key: self._offered(tool) for key, tool in self.tools.items()}
            are_prepared = any(tool.prepare is not None or tool.name != key for key, tool in self.tools.items())
            offer = self._offer = _Offer(tools, are_prepared, dict(self.tools), defaults, Changes.count)
        return offer

    def _offered(self, tool: Tool[AgentDepsT]) -> FunctionToolsetTool[AgentDepsT]:
        definition = tool.tool_def
        if definition.timeout is None:
            definition.timeout = self.timeout
        if self.metadata:
            definition.metadata = {**self.metadata, **(tool.metadata or {})}
        return FunctionToolsetTool(
            toolset=self,
            tool_def=definition,
            max_retries=self.max_retries if tool.max_retries is None else tool.max_retries,
            args_validator=tool.function_schema.validator,
            limit=_limit_of(tool),
            function_schema=tool.function_schema,
        )

    # ------------------------------------------------------------------------------------ calling

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a function.

        If it takes longer than its definition allows, it is cancelled; one that is not async cannot be, and its thread
        goes on by itself.

        Raises:
            ModelRetry: It has taken too long.
        """
        schema = cast('FunctionToolsetTool[AgentDepsT]', tool).function_schema  # `tool` is what `get_tools` has given
        timeout = tool.tool_def.timeout
        if timeout is None:
            return await schema.call(tool_args, ctx)
        from anyio import move_on_after

        with move_on_after(timeout):
            return await schema.call(tool_args, ctx, abandon=True)
        raise ModelRetry(f'Timed out after {timeout} seconds.')


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value


def _limit_of(tool: Tool[Any]) -> Limit | None:
    if not isinstance(tool.limit, str):
        return tool.limit
    from plait_graph import Limit

    return Limit.named(tool.limit)


async def _prepared(
    prepare: ToolPrepareFunc[AgentDepsT] | None, key: str, tool: ToolsetTool[AgentDepsT], ctx: RunContext[AgentDepsT]
) -> ToolsetTool[AgentDepsT] | None:
    if prepare is None:
        return tool
    context = replace(ctx, tool_name=key, retry=ctx.retries.get(key, 0), max_retries=tool.max_retries)
    definition = await settled(prepare(context, copy_of(tool.tool_def)))
    return None if definition is None else replace(tool, tool_def=definition)


def _offer_under_its_name(tools: dict[str, ToolsetTool[Any]], key: str, tool: ToolsetTool[Any]) -> None:
    name = tool.tool_def.name
    if name in tools and name != key:
        raise UserError(f'Renaming tool {key!r} to {name!r} conflicts with existing tool.')
    if name in tools:
        raise UserError(f'Tool name conflicts with previously renamed tool: {name!r}.')
    tools[name] = tool
