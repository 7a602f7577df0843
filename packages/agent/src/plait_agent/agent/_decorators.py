"""How functions become part of an agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, Unpack, overload

from typing_extensions import TypedDict

from plait_agent._agent_graph.prompts import ref_of
from plait_agent._functions import Function
from plait_agent._output import OutputValidator
from plait_agent._typevars import DepsT, OutputT
from plait_agent.agent._checks import check_toolsets

if TYPE_CHECKING:
    from plait_agent.agent._own_tools import OwnToolset
    from plait_agent.agent._prompting import Prompting
    from plait_agent.tools import DocstringFormat, GenerateToolJsonSchema, RunContext, ToolPrepareFunc
    from plait_graph import Limit

P = ParamSpec('P')
R = TypeVar('R')
F = TypeVar('F', bound=Callable[..., Any])


class ToolOptions(TypedDict, Generic[DepsT], total=False):
    """What can be said about a tool."""

    name: str | None
    """What the model calls it; the function's name, if nothing is said."""
    description: str | None
    """What the model is told of it; the function's docstring, if nothing is said."""
    retries: int | None
    """How often it may fail in a row; as often as the agent says, if nothing is said."""
    prepare: ToolPrepareFunc[DepsT] | None
    """Gives its definition for each request, or `None` to leave it out."""
    docstring_format: DocstringFormat
    """How its docstring is written."""
    require_parameter_descriptions: bool
    """Whether each parameter has to be described."""
    schema_generator: type[GenerateToolJsonSchema]
    """Makes its JSON schema."""
    strict: bool | None
    """Whether the provider is to hold the model to the schema."""
    sequential: bool
    """Whether no other tool may run beside it."""
    requires_approval: bool
    """Whether somebody has to approve its calls."""
    metadata: dict[str, Any] | None
    """Notes, for functions that filter or prepare tools."""
    timeout: float | None
    """How many seconds it may take."""
    limit: str | Limit | None
    """A limit by name that is held while it runs."""


class Decorators(Generic[DepsT, OutputT]):
    """The decorators of an agent. All give the function back as it was."""

    _own: OwnToolset
    _prompting: Prompting
    _output_validators: list[OutputValidator[OutputT]]
    _toolsets: list[Any]

    @overload
    def tool(
        self, func: Callable[Concatenate[RunContext[DepsT], P], R], /
    ) -> Callable[Concatenate[RunContext[DepsT], P], R]: ...
    @overload
    def tool(
        self, /, **options: Unpack[ToolOptions[DepsT]]
    ) -> Callable[[Callable[Concatenate[RunContext[DepsT], P], R]], Callable[Concatenate[RunContext[DepsT], P], R]]: ...
    def tool(self, func: Any = None, /, **options: Any) -> Any:
        """Let the model call a function whose first argument is the `RunContext`.

        Args:
            func: The function; a synchronous one runs in a thread.
            options: See `ToolOptions`.

        Raises:
            UserError: It cannot be called by a model, or there is a tool of its name.
        """
        return self._add_tool(func, options, takes_ctx=True)

    @overload
    def tool_plain(self, func: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def tool_plain(self, /, **options: Unpack[ToolOptions[DepsT]]) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def tool_plain(self, func: Any = None, /, **options: Any) -> Any:
        """Let the model call a function that needs no `RunContext`; see `tool`."""
        return self._add_tool(func, options, takes_ctx=False)

    def _add_tool(self, func: Any, options: dict[str, Any], *, takes_ctx: bool) -> Any:
        def add(function: Any) -> Any:
            self._own.add_function(function, takes_ctx, **options)
            return function

        return add if func is None else add(func)

    @overload
    def system_prompt(self, func: F, /) -> F: ...
    @overload
    def system_prompt(self, /, *, dynamic: bool = False) -> Callable[[F], F]: ...
    def system_prompt(self, func: Any = None, /, *, dynamic: bool = False) -> Any:
        """Let a function say what the model is told first in a conversation that begins.

        Args:
            func: A function of nothing or of the `RunContext`; it may be asynchronous, and give `None` for nothing.
            dynamic: Whether it is asked anew in runs that have a history.
        """

        def add(function: Any) -> Any:
            prompt = Function(function, 0, 'System prompt function')
            self._prompting.system_functions.append(prompt)
            if dynamic:
                self._prompting.dynamic[ref_of(prompt)] = prompt
            return function

        return add if func is None else add(func)

    @overload
    def instructions(self, func: F, /) -> F: ...
    @overload
    def instructions(self, /) -> Callable[[F], F]: ...
    def instructions(self, func: Any = None, /) -> Any:
        """Let a function say what the model is told with each request.

        Args:
            func: A function of nothing or of the `RunContext`; it may be asynchronous, and give `None` for nothing.
        """

        def add(function: Any) -> Any:
            self._prompting.functions.append(Function(function, 0, 'Instructions function'))
            return function

        return add if func is None else add(func)

    def output_validator(self, func: F, /) -> F:
        """Let a function look at each output: it gives the output, the same or another one, or raises `ModelRetry`.

        Args:
            func: A function of the output, or of the `RunContext` and the output.
        """
        self._output_validators.append(OutputValidator(func))
        return func

    @overload
    def toolset(self, func: F, /) -> F: ...
    @overload
    def toolset(self, /, *, per_run_step: bool = True, id: str | None = None) -> Callable[[F], F]: ...
    def toolset(self, func: Any = None, /, *, per_run_step: bool = True, id: str | None = None) -> Any:
        """Let a function of the `RunContext` give a toolset, or `None`.

        Args:
            func: The function.
            per_run_step: Whether it is asked before each request, or once for each run.
            id: The id of the toolset.
        """
        from plait_agent.toolsets._dynamic import DynamicToolset

        def add(function: Any) -> Any:
            check_toolsets([function])
            self._toolsets.append(DynamicToolset(function, per_run_step=per_run_step, id=id))
            return function

        return add if func is None else add(func)
