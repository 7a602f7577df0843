"""A model that is asked once, and whose answers are then in a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from plait_agent.exceptions import UserError
from plait_agent.models import Model, ModelRequestParameters, StreamedResponse, infer_model
from plait_agent.models._recording import Json, describe_request, describe_response, restore_response
from plait_agent.models._recording_file import RecordingFile, readable_lines
from plait_agent.models._replay import ReplayedStreamedResponse

if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType

    from plait_agent._run_context import RunContext
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import KnownModelName
    from plait_agent.profiles import ModelProfile
    from plait_agent.settings import ModelSettings

__all__ = 'RecordedModel', 'RecordingMismatch', 'RecordingMode'

RecordingMode: TypeAlias = Literal['replay', 'record', 'auto']
"""Whether answers come from the file, from the model, or from the model if the file has none."""


class RecordingMismatch(UserError):
    """Raised when a recording has no answer to a request; shows how the nearest recorded request differs."""


@dataclass(init=False, eq=False)
class RecordedModel(Model):
    """Asks a model once, keeps its answers in a file, and gives them again from there, streamed or not.

    A request is known by what the model sees of it; times, ids of runs and calls, time-outs and whatever is secret
    neither count nor are they written. The same request may be recorded several times: its answers then come in turn.
    The file has a line of JSON for each exchange, and belongs beside the tests that use it.

    Args:
        wrapped: The model, or its name; with `None` there is only the file.
        path: The file.
        mode: `'replay'` never asks the model, `'record'` always does and begins the file anew, `'auto'` asks it what
            the file does not know.
        match: Gives what has to be the same of two requests, from the JSON of a request with `messages`, `settings` and
            `parameters`; with the default that is all of it.

    Raises:
        UserError: There is no model to record, or the file cannot be read.
    """

    wrapped: Model | None
    path: Path
    mode: RecordingMode
    _match: Callable[[Json], Any] = field(repr=False)

    def __init__(
        self,
        wrapped: Model | KnownModelName | str | None,
        path: str | PathLike[str],
        *,
        mode: RecordingMode = 'replay',
        match: Callable[[Json], Any] | None = None,
    ):
        super().__init__()
        if mode not in ('replay', 'record', 'auto'):
            raise UserError(f"RecordedModel has mode={mode!r}. Give 'replay', 'record' or 'auto'.")
        if wrapped is None and mode != 'replay':
            raise UserError(f'RecordedModel has mode={mode!r} and no model. Give the model that is to be recorded.')
        self.wrapped = None if wrapped is None else infer_model(wrapped)
        self.path = Path(path)
        self.mode = mode
        self._match = match or (lambda request: request)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Give the recorded answer, or ask the model and record what it says.

        Raises:
            RecordingMismatch: There is no answer, and the model may not be asked.
        """
        request = describe_request(messages, model_settings, model_request_parameters)
        known = self._find(request)
        if known is not None:
            return restore_response(known)
        response = await self._model_for(request).request(messages, model_settings, model_request_parameters)
        self._record(request, response)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Tell the recorded answer word by word, or ask the model for a stream and record what it says.

        A stream that is left early, and not with an error, is read to its end for the recording.

        Raises:
            RecordingMismatch: There is no answer, and the model may not be asked.
        """
        request = describe_request(messages, model_settings, model_request_parameters)
        known = self._find(request)
        if known is not None:
            _, parameters = self.prepare_request(model_settings, model_request_parameters)
            async with ReplayedStreamedResponse(parameters, restore_response(known)) as replayed:
                yield replayed
            return
        model = self._model_for(request)
        async with model.request_stream(messages, model_settings, model_request_parameters, run_context) as stream:
            yield stream
            async for _ in stream:
                pass
            self._record(request, stream.get())

    def _find(self, request: Json) -> Json | None:
        """The recorded answer, unless all is to be asked anew."""
        return None if self.mode == 'record' else self._file.find(request)

    def _model_for(self, request: Json) -> Model:
        """The model, if it may be asked."""
        if self.wrapped is None or self.mode == 'replay':
            raise RecordingMismatch(_tell_difference(self._file, request))
        return self.wrapped

    def _record(self, request: Json, response: ModelResponse) -> None:
        if not self._file.model:
            self._file.begin({'model_name': self.model_name, 'system': self.system, 'profile': self._plain_profile()})
        self._file.add(request, describe_response(response))

    @cached_property
    def _file(self) -> RecordingFile:
        file = RecordingFile(self.path, self._match)
        if self.mode != 'record':
            file.load()
        return file

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Let the model prepare; without one, do what its recorded profile says."""
        prepare = super().prepare_request if self.wrapped is None else self.wrapped.prepare_request
        return prepare(model_settings, model_request_parameters)

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """All of them: the model behind the recording knows better."""
        from plait_agent.builtin_tools import SUPPORTED_BUILTIN_TOOLS

        return SUPPORTED_BUILTIN_TOOLS

    @property
    def model_name(self) -> str:
        """The name of the model that is, or was, recorded."""
        return self._file.model.get('model_name', 'recorded') if self.wrapped is None else self.wrapped.model_name

    @property
    def system(self) -> str:
        """Its provider."""
        return self._file.model.get('system', 'recorded') if self.wrapped is None else self.wrapped.system

    @property
    def base_url(self) -> str | None:
        """Where its provider is, if there is a model."""
        return None if self.wrapped is None else self.wrapped.base_url

    @property
    def settings(self) -> ModelSettings | None:
        """Its settings, if there is a model."""
        return None if self.wrapped is None else self.wrapped.settings

    @property
    def profile(self) -> ModelProfile:
        """What it can do, as far as that can be written down."""
        return self._recorded_profile if self.wrapped is None else self.wrapped.profile

    @property
    def output_profile(self) -> ModelProfile:
        """What a run may count on."""
        return self._recorded_profile if self.wrapped is None else self.wrapped.output_profile

    def output_profile_beside(self, builtin_tools: Sequence[AbstractBuiltinTool]) -> ModelProfile:
        """What a run may count on in a request with built-in tools."""
        return self.output_profile if self.wrapped is None else self.wrapped.output_profile_beside(builtin_tools)

    @cached_property
    def _recorded_profile(self) -> ModelProfile:
        from plait_agent.profiles import ModelProfile

        return ModelProfile(**self._file.model.get('profile', {}))

    def _plain_profile(self) -> Json:
        """What the profile says in words and yes or no, where that is not the default."""
        from plait_agent.profiles import DEFAULT_PROFILE

        profile = self.output_profile
        values = {each.name: getattr(profile, each.name) for each in fields(DEFAULT_PROFILE)}
        return {
            name: value
            for name, value in values.items()
            if isinstance(value, bool | str) and value != getattr(DEFAULT_PROFILE, name)
        }

    async def __aenter__(self) -> Self:
        if self.wrapped is not None:
            await self.wrapped.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return None if self.wrapped is None else await self.wrapped.__aexit__(exc_type, exc, traceback)


def _tell_difference(file: RecordingFile, request: Json) -> str:
    """What is asked, beside what was recorded."""
    remedy = "To record it, give the model and mode='auto' or mode='record'."
    if not file.exchanges:
        return f'Nothing is recorded in {file.path}. {remedy}'
    from difflib import unified_diff

    place = file.find_nearest(request)
    nearest = readable_lines(file.exchanges[place].request)
    names = f'recorded, line {place + 2} of {file.path.name}', 'asked'
    difference = '\n'.join(unified_diff(nearest, readable_lines(request), *names, lineterm=''))
    return (
        f'The recording {file.path} has no answer to this request. The most similar one that it has differs so:\n\n'
        f'{difference}\n\nAsk as it was recorded, or say with match=... what has to be the same. {remedy}'
    )
