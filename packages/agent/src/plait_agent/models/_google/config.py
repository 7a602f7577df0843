"""Settings and the form of the answer as options of Google's library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

from plait_agent.exceptions import UserError
from plait_agent.models._google.tools import image_options, tool_options

if TYPE_CHECKING:
    from plait_agent.models import ModelRequestParameters
    from plait_agent.profiles.google import GoogleModelProfile
    from plait_agent.settings import ModelSettings

Json: TypeAlias = dict[str, Any]

_OPTIONS = {
    'max_tokens': 'max_output_tokens',
    'temperature': 'temperature',
    'top_p': 'top_p',
    'stop_sequences': 'stop_sequences',
    'presence_penalty': 'presence_penalty',
    'frequency_penalty': 'frequency_penalty',
    'seed': 'seed',
    'google_thinking_config': 'thinking_config',
    'google_safety_settings': 'safety_settings',
    'google_labels': 'labels',
    'google_video_resolution': 'media_resolution',
    'google_cached_content': 'cached_content',
    'google_logprobs': 'response_logprobs',
    'google_top_logprobs': 'logprobs',
}
"""What the library calls our settings."""


def make_options(
    settings: ModelSettings | None,
    parameters: ModelRequestParameters,
    profile: GoogleModelProfile,
    system: list[Json],
    *,
    is_vertex: bool,
) -> Json:
    """Say all that a request says beside its contents.

    Raises:
        UserError: The model does not take it.
    """
    said = cast('Json', settings or {})
    options: Json = {name: said[key] for key, name in _OPTIONS.items() if said.get(key) is not None}
    options['response_modalities'] = _modalities(parameters, profile)
    options |= _output(parameters, profile)
    options |= image_options(parameters, profile, is_vertex=is_vertex)
    if 'cached_content' not in options:
        # What was cached has them in it, and Google refuses them beside it.
        options |= tool_options(settings, parameters, profile, is_vertex=is_vertex)
        if system:
            options['system_instruction'] = {'role': 'user', 'parts': system}
    # Tools are run by the run, and never by the library.
    options['automatic_function_calling'] = {'disable': True}
    return options


def http_options(settings: ModelSettings | None, body: Json) -> Json:
    """How a request is sent, and what its body says beside what the library writes.

    Raises:
        UserError: The time-out is none that the library takes.
    """
    said = cast('Json', settings or {})
    extra: Any = said.get('extra_body') or {}
    if not isinstance(extra, dict):
        raise UserError(f'The extra_body of model settings is {extra!r}. Give a dictionary of JSON for Google.')
    options: Json = {'extra_body': body | extra}
    if said.get('extra_headers'):
        options['headers'] = dict(said['extra_headers'])
    timeout = said.get('timeout')
    if timeout is None:
        return options
    if not isinstance(timeout, (int, float)):
        raise UserError(
            'Google does not support setting ModelSettings.timeout to a httpx.Timeout. Give a number of seconds.'
        )
    return options | {'timeout': max(1, round(timeout * 1000))}


def _modalities(parameters: ModelRequestParameters, profile: GoogleModelProfile) -> list[str]:
    """What the answer may consist of."""
    if not profile.supports_image_output:
        return ['TEXT']
    wants_image_only = parameters.allow_image_output and not parameters.allow_text_output
    return ['IMAGE'] if wants_image_only else ['TEXT', 'IMAGE']


def _output(parameters: ModelRequestParameters, profile: GoogleModelProfile) -> Json:
    """The form of the answer."""
    output = parameters.output_object
    if parameters.output_mode == 'native' and output is not None:
        schema = dict(output.json_schema)
        if output.name:
            schema['title'] = output.name
        if output.description:
            schema['description'] = output.description
        return {'response_mime_type': 'application/json', 'response_json_schema': schema}
    has_tools = parameters.function_tools or parameters.builtin_tools
    if parameters.output_mode == 'prompted' and profile.supports_json_object_output and not has_tools:
        return {'response_mime_type': 'application/json'}
    return {}
