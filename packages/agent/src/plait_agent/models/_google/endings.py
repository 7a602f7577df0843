"""Why an answer has ended, and what else Google tells about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.genai.types import Candidate, GenerateContentResponse
    from pydantic import BaseModel

    from plait_agent.messages import FinishReason

_FINISH_REASONS: dict[str, FinishReason] = {
    'STOP': 'stop',
    'MAX_TOKENS': 'length',
    'CONTINUATION': 'length',
    'SAFETY': 'content_filter',
    'RECITATION': 'content_filter',
    'BLOCKLIST': 'content_filter',
    'PROHIBITED_CONTENT': 'content_filter',
    'SPII': 'content_filter',
    'IMAGE_SAFETY': 'content_filter',
    'IMAGE_PROHIBITED_CONTENT': 'content_filter',
    'IMAGE_RECITATION': 'content_filter',
    'ESCALATION': 'content_filter',
    'MODEL_ARMOR': 'content_filter',
    'LANGUAGE': 'error',
    'MALFORMED_FUNCTION_CALL': 'error',
    'MALFORMED_RESPONSE': 'error',
    'UNEXPECTED_TOOL_CALL': 'error',
    'TOO_MANY_TOOL_CALLS': 'error',
    'MISSING_THOUGHT_SIGNATURE': 'error',
    'NO_IMAGE': 'error',
    'IMAGE_OTHER': 'error',
    'PUP_LIMITED_DISABLED': 'error',
}
"""What Google's words mean; others say nothing that we know."""
_OF_TOKENS = 'chosen_candidates', 'top_candidates'
"""What is told of each token."""


def finish_reason_of(word: str) -> FinishReason | None:
    """What a word of Google means for a run."""
    return _FINISH_REASONS.get(word)


def word(value: Any) -> str:
    """The word that a member of one of Google's enumerations stands for."""
    return str(getattr(value, 'value', value))


def plain(model: BaseModel) -> dict[str, Any]:
    """A record of Google's library as plain data, by the names that it has there, without what is not said."""
    return model.model_dump(mode='json', exclude_none=True)


def details_of_candidate(candidate: Candidate) -> dict[str, Any]:
    """What Google tells about an answer beside its parts."""
    details: dict[str, Any] = {}
    if candidate.finish_reason:
        details['finish_reason'] = word(candidate.finish_reason)
    if candidate.finish_message:
        details['finish_message'] = candidate.finish_message
    if candidate.safety_ratings:
        details['safety_ratings'] = [
            rating.model_dump(mode='json', by_alias=True) for rating in candidate.safety_ratings
        ]
    if candidate.logprobs_result:
        details['logprobs'] = candidate.logprobs_result.model_dump(mode='json')
        details['avg_logprobs'] = candidate.avg_logprobs
    if candidate.citation_metadata and candidate.citation_metadata.citations:
        details['citations'] = [plain(each) for each in candidate.citation_metadata.citations]
    grounding = plain(candidate.grounding_metadata) if candidate.grounding_metadata else None
    if grounding:
        details['grounding_metadata'] = grounding
    return details


def with_earlier(details: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    """What a chunk tells beside its parts, with what was told before; each has the probabilities of its own tokens."""
    logprobs = details.get('logprobs')
    if logprobs is None or 'logprobs' not in earlier:
        return earlier | details
    before = earlier['logprobs']
    joined = {name: [*(before[name] or ()), *(logprobs[name] or ())] or None for name in _OF_TOKENS}
    return earlier | details | {'logprobs': logprobs | joined}


def details_of_response(response: GenerateContentResponse) -> dict[str, Any]:
    """What Google tells about a request beside the answer: above all whether its prompt was blocked."""
    details: dict[str, Any] = {}
    feedback = response.prompt_feedback
    if feedback and feedback.block_reason:
        reason = word(feedback.block_reason)
        details |= {'finish_reason': f'blocked:{reason}', 'block_reason': reason}
        if feedback.block_reason_message:
            details['block_reason_message'] = feedback.block_reason_message
        if feedback.safety_ratings:
            ratings = [rating.model_dump(mode='json', by_alias=True) for rating in feedback.safety_ratings]
            details['safety_ratings'] = ratings
    usage = response.usage_metadata
    if usage and usage.traffic_type:
        details['traffic_type'] = word(usage.traffic_type)
    return details
