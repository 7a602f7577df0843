"""What a piece of a message brings. A message that comes whole is read as one piece, so both give the same parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from plait_agent.messages import BinaryContent, FilePart, ModelResponsePart, ModelResponseStreamEvent
from plait_agent.models._openai_chat.executed_tools import ExecutedTools

if TYPE_CHECKING:
    from plait_agent._parts_manager import ModelResponsePartsManager
    from plait_agent.profiles.openai import OpenAIModelProfile

Json = Mapping[str, Any]
Events = Iterator[ModelResponseStreamEvent]

THINKING_FIELDS = 'reasoning', 'reasoning_content'
"""Where servers put thoughts; some put them in both."""
_RARE = frozenset(('audio', 'function_call', 'images', 'refusal'))
_DETAIL_CONTENT = frozenset(('text', 'summary', 'data', 'signature', 'id'))
"""What of a detail of thoughts becomes a field of the part; the rest is kept as it is."""


class _OpenCall(NamedTuple):
    """A call that is being told."""

    key: tuple[str, int]
    id: str | None
    name: str


class DeltaReader:
    """Reads the pieces of one message.

    Args:
        manager: Takes the parts.
        profile: What is known of the model.
        provider_name: Whose thoughts these are.
    """

    def __init__(self, manager: ModelResponsePartsManager, profile: OpenAIModelProfile, provider_name: str):
        self._manager = manager
        self._tags = profile.thinking_tags
        self._ignore_whitespace = profile.ignore_streamed_leading_whitespace
        self._thinking_fields = tuple(dict.fromkeys((profile.openai_chat_thinking_field, *THINKING_FIELDS)))
        self._provider_name = provider_name
        self._calls: dict[int | None, _OpenCall] = {}
        self._calls_begun = 0
        self._details: set[object] = set()
        self._section: tuple[str, int] = 'text', 0
        """The kind of the last content, and how often kinds have changed."""
        self._audio: dict[str, Any] = {}
        self._executed = ExecutedTools(manager, provider_name)
        self._refusal: list[str] = []

    @property
    def refusal(self) -> str:
        """In which words the model has refused to answer, if it has."""
        return ''.join(self._refusal)

    def read(self, piece: Json, *, is_whole: bool = False) -> Events:
        """Tell what a piece brings."""
        yield from self._thoughts(piece)
        executed = piece.get('executed_tools')
        if executed:
            yield from self._executed.read(executed)
        content = piece.get('content')
        if content:
            yield from self._text(content) if isinstance(content, str) else self._content_chunks(content)
        calls = piece.get('tool_calls')
        if calls:
            for position, call in enumerate(calls):
                yield from self._call(position if is_whole else call.get('index'), call)
        if not _RARE.isdisjoint(piece):
            yield from self._rare(piece)

    def end(self) -> Events:
        """Tell what could only be told now: a recording, whose pieces are no files."""
        if self._audio.get('data'):
            yield from self._manager.handle_part(vendor_part_id='audio', part=self._recording())

    # Thoughts

    def _thoughts(self, piece: Json) -> Events:
        details: Sequence[Json] = piece.get('reasoning_details') or ()
        kinds: dict[object, int] = {}
        for detail in details:
            place = detail.get('type'), detail.get('index')
            kinds[place] = number = kinds.get(place, 0) + 1
            yield from self._detail((*place, number), detail)
        if any(_content_of(detail) for detail in details):
            return
        for name in self._thinking_fields:
            thought = piece.get(name) if name is not None else None
            if thought and isinstance(thought, str):
                yield from self._manager.handle_thinking_delta(
                    vendor_part_id=('thoughts', name), content=thought, id=name, provider_name=self._provider_name
                )
                return

    def _detail(self, key: object, detail: Json) -> Events:
        """Take a detail of OpenRouter's thoughts, of which the provider that thought them wants all back."""
        is_known = key in self._details
        self._details.add(key)
        rest = None if is_known else {name: value for name, value in detail.items() if _is_kept(name, value)}
        yield from self._manager.handle_thinking_delta(
            vendor_part_id=key,
            content=_content_of(detail),
            id=detail.get('id'),
            signature=detail.get('signature') or detail.get('data'),
            provider_name=self._provider_name,
            provider_details=rest,
        )

    # Content

    def _section_of(self, kind: str) -> tuple[str, int]:
        """What content of a kind belongs to: to that before it, if it is of the same kind."""
        if kind != self._section[0]:
            self._section = kind, self._section[1] + 1
        return self._section

    def _text(self, text: str) -> Events:
        yield from self._manager.handle_text_delta(
            vendor_part_id=self._section_of('text'),
            content=text,
            thinking_tags=self._tags,
            ignore_leading_whitespace=self._ignore_whitespace,
        )

    def _content_chunks(self, chunks: Iterable[Json]) -> Events:
        """Take content that is a list, as Mistral writes it where there are thoughts."""
        for chunk in chunks:
            kind = chunk.get('type')
            if kind == 'text':
                yield from self._text(chunk.get('text') or '')
            elif kind == 'thinking':
                yield from self._manager.handle_thinking_delta(
                    vendor_part_id=self._section_of(kind),
                    content=_joined(chunk.get('thinking')),
                    signature=chunk.get('signature'),
                    provider_name=self._provider_name,
                )
            # References and the like are no answer.

    # Calls

    def _call(self, place: int | None, call: Json) -> Events:
        known = self._calls.get(place)
        is_custom = call.get('type') == 'custom'
        said: Json = call.get('custom' if is_custom else 'function') or {}
        name: str | None = said.get('name') or None
        if known is None or _is_another(known, place, call.get('id'), name):
            self._calls_begun += 1
            known = _OpenCall(('call', self._calls_begun), None, '')
        if name is not None and name == known.name:
            name = None  # some servers tell it again with each piece
        self._calls[place] = known._replace(id=call.get('id') or known.id, name=known.name + (name or ''))
        yield from self._manager.handle_tool_call_delta(
            vendor_part_id=known.key,
            tool_name=name,
            args={'input': said.get('input')} if is_custom else said.get('arguments'),
            tool_call_id=call.get('id') or None,
            provider_details={key: call[key] for key in ('extra_content',) if call.get(key)}
            | ({'type': 'custom'} if is_custom else {})
            or None,
        )

    # What few messages have

    def _rare(self, piece: Json) -> Events:
        if piece.get('refusal'):
            self._refusal.append(piece['refusal'])
        if piece.get('function_call'):
            # What calls were before there could be several.
            yield from self._call(-1, {'function': piece['function_call']})
        for number, image in enumerate(piece.get('images') or ()):
            part = self._image(image)
            if part is not None:
                yield from self._manager.handle_part(vendor_part_id=('image', image.get('index', number)), part=part)
        if piece.get('audio'):
            yield from self._sound(piece['audio'])

    def _image(self, image: Json) -> ModelResponsePart | None:
        said: Json = image.get('image_url') or {}
        url: str = said.get('url') or ''
        if not url.startswith('data:'):
            return None
        return FilePart(BinaryContent.from_data_uri(url), provider_name=self._provider_name)

    def _sound(self, audio: Json) -> Events:
        data: str = self._audio.get('data', '') + (audio.get('data') or '')
        self._audio |= {name: value for name, value in audio.items() if value is not None} | {'data': data}
        if audio.get('transcript'):
            yield from self._manager.handle_text_delta(vendor_part_id='transcript', content=audio['transcript'])

    def _recording(self) -> ModelResponsePart:
        from base64 import b64decode

        return FilePart(
            BinaryContent(b64decode(self._audio['data']), media_type='audio/wav'),
            id=self._audio.get('id'),
            provider_name=self._provider_name,
        )


def _is_another(known: _OpenCall, place: int | None, call_id: str | None, name: str | None) -> bool:
    """Whether a call is another one than that which was told at the same place. Some servers number none, or all 0."""
    if name is None:
        return False
    return place is None or bool(call_id and known.id and call_id != known.id)


def _is_kept(name: str, value: object) -> bool:
    """Whether a field of a detail has to be kept beside the part; what is told to be nothing is wanted back too."""
    return name not in _DETAIL_CONTENT or value is None


def _content_of(detail: Json) -> str | None:
    return detail.get('text') or detail.get('summary')


def _joined(chunks: Any) -> str:
    """The text of the chunks that a thought consists of."""
    if isinstance(chunks, str):
        return chunks
    return ''.join(chunk.get('text') or '' for chunk in cast('Sequence[Json]', chunks or ()))
