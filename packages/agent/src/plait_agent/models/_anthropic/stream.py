"""Reads the events of a streamed answer of Anthropic.

An answer that stops in the middle goes on in further streams, which are read as one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_core import to_json

from plait_agent.messages import (
    BuiltinToolCallPart,
    ModelResponsePart,
    ModelResponseStreamEvent,
    ToolCallPart,
)
from plait_agent.models._anthropic.blocks import Block
from plait_agent.models._anthropic.decode import UNREADABLE, BlockReader, as_json, is_paused, read_end
from plait_agent.models._anthropic.errors import telling_of_stream_errors
from plait_agent.models._anthropic.usage import read_usage
from plait_agent.models._provider_model import ProviderStream
from plait_agent.usage import RequestUsage

Events: TypeAlias = Iterable[ModelResponseStreamEvent]

GoOn: TypeAlias = Callable[[Sequence[ModelResponsePart], dict[str, Any] | None], Awaitable[AsyncIterable[Any]]]
"""Sends back an answer as far as it has come, with its details, and gives the stream in which it goes on."""


@dataclass(slots=True)
class _OpenBlock:
    """A block that is still arriving."""

    block: Block
    """What it began with."""
    end: str = ''
    """What stands behind its arguments."""
    has_arguments: bool = False


@dataclass
class AnthropicStreamedResponse(ProviderStream):
    """An answer of a model of Anthropic that is still arriving."""

    _go_on: GoOn | None = field(default=None, repr=False)
    """How an answer goes on that has stopped in the middle."""
    _continuations: int = 0
    """How often it may do so."""
    _model_said: str | None = field(default=None, init=False)
    _stream: int = field(default=0, init=False)
    """The number of the stream that is read; blocks are counted anew in each."""
    _is_complete: bool = field(default=False, init=False)
    _open: dict[int, _OpenBlock] = field(default_factory=dict[int, _OpenBlock], init=False, repr=False)
    _counted: dict[str, Any] = field(default_factory=dict[str, Any], init=False, repr=False)
    """What the stream that is read has counted so far."""
    _used_before: RequestUsage = field(default_factory=RequestUsage, init=False, repr=False)
    """What the streams before it have used."""

    def __post_init__(self) -> None:
        self._reader = BlockReader(self._origin.provider_name)

    @property
    def model_name(self) -> str:
        """The model that answers, as the provider calls it once it has begun."""
        return self._model_said or self._origin.model_name

    async def _get_event_iterator(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        async with aclosing(self._all_chunks()) as chunks:
            async for chunk in chunks:
                for event in self._take(chunk):
                    yield event

    async def _all_chunks(self) -> AsyncGenerator[Any]:
        """The events of all streams that the answer comes in."""
        with self._origin.translating(), telling_of_stream_errors(self._origin):
            while True:
                self._reading = aiter(self._chunks)
                async for chunk in self._reading:
                    yield chunk
                self._end()
                if self._go_on is None or not self._continuations or not is_paused(self.provider_details):
                    return
                await self._open_next(self._go_on)

    async def _open_next(self, go_on: GoOn) -> None:
        """Go on with the next stream of the answer."""
        await self.close_stream()
        self._continuations -= 1
        self._chunks = await go_on(self._parts_manager.get_parts(), self.provider_details)
        self._used_before = self._usage + RequestUsage()
        self._counted = {}
        self._stream += 1
        self._is_complete = False

    def _end(self) -> Events:
        if not self._is_complete:
            raise self._origin.failure('The stream ended in the middle of the answer')
        return ()

    def _take(self, chunk: Any) -> Events:
        """What an event brings; nothing if it is of a type that is not known.

        Raises:
            UnexpectedModelBehavior: The event does not have the form that it should have.
        """
        try:
            return self._fold(chunk)
        except UNREADABLE as error:
            raise self._origin.unexpected(
                f'An event of the stream cannot be read ({error!r})', body=str(chunk)
            ) from error

    def _fold(self, chunk: Any) -> Events:
        kind = chunk.type
        if kind == 'content_block_delta':
            return self._take_delta(chunk.index, chunk.delta)
        if kind == 'content_block_start':
            return self._begin_block(chunk.index, as_json(chunk.content_block))
        if kind == 'content_block_stop':
            return self._end_block(chunk.index)
        if kind == 'message_start':
            self._begin_message(as_json(chunk.message))
        elif kind == 'message_delta':
            self._take_end(as_json(chunk))
        elif kind == 'message_stop':
            self._is_complete = True
        return ()

    # Messages

    def _begin_message(self, message: dict[str, Any]) -> None:
        self.provider_response_id = message.get('id')
        self._model_said = message.get('model')
        self._count(message.get('usage'))

    def _take_end(self, event: dict[str, Any]) -> None:
        delta: dict[str, Any] = event.get('delta') or {}
        said = {**delta, 'context_management': event.get('context_management')}
        self.finish_reason, self.provider_details = read_end(said, self.provider_details)
        # Servers that speak the format may leave out the last event, which says nothing more.
        self._is_complete = delta.get('stop_reason') is not None
        self._count(event.get('usage'))

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Take counters, which are those of the whole stream so far."""
        self._counted |= {name: value for name, value in (usage or {}).items() if value is not None}
        vars(self._usage).update(vars(self._used_before + read_usage(self._counted)))

    # Blocks

    def _begin_block(self, index: int, block: Block) -> Events:
        kind = block.get('type')
        if kind == 'text':
            return self._add_text(index, block.get('text')) if block.get('text') else ()
        if kind == 'thinking':
            return self._add_thought(index, block.get('thinking') or None, block.get('signature') or None)
        opened = self._open[index] = _OpenBlock(block)
        return self._begin_call(index, opened) if kind in ('tool_use', 'server_tool_use', 'mcp_tool_use') else ()

    def _begin_call(self, index: int, opened: _OpenBlock) -> Events:
        part = self._reader.read(opened.block)
        if not isinstance(part, (ToolCallPart, BuiltinToolCallPart)):
            return ()
        part.args = None
        if opened.block['type'] == 'mcp_tool_use':
            # The arguments arrive as text, within those that the part has.
            head = to_json({'action': 'call_tool', 'tool_name': opened.block['name']}).decode()
            part.args = f'{head[:-1]},"tool_args":'
            opened.end = '}'
        return self._parts_manager.handle_part(vendor_part_id=(self._stream, index), part=part)

    def _take_delta(self, index: int, delta: Any) -> Events:
        kind = delta.type
        if kind == 'text_delta':
            return self._add_text(index, delta.text)
        if kind == 'input_json_delta':
            return self._add_arguments(index, delta.partial_json)
        if kind == 'thinking_delta':
            return self._add_thought(index, delta.thinking or None, None)
        if kind == 'signature_delta':
            return self._add_thought(index, None, delta.signature or None)
        if kind == 'citations_delta':
            return self._add_citation(index, as_json(delta).get('citation'))
        if index in self._open:
            # Deltas of blocks that are kept as they came, such as those of a compaction, bring whole fields.
            news = {name: value for name, value in as_json(delta).items() if name != 'type' and value is not None}
            self._open[index].block |= news
        return ()

    def _end_block(self, index: int) -> Events:
        opened = self._open.pop(index, None)
        if opened is None:
            return ()
        vendor_part_id = self._stream, index
        if opened.block.get('type') in ('tool_use', 'server_tool_use', 'mcp_tool_use'):
            return self._end_call(vendor_part_id, opened)
        part = self._reader.read(opened.block)
        return () if part is None else self._parts_manager.handle_part(vendor_part_id=vendor_part_id, part=part)

    def _end_call(self, vendor_part_id: tuple[int, int], opened: _OpenBlock) -> Events:
        """Add the arguments that came with the beginning, if no others have come since."""
        args = opened.end
        if not opened.has_arguments and (opened.end or opened.block.get('input')):
            args = to_json(opened.block.get('input') or {}).decode() + opened.end
        return self._parts_manager.handle_tool_call_delta(vendor_part_id=vendor_part_id, args=args) if args else ()

    # What grows

    def _add_text(self, index: int, text: str | None) -> Events:
        if not text:
            return ()
        return self._parts_manager.handle_text_delta(vendor_part_id=(self._stream, index), content=text)

    def _add_thought(self, index: int, content: str | None, signature: str | None) -> Events:
        if content is None and signature is None:
            return ()
        return self._parts_manager.handle_thinking_delta(
            vendor_part_id=(self._stream, index),
            content=content,
            signature=signature,
            provider_name=self._origin.provider_name,
        )

    def _add_arguments(self, index: int, text: str | None) -> Events:
        opened = self._open.get(index)
        if opened is None or not text:
            return ()
        opened.has_arguments = True
        return self._parts_manager.handle_tool_call_delta(vendor_part_id=(self._stream, index), args=text)

    def _add_citation(self, index: int, citation: dict[str, Any] | None) -> Events:
        if not citation:
            return ()
        opened = self._open.setdefault(index, _OpenBlock({'type': 'text', 'citations': []}))
        citations = opened.block['citations'] = [*opened.block['citations'], citation]
        return self._parts_manager.handle_text_delta(
            vendor_part_id=(self._stream, index), content='', provider_details={'citations': citations}
        )
