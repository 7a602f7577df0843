"""What an agent and its runs are told, looked at before it is used: a mistake is named where it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from plait_agent.exceptions import UserError
from plait_agent.messages import ModelRequest, ModelResponse
from plait_agent.models import Model
from plait_agent.toolsets import AbstractToolset
from plait_agent.usage import RunUsage, UsageLimits

if TYPE_CHECKING:
    from plait_agent._output import OutputSchema

_TEXT = str, list, tuple
_MESSAGES = ModelRequest, ModelResponse


def check_numbers(retries: Any, output_retries: Any, timeout: Any) -> None:
    """The numbers of an agent."""
    for name, value in (('retries', retries), ('output_retries', output_retries)):
        if value is not None and not (isinstance(value, int) and value >= 0):
            raise UserError(f'Agent({name}={value!r}) is no number of retries. Give 0 or more.')
    if timeout is not None and not timeout > 0:
        raise UserError(f'Agent(tool_timeout={timeout!r}) leaves tools no time. Give seconds above 0.')


def check_callables(**functions: Any) -> None:
    """What is to be called."""
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise UserError(f'Agent({name}={function!r}) cannot be called. Give a function.')


def check_system_prompts(prompts: str | Sequence[str]) -> tuple[str, ...]:
    """The system prompts of an agent as a tuple."""
    given: tuple[Any, ...] = tuple(prompts) if isinstance(prompts, list | tuple) else (prompts,)
    for prompt in given:
        if not isinstance(prompt, str):
            raise UserError(
                f'The system prompt {prompt!r} is no text. Give texts, and functions with @agent.system_prompt.'
            )
    return given


def check_toolsets(toolsets: Any) -> list[Any]:
    """Toolsets as a list, which may hold functions that give one."""
    if isinstance(toolsets, AbstractToolset):
        raise UserError('`toolsets` is a toolset. Give a list of toolsets, [toolset] if it is the only one.')
    for toolset in toolsets or ():
        if not isinstance(toolset, AbstractToolset) and not callable(toolset):
            raise UserError(f'{toolset!r} is no toolset. Give toolsets, or functions of the RunContext that give one.')
    return list(toolsets or ())


def check_dialect(model: Any, schema: OutputSchema[Any]) -> None:
    """The schema of the output, if the agent has a model that takes only a part of JSON schema.

    Raises:
        UserError: The model cannot be given this schema.
    """
    if not isinstance(model, Model):
        return
    profile = model.output_profile
    if profile.json_schema_transformer is None:
        return
    from plait_agent._agent_graph.step import parameters_for

    try:
        resolved = schema.resolve(profile)
    except UserError:
        return  # the model cannot give such output at all; a run may have another model, and says so otherwise
    model.customize_request_parameters(parameters_for(resolved, {}, resolved.tool_defs, []))


def check_model(model: Any) -> Model:
    """A model that was not given by its name."""
    if not isinstance(model, Model):
        raise UserError(f"{model!r} is no model. Give a Model, or a name such as 'openai:gpt-5'.")
    return model


def check_metadata(metadata: Any) -> dict[str, Any]:
    """Notes about a run."""
    if not isinstance(metadata, Mapping):
        raise UserError(f'The metadata of a run is {metadata!r}. Give a dictionary, or a function that gives one.')
    return cast('dict[str, Any]', metadata)


def check_run(prompt: Any, options: Mapping[str, Any]) -> None:
    """What is said about one run. Of a history the ends are looked at, so that a long one costs no more."""
    if prompt is not None and not isinstance(prompt, _TEXT) and not isinstance(prompt, Sequence):
        raise UserError(f'The prompt is a {type(prompt).__name__}. Give a text, or a list of texts and media.')
    limits, usage, history = options.get('usage_limits'), options.get('usage'), options.get('message_history')
    if limits is not None and not isinstance(limits, UsageLimits):
        raise UserError(f'usage_limits is {limits!r}. Give UsageLimits, such as UsageLimits(request_limit=5).')
    if usage is not None and not isinstance(usage, RunUsage):
        raise UserError(f'usage is {usage!r}. Give the RunUsage that the run is to count into.')
    if history:
        _check_history(history)


def _check_history(history: Any) -> None:
    if not isinstance(history, Sequence):
        raise UserError(
            f'message_history is a {type(history).__name__}, and no list of messages. '
            f'Give the messages of a result: result.all_messages().'
        )
    messages = cast('Sequence[Any]', history)
    for message in (messages[0], messages[-1]):
        if not isinstance(message, _MESSAGES):
            raise UserError(
                f'message_history has a {type(message).__name__} in it, which is no message. '
                f'Load stored messages with ModelMessagesTypeAdapter.'
            )
