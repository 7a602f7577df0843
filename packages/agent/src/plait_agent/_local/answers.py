"""The answer of a local model while it grows: what it writes becomes text and calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plait_agent._local.reader import ChoiceReader, Kind, Piece
from plait_agent._stamps import now_utc
from plait_agent.exceptions import AgentRunError, ModelAPIError, ModelHTTPError
from plait_agent.messages import (
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
)
from plait_agent.models import ModelRequestParameters, StreamedResponse
from plait_agent.output import OutputObjectDefinition

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from contextlib import AsyncExitStack
    from datetime import datetime

    from plait_agent._local.server import LocalServer
    from plait_agent._local.turns import Turn
    from plait_agent.messages import ModelMessage, ModelResponseStreamEvent
    from plait_agent.models import Model
    from plait_agent.settings import ModelSettings

_TEXT = 'text'
_CALL = 'call'
_CRASH_SECONDS = 2.0
"""How long a server that has crashed may take to be gone after its connections are."""


@dataclass
class LocalStream(StreamedResponse):
    """The answer of a local model.

    If the model begins a call that has been answered already, nothing is told of it, and it is asked again without that
    tool.
    """

    _model_name: str
    _turn: Turn
    _answered: AbstractSet[tuple[str, str]]
    _inquiry: Inquiry = field(repr=False)
    _source: StreamedResponse = field(repr=False)
    _timestamp: datetime = field(default_factory=now_utc)
    _has_begun_call: bool = field(default=False, init=False, repr=False)

    async def _get_event_iterator(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        try:
            async with aclosing(self._read()) as events:
                async for event in events:
                    yield event
        except AgentRunError as error:
            raise await self._inquiry.explain(error) from error

    async def _read(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        """What the model writes, in as many turns as it needs."""
        turn: Turn | None = self._turn
        while turn is not None:
            writing = Writing(turn, self._answered)
            async for event in self._source:
                for each in self._take(event, writing):
                    yield each
            for each in self._end(writing):
                yield each
            turn = writing.next_turn
            if turn is not None:
                self._source = await self._inquiry.ask(turn)

    def _take(self, event: ModelResponseStreamEvent, writing: Writing) -> Iterable[ModelResponseStreamEvent]:
        match event:
            case PartStartEvent(part=TextPart(content=text)) | PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                for piece in writing.feed(text):
                    yield from self._tell(piece)
            case (
                PartStartEvent(part=ThinkingPart(content=thought))
                | PartDeltaEvent(delta=ThinkingPartDelta(content_delta=thought))
            ) if thought:
                yield from self._parts_manager.handle_thinking_delta(vendor_part_id=None, content=thought)
            case _:
                pass

    def _tell(self, piece: Piece) -> Iterable[ModelResponseStreamEvent]:
        if piece.kind is Kind.TEXT:
            return self._parts_manager.handle_text_delta(vendor_part_id=_TEXT, content=piece.content)
        name = None if self._has_begun_call else piece.name
        self._has_begun_call = True
        return self._parts_manager.handle_tool_call_delta(vendor_part_id=_CALL, tool_name=name, args=piece.content)

    def _end(self, writing: Writing) -> Iterable[ModelResponseStreamEvent]:
        """What is left when no more comes."""
        for piece in writing.end():
            yield from self._tell(piece)
        source = self._source
        self._usage.incr(source.usage())
        self.provider_response_id = source.provider_response_id
        self.provider_details = source.provider_details
        self.finish_reason = source.finish_reason
        if self.finish_reason == 'stop' and writing.has_called:
            self.finish_reason = 'tool_call'

    @property
    def model_name(self) -> str:
        """The model."""
        return self._model_name

    @property
    def provider_name(self) -> str:
        """`'local'`."""
        return 'local'

    @property
    def provider_url(self) -> str | None:
        """Where its server is."""
        return self._source.provider_url

    @property
    def timestamp(self) -> datetime:
        """When the answer began."""
        return self._timestamp


class Inquiry:
    """A question to a server, which may have to be put several times.

    Args:
        model: The model at the other end of the connection.
        server: The server, if it is ours.
        messages: What has been said.
        settings: How the model is asked.
        opened: Holds the answer that is open; whoever made it closes it.
    """

    def __init__(
        self,
        model: Model,
        server: LocalServer | None,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        opened: AsyncExitStack,
    ):
        self._model = model
        self._server = server
        self._messages = messages
        self._settings = settings
        self._opened = opened

    async def begin(self, turn: Turn) -> StreamedResponse:
        """Ask for the first time; what the connection has seen of a crash is told as one."""
        try:
            return await self.ask(turn)
        except AgentRunError as error:
            raise await self.explain(error) from error

    async def ask(self, turn: Turn) -> StreamedResponse:
        """Ask what the model does in a turn. The answer to the question before is closed."""
        await self._opened.aclose()
        asked = self._model.request_stream(self._messages, self._settings, _bound_by(turn))
        return await self._opened.enter_async_context(asked)

    async def explain(self, error: AgentRunError) -> AgentRunError:
        """The error to be raised in place of one that says what the connection has seen of it."""
        if isinstance(error, ModelHTTPError):
            return _explain_refusal(error)
        if self._server is None:
            return error
        from anyio.to_thread import run_sync

        crash = await run_sync(self._server.wait_crash, _CRASH_SECONDS)
        return error if crash is None else crash


def _bound_by(turn: Turn) -> ModelRequestParameters:
    """The parameters of a request whose answer has the form of a turn."""
    schema = turn.schema()
    if schema is None:
        return ModelRequestParameters()
    return ModelRequestParameters(
        output_mode='native', output_object=OutputObjectDefinition(json_schema=schema, name='turn')
    )


def _explain_refusal(error: ModelHTTPError) -> AgentRunError:
    """What to do about a conversation that is too long."""
    body: Any = error.body
    told: Any = body.get('error', body) if hasattr(body, 'get') else None
    if not hasattr(told, 'get') or told.get('type') != 'exceed_context_size_error':
        return error
    return ModelAPIError(
        error.model_name,
        f'The conversation has {told.get("n_prompt_tokens")} tokens, and the local model {error.model_name!r} was '
        f'started for {told.get("n_ctx")}. Shorten it with history_processors, or give more: LocalModel(n_ctx=...).',
        provider_name='local',
    )


class Writing:
    """What a model writes in a turn. A call is held back for as long as it may become one that was answered before.

    Args:
        turn: What the model may do.
        answered: The calls that have been answered.
    """

    def __init__(self, turn: Turn, answered: AbstractSet[tuple[str, str]]):
        self._turn = turn
        self._answered = answered
        only = turn.only_tool
        self._reader = None
        if turn.speaks_json or only is not None:
            self._reader = ChoiceReader(
                turn.final_tool, is_structured=turn.output is not None, only_tool=None if only is None else only.name
            )
        self._held = ''
        self._called: str | None = None
        self._is_told = False
        self.next_turn: Turn | None = None
        """The turn in which the model is to choose again."""

    @property
    def has_called(self) -> bool:
        """Whether it has called a tool, and all of the call is there."""
        return self._is_told and self._reader is not None and self._reader.is_complete

    def feed(self, text: str) -> Iterable[Piece]:
        """Take more, and give what can be told of it."""
        if self._reader is None:
            return [Piece(Kind.TEXT, '', text)]
        return [told for piece in self._reader.feed(text) for told in self._let_through(piece)]

    def end(self) -> Iterable[Piece]:
        """What is left when no more comes."""
        reader = self._reader
        if reader is None:
            return []
        if self._called is not None and not self._is_told:
            self.next_turn = self._turn.without(self._called) if reader.is_complete else None
            return [] if self.next_turn is not None else [Piece(Kind.CALL, self._called, self._held)]
        # A server that binds to nothing gives text. The beginning of a choice that was cut off is none.
        unread = reader.unread
        return [Piece(Kind.TEXT, '', unread)] if unread and not unread.lstrip().startswith('{') else []

    def _let_through(self, piece: Piece) -> Iterable[Piece]:
        if piece.kind is Kind.TEXT or self._is_told:
            return [piece]
        self._called = piece.name
        self._held += piece.content
        known = (arguments for name, arguments in self._answered if name == piece.name)
        if any(arguments.startswith(self._held) for arguments in known):
            return []
        self._is_told = True
        return [Piece(Kind.CALL, piece.name, self._held)]
