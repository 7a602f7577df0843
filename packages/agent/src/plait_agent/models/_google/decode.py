"""What an answer of Google says.

A fold that awaits nothing: a streamed answer is taken chunk by chunk, and one that came whole is a single chunk, so
that both are read the same way.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plait_agent._parts_manager import ModelResponsePartsManager
from plait_agent._stamps import generate_tool_call_id, now_utc
from plait_agent.messages import (
    BinaryContent,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    ModelResponse,
    ModelResponseStreamEvent,
)
from plait_agent.models._google.endings import (
    details_of_candidate,
    details_of_response,
    finish_reason_of,
    plain,
    with_earlier,
    word,
)
from plait_agent.models._google.grounding import findings
from plait_agent.models._google.partial_call import PartialCall
from plait_agent.models._google.tool_types import tool_name_of
from plait_agent.models._google.usage import count
from plait_agent.usage import RequestUsage

if TYPE_CHECKING:
    from datetime import datetime

    from google.genai.types import (
        Candidate,
        FunctionCall,
        GenerateContentResponse,
        GroundingMetadata,
        Part,
        ToolCall,
        ToolResponse,
        UrlContextMetadata,
    )

    from plait_agent.messages import FinishReason, ModelResponsePart
    from plait_agent.models._origin import Origin

SIGNATURE = 'thought_signature'
"""Where the details of a part keep the signature that Google wants back with it."""
TOOL_TYPE = 'tool_type'
"""Where the details of a built-in call keep what Google calls the tool, if the call was a part of the answer."""


def decode(response: GenerateContentResponse, origin: Origin) -> ModelResponse:
    """Read an answer that came whole.

    Raises:
        UnexpectedModelBehavior: It is none.
    """
    if not response.candidates and not response.prompt_feedback:
        raise origin.unexpected('The answer has no candidate, and no reason why it has none')
    parts, usage = ModelResponsePartsManager(), RequestUsage()
    answer = Answer(parts, usage, origin.provider_name)
    answer.take(response)
    answer.finish()
    return ModelResponse(
        answer.parts,
        usage=usage,
        model_name=answer.model_name or origin.model_name,
        timestamp=answer.timestamp or now_utc(),
        provider_name=origin.provider_name,
        provider_url=origin.provider_url,
        provider_details=answer.details or None,
        provider_response_id=answer.response_id,
        finish_reason=answer.finish_reason,
    )


class Answer:
    """One answer, as far as it has come.

    Args:
        parts: Takes its parts.
        usage: Takes what was counted.
        provider_name: Whose it is.
    """

    def __init__(self, parts: ModelResponsePartsManager, usage: RequestUsage, provider_name: str):
        self.model_name: str | None = None
        """The model that answers."""
        self.response_id: str | None = None
        """What Google calls the answer."""
        self.timestamp: datetime | None = None
        """When Google says that it was made."""
        self.details: dict[str, Any] = {}
        """What else Google has told."""
        self.finish_reason: FinishReason | None = None
        """Why it has ended."""
        self.provider_name = provider_name
        self._parts = parts
        self._usage = usage
        self._piece = 0
        """The text or thought that is being told. It ends with its signature, or where something else begins."""
        self._is_thought = False
        """Whether it is a thought."""
        self._partial: PartialCall | None = None
        """The call whose arguments are being told."""
        self._code_call_id: str | None = None
        """The code whose result has not come."""
        self._told: set[str] = set()
        """The built-in tools that the answer tells of itself."""
        self._found = 0
        """How many parts come from notes beside the answer."""
        self._grounding: GroundingMetadata | None = None
        self._urls: UrlContextMetadata | None = None

    @property
    def parts(self) -> list[ModelResponsePart]:
        """The parts. What notes tell of built-in tools is known last and stands first: the text rests on it."""
        parts = self._parts.get_parts()
        place = len(parts) - self._found
        return [*parts[place:], *parts[:place]]

    @property
    def is_complete(self) -> bool:
        """Whether Google has said why it has ended."""
        return 'finish_reason' in self.details

    def take(self, response: GenerateContentResponse) -> Sequence[ModelResponseStreamEvent]:
        """Take a chunk, and tell what it brings."""
        self.model_name = response.model_version or self.model_name
        self.response_id = response.response_id or self.response_id
        if self.timestamp is None and response.create_time is not None:
            self.details['timestamp'] = self.timestamp = response.create_time
        if response.usage_metadata is not None:
            count(self._usage, response.usage_metadata)
        self.details |= details_of_response(response)
        if 'block_reason' in self.details:
            self.finish_reason = 'content_filter'
        # More than one candidate is nothing that can be asked for by our settings.
        candidate = next((each for each in response.candidates or () if not each.index), None)
        return () if candidate is None else self._take_candidate(candidate)

    def finish(self) -> Sequence[ModelResponseStreamEvent]:
        """Tell what the notes beside the answer say of built-in tools; nothing comes after this."""
        found = [
            part
            for finding in findings(self._grounding, self._urls)
            if finding.tool_name not in self._told
            for part in finding.parts(self.provider_name)
        ]
        self._found = len(found)
        return [event for part in found for event in self._parts.handle_part(vendor_part_id=None, part=part)]

    def _take_candidate(self, candidate: Candidate) -> Sequence[ModelResponseStreamEvent]:
        self.details = with_earlier(details_of_candidate(candidate), self.details)
        if candidate.finish_reason:
            self.finish_reason = finish_reason_of(word(candidate.finish_reason))
        self._grounding = candidate.grounding_metadata or self._grounding
        self._urls = candidate.url_context_metadata or self._urls
        parts = candidate.content.parts if candidate.content else None
        if not parts:
            return ()
        if len(parts) == 1:
            return self._take_part(parts[0])
        return [event for part in parts for event in self._take_part(part)]

    def _take_part(self, part: Part) -> Sequence[ModelResponseStreamEvent]:
        signature = part.thought_signature
        details = {SIGNATURE: b2a_base64(signature, newline=False).decode()} if signature else None
        if part.text is not None:
            return self._take_text(part.text, details, is_thought=bool(part.thought))
        if part.thought:
            # A picture that the model has made while it thought is no result; its signature is wanted back.
            return self._take_text('', details, is_thought=True)
        if part.function_call is not None:
            return self._take_call(part.function_call, details)
        taken = self._made(part, details)
        if taken is None:
            return self._take_text('', details, is_thought=False) if details else ()
        self._piece += 1
        return self._parts.handle_part(vendor_part_id=None, part=taken)

    def _take_call(self, said: FunctionCall, details: dict[str, Any] | None) -> Sequence[ModelResponseStreamEvent]:
        """Take a call, or more of one; it is told when it is whole."""
        call = self._partial
        if said.name:
            self._piece += 1
            call = self._partial = PartialCall(said.name, said.id, details)
            call.args = said.args
        if call is None:
            return ()
        for arg in said.partial_args or ():
            call.take(arg)
        if said.will_continue:
            return ()
        self._partial = None
        return self._parts.handle_tool_call_part(
            vendor_part_id=None,
            tool_name=call.tool_name,
            args=call.args,
            tool_call_id=call.call_id,
            provider_details=call.details,
        )

    def _take_text(
        self, text: str, details: dict[str, Any] | None, *, is_thought: bool
    ) -> Sequence[ModelResponseStreamEvent]:
        if not text and details is None:
            return ()
        if is_thought != self._is_thought:
            self._is_thought = is_thought
            self._piece += 1
        key = self._piece
        if details is not None:
            self._piece += 1
        if is_thought:
            return self._parts.handle_thinking_delta(
                vendor_part_id=key, content=text, provider_name=self.provider_name, provider_details=details
            )
        return self._parts.handle_text_delta(vendor_part_id=key, content=text, provider_details=details)

    def _made(self, part: Part, details: dict[str, Any] | None) -> ModelResponsePart | None:
        """A part that comes whole; nothing for one of a kind that is not known."""
        blob = part.inline_data
        if blob is not None and blob.data is not None:
            content = BinaryContent(blob.data, media_type=blob.mime_type or 'application/octet-stream')
            return FilePart(
                BinaryContent.narrow_type(content), provider_name=self.provider_name, provider_details=details
            )
        if part.executable_code is not None:
            args = plain(part.executable_code)
            self._code_call_id = part.executable_code.id or generate_tool_call_id()
            return self._call('code_execution', args, self._code_call_id, details)
        if part.code_execution_result is not None:
            call_id = part.code_execution_result.id or self._code_call_id
            return self._return('code_execution', plain(part.code_execution_result), call_id, details)
        if part.tool_call is not None:
            return self._call(*self._told_of(part.tool_call, part.tool_call.args or {}, details))
        if part.tool_response is not None:
            return self._return(*self._told_of(part.tool_response, part.tool_response.response or {}, details))
        return None

    def _told_of(
        self, said: ToolCall | ToolResponse, content: dict[str, Any], details: dict[str, Any] | None
    ) -> tuple[str, dict[str, Any], str, dict[str, Any]]:
        tool_type = word(said.tool_type) if said.tool_type else 'TOOL_TYPE_UNSPECIFIED'
        tool_name = tool_name_of(tool_type)
        self._told.add(tool_name)
        return tool_name, content, said.id or generate_tool_call_id(), {**(details or {}), TOOL_TYPE: tool_type}

    def _call(
        self, tool_name: str, args: dict[str, Any], call_id: str, details: dict[str, Any] | None
    ) -> BuiltinToolCallPart:
        return BuiltinToolCallPart(tool_name, args, call_id, provider_name=self.provider_name, provider_details=details)

    def _return(
        self, tool_name: str, content: dict[str, Any], call_id: str | None, details: dict[str, Any] | None
    ) -> BuiltinToolReturnPart:
        return BuiltinToolReturnPart(
            tool_name,
            content,
            call_id or generate_tool_call_id(),
            provider_name=self.provider_name,
            provider_details=details,
        )
