"""What Google counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.genai.types import GenerateContentResponseUsageMetadata

    from plait_agent.usage import RequestUsage

_COUNTS = {
    'cached_content_tokens': 'cached_content_token_count',
    'thoughts_tokens': 'thoughts_token_count',
    'tool_use_prompt_tokens': 'tool_use_prompt_token_count',
}
_MODALITIES = {
    'prompt_tokens': 'prompt_tokens_details',
    'cache_tokens': 'cache_tokens_details',
    'candidates_tokens': 'candidates_tokens_details',
    'tool_use_prompt_tokens': 'tool_use_prompt_tokens_details',
}


def count(usage: RequestUsage, told: GenerateContentResponseUsageMetadata) -> None:
    """Write what Google has counted so far over a usage.

    Google counts the results of built-in tools beside the prompt, and thoughts beside the answer; each pair is one
    number here, as it is for other providers and on the bill.
    """
    usage.input_tokens = (told.prompt_token_count or 0) + (told.tool_use_prompt_token_count or 0)
    usage.output_tokens = (told.candidates_token_count or 0) + (told.thoughts_token_count or 0)
    usage.cache_read_tokens = told.cached_content_token_count or 0
    details = {name: number for name, source in _COUNTS.items() if (number := getattr(told, source, None))}
    for name, source in _MODALITIES.items():
        for modality, number in _by_modality(getattr(told, source, None)):
            details[f'{modality}_{name}'] = details.get(f'{modality}_{name}', 0) + number
    usage.details = details
    usage.input_audio_tokens = details.get('audio_prompt_tokens', 0) + details.get('audio_tool_use_prompt_tokens', 0)
    usage.cache_audio_read_tokens = details.get('audio_cache_tokens', 0)
    usage.output_audio_tokens = details.get('audio_candidates_tokens', 0)


def _by_modality(details: list[Any] | None) -> list[tuple[str, int]]:
    return [
        (str(getattr(each.modality, 'value', each.modality)).lower(), each.token_count)
        for each in details or ()
        if each.modality and each.token_count
    ]
