"""An answer in chat completions: the fold from chunks to parts, for streams and for whole answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from plait_agent.messages import FinishReason, ModelResponse
from plait_agent.models._openai_chat.deltas import DeltaReader
from plait_agent.models._openai_chat.errors import error_of, failed_calls, told_error
from plait_agent.models._openai_chat.usage import find_usage, read_usage
from plait_agent.models._provider_model import ProviderStream

if TYPE_CHECKING:
    from plait_agent.messages import ModelResponseStreamEvent
    from plait_agent.profiles.openai import OpenAIModelProfile

Json = Mapping[str, Any]
Chunk = Json | None
"""`None` is the mark that a server puts behind the last chunk."""

_FINISH_REASONS: dict[str, FinishReason] = {
    'stop': 'stop',
    'length': 'length',
    'tool_calls': 'tool_call',
    'content_filter': 'content_filter',
    'function_call': 'tool_call',
    # From here on other providers than OpenAI.
    'end_turn': 'stop',
    'eos': 'stop',
    'eos_token': 'stop',
    'error': 'error',
    'insufficient_system_resource': 'error',
    'max_tokens': 'length',
    'model_context_window_exceeded': 'length',
    'model_length': 'length',
    'network_error': 'error',
    'sensitive': 'content_filter',
    'stop_sequence': 'stop',
}
_TOLD = {
    'service_tier': 'service_tier',
    'provider': 'downstream_provider',
    'citations': 'citations',
    'moderation': 'moderation',
}
"""What an answer tells of itself, and what that is called in the details."""


@dataclass
class OpenAIStreamedResponse(ProviderStream):
    """An answer that arrives as chunks of chat completions."""

    _profile: OpenAIModelProfile = field(kw_only=True, repr=False)
    _told_model_name: str = field(default='', init=False)
    _is_complete: bool = field(default=False, init=False)
    """Whether something has shown that there is no more to come."""
    _has_begun: bool = field(default=False, init=False)
    """Whether there was anything of an answer."""

    @cached_property
    def _reader(self) -> DeltaReader:
        return DeltaReader(self._parts_manager, self._profile, self._origin.provider_name)

    @cached_property
    def _details(self) -> dict[str, Any]:
        self.provider_details = dict[str, Any]()
        return self.provider_details

    @property
    def model_name(self) -> str:
        """The model that answers, as the provider says."""
        return self._told_model_name or self._origin.model_name

    def _take(self, chunk: Chunk) -> Iterable[ModelResponseStreamEvent]:
        """What a chunk brings.

        Raises:
            ModelHTTPError: It tells of an error that has a status.
            ModelAPIError: It tells of another error.
            UnexpectedModelBehavior: It is no chunk.
        """
        if chunk is None:
            self._is_complete = True
            return
        try:
            yield from self._fold(chunk)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise self._origin.unexpected(f'The answer cannot be read ({error!r})', body=str(chunk)) from error

    def _fold(self, chunk: Json) -> Iterable[ModelResponseStreamEvent]:
        if self.provider_response_id is None:
            self._begin(chunk)
        choices = chunk.get('choices')
        if choices:
            self._has_begun = True
            yield from self._take_choice(choices[0])
        self._take_rest(chunk)
        if chunk.get('error'):
            yield from self._take_error(chunk['error'])

    def take_whole(self, completion: Json) -> ModelResponse:
        """Read a whole answer: as a stream of one chunk.

        Raises:
            ModelHTTPError: It tells of an error that has a status.
            ModelAPIError: It tells of another error.
            UnexpectedModelBehavior: It is no answer.
        """
        if not completion.get('choices') and not completion.get('error'):
            raise self._origin.unexpected('The answer has no choices', body=str(completion))
        for chunk in (completion, None):
            for _ in self._take(chunk):
                pass
        for _ in self._end():
            pass
        self._parts_manager.handle_end()
        return self.get()

    def _begin(self, chunk: Json) -> None:
        """Note what the first chunk says of the answer."""
        self.provider_response_id = chunk.get('id') or None
        self._told_model_name = chunk.get('model') or self._told_model_name
        created = _read_time(chunk.get('created'))
        if created is not None:
            self._details['timestamp'] = self._timestamp = created

    def _take_choice(self, choice: Json) -> Iterable[ModelResponseStreamEvent]:
        if choice.get('index'):
            return  # another answer, which nobody has asked for
        message = choice.get('message')
        piece = choice.get('delta') if message is None else message
        if piece:
            yield from self._reader.read(piece, is_whole=message is not None)
            if piece.get('annotations'):
                self._details.setdefault('annotations', []).extend(piece['annotations'])
        logprobs = choice.get('logprobs')
        if logprobs and logprobs.get('content'):
            self._details.setdefault('logprobs', []).extend(logprobs['content'])
        if choice.get('finish_reason'):
            self._finish(choice)
        if choice.get('error'):
            yield from self._take_error(choice['error'])

    def _finish(self, choice: Json) -> None:
        """Note why the model stopped."""
        said = choice['finish_reason']
        self._is_complete = True
        self._details['finish_reason'] = said
        self.finish_reason = _FINISH_REASONS.get(said)
        for name in ('native_finish_reason', 'content_filter_results'):
            if choice.get(name):
                self._details[name] = choice[name]

    def _take_rest(self, chunk: Json) -> None:
        """Note what stands beside the choices."""
        if chunk.get('model') and not self._told_model_name:
            self._told_model_name = chunk['model']
        for name, key in _TOLD.items():
            if chunk.get(name):
                self._details[key] = chunk[name]
        told = find_usage(chunk)
        if told is None:
            return
        self._usage = read_usage(told)
        self._is_complete |= not chunk.get('choices')
        if told.get('cost') is not None:
            self._details['cost'] = told['cost']

    def _take_error(self, told: Any) -> Iterable[ModelResponseStreamEvent]:
        """Take an error; calls that do not fit are calls all the same.

        Raises:
            ModelHTTPError: It has a status.
            ModelAPIError: It has none.
        """
        calls = failed_calls(error_of(told))
        if not calls:
            raise told_error(self._origin, told)
        self._is_complete = True
        self.finish_reason = 'error'
        for call in calls:
            yield from self._parts_manager.handle_part(vendor_part_id=None, part=call)

    def _end(self) -> Iterable[ModelResponseStreamEvent]:
        """What the end of the stream brings.

        Raises:
            ModelAPIError: The answer is not complete.
            UnexpectedModelBehavior: There was none.
        """
        if self._is_complete and not self._has_begun:
            raise self._origin.unexpected('The stream has ended without an answer')
        if not self._is_complete:
            raise self._origin.failure('The answer has ended before it was complete: it has no finish reason')
        yield from self._reader.end()
        if self._reader.refusal:
            self._details['refusal'] = self._reader.refusal
            self.finish_reason = 'content_filter'


def _read_time(seconds: Any) -> datetime | None:
    """The time that a server tells; some tell none, or nonsense."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC) if seconds else None
    except (OverflowError, OSError, TypeError, ValueError):
        return None
