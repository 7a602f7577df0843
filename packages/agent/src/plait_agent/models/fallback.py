"""A model with others behind it, for when it fails."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from plait_agent.exceptions import FallbackExceptionGroup, ModelAPIError
from plait_agent.models import Model, ModelRequestParameters, StreamedResponse, infer_model
from plait_agent.models._answering import answering

if TYPE_CHECKING:
    from types import TracebackType

    from plait_agent._run_context import RunContext
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import KnownModelName
    from plait_agent.output import StructuredOutputMode
    from plait_agent.profiles import ModelProfile
    from plait_agent.settings import ModelSettings
    from plait_agent.usage import RequestUsage

__all__ = ('FallbackModel',)

_CAPABILITIES = (
    'supports_tools',
    'supports_json_schema_output',
    'supports_json_object_output',
    'supports_image_output',
)


@dataclass(init=False, eq=False)
class FallbackModel(Model):
    """Asks models in turn until one answers.

    Each goes by its own settings and profile. A stream is passed on once the model has said something in it: text,
    thinking, or the name of a tool. What fails after that fails for good. What a run makes of an answer, such as its
    validation, is no reason to ask another model.

    Args:
        default_model: The model that is asked first, or its name.
        fallback_models: Those that are asked after it, in order.
        fallback_on: The errors on which the next model is asked, as types or as a function of the error. Other errors
            pass through.
    """

    models: list[Model]
    _fallback_on: Callable[[Exception], bool] = field(repr=False)

    def __init__(
        self,
        default_model: Model | KnownModelName | str,
        *fallback_models: Model | KnownModelName | str,
        fallback_on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool] = (ModelAPIError,),
    ):
        super().__init__()
        self.models = [infer_model(model) for model in (default_model, *fallback_models)]
        self._fallback_on = _condition(fallback_on)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the models in turn.

        Raises:
            FallbackExceptionGroup: All of them have failed; it has the error of each.
        """
        failures: list[Exception] = []
        for model in self.models:
            try:
                response = await model.request(messages, model_settings, model_request_parameters)
            except Exception as error:
                if not self._fallback_on(error):
                    raise
                failures.append(error)
            else:
                answering.set(model)
                return response
        raise _all_failed(failures)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the models in turn for a stream, and give the first one that begins.

        Raises:
            FallbackExceptionGroup: All of them have failed; it has the error of each.
        """
        failures: list[Exception] = []
        for model in self.models:
            opened = model.request_stream(messages, model_settings, model_request_parameters, run_context)
            async with AsyncExitStack() as stack:
                stream = await self._begun(opened, stack, failures)
                if stream is not None:
                    answering.set(model)
                    yield stream
                    return
        raise _all_failed(failures)

    async def _begun(
        self,
        opened: AbstractAsyncContextManager[StreamedResponse],
        stack: AsyncExitStack,
        failures: list[Exception],
    ) -> StreamedResponse | None:
        """The stream, once the model has said something; nothing if it failed and the next model is to be asked."""
        try:
            stream = await stack.enter_async_context(opened)
            await stream.wait_first_content()
        except Exception as error:
            if not self._fallback_on(error):
                raise
            failures.append(error)
            return None
        return stream

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Let the first model count."""
        return await self.models[0].count_tokens(messages, model_settings, model_request_parameters)

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Leave them as they are; each model makes them fit for itself."""
        return model_request_parameters

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Leave everything as it is; each model prepares for itself."""
        return model_settings, model_request_parameters

    @property
    def model_name(self) -> str:
        """`fallback:` and the names of the models."""
        return f'fallback:{",".join(model.model_name for model in self.models)}'

    @property
    def system(self) -> str:
        """`fallback:` and their providers."""
        return f'fallback:{",".join(model.system for model in self.models)}'

    @property
    def base_url(self) -> str | None:
        """Where the provider of the first model is."""
        return self.models[0].base_url

    @property
    def profile(self) -> ModelProfile:
        """None: which model answers is not known before.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError('FallbackModel does not have its own model profile.')

    @property
    def output_profile(self) -> ModelProfile:
        """What every one of the models can do, as any of them may have to answer."""
        return self._common_profile([model.output_profile for model in self.models])

    def output_profile_beside(self, builtin_tools: Sequence[AbstractBuiltinTool]) -> ModelProfile:
        """What every one of the models can do in a request with built-in tools."""
        return self._common_profile([model.output_profile_beside(builtin_tools) for model in self.models])

    def _common_profile(self, profiles: list[ModelProfile]) -> ModelProfile:
        from plait_agent.profiles import ModelProfile

        common: dict[str, Any] = {name: all(getattr(profile, name) for profile in profiles) for name in _CAPABILITIES}
        modes: set[StructuredOutputMode] = {profile.default_structured_output_mode for profile in profiles}
        otherwise: StructuredOutputMode = 'tool' if common['supports_tools'] else 'prompted'
        return ModelProfile(
            default_structured_output_mode=modes.pop() if len(modes) == 1 else otherwise,
            **common,
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for model in self.models:
                await stack.enter_async_context(model)
            # All are entered, and `__aexit__` leaves them.
            stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        stack = AsyncExitStack()
        for model in self.models:
            stack.push_async_exit(model)
        return await stack.__aexit__(exc_type, exc, traceback)


def _condition(
    fallback_on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool],
) -> Callable[[Exception], bool]:
    """Whether an error is a reason to ask the next model, as a function."""
    # A type could be called too, so it is looked for first.
    if isinstance(fallback_on, type | tuple):
        types = cast('type[Exception] | tuple[type[Exception], ...]', fallback_on)
        return lambda error: isinstance(error, types)
    return fallback_on


def _all_failed(failures: list[Exception]) -> FallbackExceptionGroup:
    return FallbackExceptionGroup('All models from FallbackModel failed', failures)
