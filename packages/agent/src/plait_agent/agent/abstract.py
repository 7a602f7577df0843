"""What every agent can do, whatever it is made of."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, cast, overload

from typing_extensions import TypeIs

from plait_agent._agent_graph.nodes import AgentNode, CallToolsNode, ModelRequestNode, UserPromptNode
from plait_agent._agent_graph.records import FinalResult
from plait_agent._agent_graph.tool_run import sequential
from plait_agent._typevars import DepsT, OutputT, RunOutputT
from plait_agent.agent.options import Changes, EventStreamHandler, HandledRunOptions, RunOptions
from plait_agent.exceptions import UserError
from plait_graph import End

if TYPE_CHECKING:
    from plait_agent._event_stream import AgentEvents
    from plait_agent._streamed_run import StreamedRunResult, Until
    from plait_agent._streamed_sync import StreamedRunResultSync
    from plait_agent.agent._start import Start
    from plait_agent.messages import ModelMessage, UserContent
    from plait_agent.models import KnownModelName, Model
    from plait_agent.output import OutputSpec
    from plait_agent.run import AgentRun, AgentRunResult
    from plait_agent.toolsets import AbstractToolset

__all__ = ('AbstractAgent',)

NodeDepsT = TypeVar('NodeDepsT')
NodeOutputT = TypeVar('NodeOutputT')


class AbstractAgent(ABC, Generic[DepsT, OutputT]):
    """The base of `Agent` and of what wraps one."""

    # What it is

    @property
    @abstractmethod
    def model(self) -> Model | KnownModelName | str | None:
        """The model that is asked unless a run names another one."""

    @property
    @abstractmethod
    def name(self) -> str | None:
        """What it is called."""

    @name.setter
    @abstractmethod
    def name(self, value: str | None) -> None: ...

    @property
    @abstractmethod
    def deps_type(self) -> type:
        """The type of the dependencies; used by type checkers alone."""

    @property
    @abstractmethod
    def output_type(self) -> OutputSpec[OutputT]:
        """What runs end with."""

    @property
    @abstractmethod
    def event_stream_handler(self) -> EventStreamHandler[DepsT] | None:
        """Is given the events of each node of a run."""

    @property
    @abstractmethod
    def toolsets(self) -> Sequence[AbstractToolset[DepsT]]:
        """All toolsets, that of its own functions first."""

    # Running

    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        **options: Unpack[RunOptions[DepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[DepsT, OutputT]]: ...
    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputT],
        **options: Unpack[RunOptions[DepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[DepsT, RunOutputT]]: ...
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: Any = None,
        **options: Unpack[RunOptions[DepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[DepsT, Any]]:
        """A run to be watched and steered node by node: `async with agent.iter(...) as run`.

        See `RunOptions` for what else can be said.
        """
        if self.name is None:
            self._find_name(inspect.currentframe(), options)
        return self._start(user_prompt, output_type, options).iterate()

    @overload
    async def run(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> AgentRunResult[OutputT]: ...
    @overload
    async def run(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputT],
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> AgentRunResult[RunOutputT]: ...
    async def run(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: Any = None,
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> AgentRunResult[Any]:
        """Run to the end and give the result.

        Args:
            user_prompt: What the user says.
            output_type: What this run ends with, instead of what the agent's do.
            options: See `HandledRunOptions`.

        Raises:
            UserError: What is asked for cannot be.
            UnexpectedModelBehavior: The model gave nothing to go on with, or a tool failed too often.
            UsageLimitExceeded: The run would use, or has used, more than it may.
            ModelAPIError: The provider failed.
            Exception: What a tool raised.

        If the caller is cancelled, requests and tools are, and their clean-up is waited for; the messages
        (`capture_run_messages`) can be sent again: each tool call has its return.
        """
        if self.name is None:
            self._find_name(inspect.currentframe(), options)
        return await self._start(user_prompt, output_type, options).run()

    @overload
    def run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> AgentRunResult[OutputT]: ...
    @overload
    def run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputT],
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> AgentRunResult[RunOutputT]: ...
    def run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: Any = None,
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> AgentRunResult[Any]:
        """Run from synchronous code; see `run`.

        Uses and keeps the event loop of the thread. Where one runs already, as in a notebook, the run goes to a thread
        of its own, and this call waits for it.
        """
        from plait_agent._sync import run_sync

        self._find_name(inspect.currentframe(), options)
        options['infer_name'] = False  # the caller's variables were looked at
        return run_sync(lambda: self.run(user_prompt, output_type=output_type, **options))

    # Streaming

    @overload
    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        until: Until = 'match',
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[DepsT, OutputT]]: ...
    @overload
    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputT],
        until: Until = 'match',
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[DepsT, RunOutputT]]: ...
    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: Any = None,
        until: Until = 'match',
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[DepsT, Any]]:
        """A run whose output is given as it comes: `async with agent.run_stream(...) as result`.

        Args:
            user_prompt: What the user says.
            output_type: What this run ends with, instead of what the agent's do.
            until: With `'match'` the first output that matches is the output of the run, and what the same response
                calls beside it is treated as `end_strategy` says. With `'end'` the run goes on as `run` does, and the
                output is that of its end.
            options: See `HandledRunOptions`.

        Raises:
            UserError: `until` is not known, or what else is said cannot be.
        """
        from plait_agent._streamed_run import open_streamed

        if until not in ('match', 'end'):
            raise UserError(f"until={until!r} is not known. Give 'match' or 'end'.")
        if self.name is None:
            self._find_name(inspect.currentframe(), options)
        return open_streamed(self._start(user_prompt, output_type, options), until)

    @overload
    def run_stream_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        until: Until = 'match',
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> StreamedRunResultSync[DepsT, OutputT]: ...
    @overload
    def run_stream_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputT],
        until: Until = 'match',
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> StreamedRunResultSync[DepsT, RunOutputT]: ...
    def run_stream_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: Any = None,
        until: Until = 'match',
        **options: Unpack[HandledRunOptions[DepsT]],
    ) -> StreamedRunResultSync[DepsT, Any]:
        """The same for synchronous code, also within a running event loop; see `run_stream`.

        The run is done in a thread of its own, and ends when its output has been read, or `close` is called.
        """
        from plait_agent._streamed_sync import StreamedRunResultSync

        self._find_name(inspect.currentframe(), options)
        options['infer_name'] = False
        return StreamedRunResultSync(
            lambda: self.run_stream(user_prompt, output_type=output_type, until=until, **options)
        )

    @overload
    def run_stream_events(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        **options: Unpack[RunOptions[DepsT]],
    ) -> AgentEvents[OutputT]: ...
    @overload
    def run_stream_events(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputT],
        **options: Unpack[RunOptions[DepsT]],
    ) -> AgentEvents[RunOutputT]: ...
    def run_stream_events(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: Any = None,
        **options: Unpack[RunOptions[DepsT]],
    ) -> AgentEvents[Any]:
        """All events of a run as they happen, and at last an `AgentRunResultEvent`.

        Iterate over it; if that may be broken off, do so within `async with agent.run_stream_events(...) as events`.
        """
        from plait_agent._event_stream import AgentEvents

        self._find_name(inspect.currentframe(), options)
        options['infer_name'] = False
        return AgentEvents(
            lambda handler: self.run(user_prompt, output_type=output_type, event_stream_handler=handler, **options)
        )

    # In a terminal

    async def to_cli(
        self,
        deps: DepsT = cast('Any', None),
        prog_name: str = 'plait',
        message_history: Sequence[ModelMessage] | None = None,
    ) -> None:
        """Chat with the agent in the terminal, until the user ends it.

        It is the chat of `plait chat`, with the same keys and commands, but nothing is kept in files unless the user
        says `/save`. It needs asyncio. If the caller is cancelled, so is an answer that is coming.

        Args:
            deps: What tools, prompts and validators are given as `ctx.deps`.
            prog_name: What the program is called on the screen.
            message_history: What was said before.

        Raises:
            ImportError: The extra `cli` is not installed.
            UserError: The event loop is not that of asyncio, or the agent has no model.
        """
        try:
            from plait_agent._chat.chat import chat_with
        except ImportError as error:
            raise ImportError(
                f'A chat in the terminal needs packages that are not installed ({error}). '
                f"Install them: pip install 'plait-agent[cli]'"
            ) from error
        await chat_with(self, deps, prog_name, message_history)

    def to_cli_sync(
        self,
        deps: DepsT = cast('Any', None),
        prog_name: str = 'plait',
        message_history: Sequence[ModelMessage] | None = None,
    ) -> None:
        """Chat with the agent from synchronous code; see `to_cli`."""
        from plait_agent._sync import run_sync

        run_sync(lambda: self.to_cli(deps, prog_name, message_history))

    @abstractmethod
    def override(self, **changes: Unpack[Changes[DepsT]]) -> AbstractContextManager[None]:
        """Let something stand for the agent's own, and for what runs say, within a block; see `Changes`."""

    @abstractmethod
    def _start(self, prompt: Any, output_type: Any, options: Any) -> Start:
        """Put together all that a run needs; every way to run begins with it."""

    # The nodes of a run

    @staticmethod
    def is_user_prompt_node(
        node: AgentNode[NodeDepsT, NodeOutputT] | End[FinalResult[NodeOutputT]],
    ) -> TypeIs[UserPromptNode[NodeDepsT, NodeOutputT]]:
        """Whether a node makes the first request."""
        return isinstance(node, UserPromptNode)

    @staticmethod
    def is_model_request_node(
        node: AgentNode[NodeDepsT, NodeOutputT] | End[FinalResult[NodeOutputT]],
    ) -> TypeIs[ModelRequestNode[NodeDepsT, NodeOutputT]]:
        """Whether a node asks the model."""
        return isinstance(node, ModelRequestNode)

    @staticmethod
    def is_call_tools_node(
        node: AgentNode[NodeDepsT, NodeOutputT] | End[FinalResult[NodeOutputT]],
    ) -> TypeIs[CallToolsNode[NodeDepsT, NodeOutputT]]:
        """Whether a node handles a response."""
        return isinstance(node, CallToolsNode)

    @staticmethod
    def is_end_node(
        node: AgentNode[NodeDepsT, NodeOutputT] | End[FinalResult[NodeOutputT]],
    ) -> TypeIs[End[FinalResult[NodeOutputT]]]:
        """Whether the run has ended."""
        return isinstance(node, End)

    @staticmethod
    @contextmanager
    def sequential_tool_calls() -> Generator[None]:
        """Let all tool calls within the block be made one by one, in call order."""
        token = sequential.set(True)
        try:
            yield
        finally:
            sequential.reset(token)

    # Contexts

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Enter models and toolsets once for all runs in the block."""

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def _find_name(self, frame: FrameType | None, options: Any) -> None:
        """Take the name of the caller's variable that holds this agent, if there is one and it has none itself."""
        caller = frame.f_back if frame is not None else None
        if self.name is not None or not options.get('infer_name', True) or caller is None:
            return
        for variables in (caller.f_locals, caller.f_globals):
            for name, value in variables.items():
                if value is self:
                    self.name = name
                    return
