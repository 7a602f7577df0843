"""A model whose requests are seen as spans and metrics of OpenTelemetry."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from plait_agent._span_messages import EventForm, MessageForm
from plait_agent._spans import AttributeValue, Span, SpanKind, described_types, dumped, entered, open_span
from plait_agent.exceptions import UserError
from plait_agent.models import Model, ModelRequestParameters, StreamedResponse
from plait_agent.models._answering import answering
from plait_agent.models._base import find_instructions
from plait_agent.models.wrapper import WrapperModel

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from plait_agent._run_context import RunContext
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import KnownModelName
    from plait_agent.settings import ModelSettings

__all__ = 'CostCalculationFailedWarning', 'InstrumentationSettings', 'InstrumentedModel', 'instrument_model'

_SCOPE = 'pydantic-ai'
"""Dashboards that know agents look for this name."""
_TOKEN_BOUNDARIES = [4**power for power in range(14)]
_SETTINGS = 'temperature', 'max_tokens', 'top_p', 'seed', 'presence_penalty', 'frequency_penalty'


class CostCalculationFailedWarning(Warning):
    """What a request has cost could not be found out."""


@dataclass(init=False)
class InstrumentationSettings:
    """How spans and metrics are made.

    Args:
        tracer_provider: Where spans go; the global provider if not given.
        meter_provider: Where metrics go; the global provider if not given.
        include_binary_content: Whether spans hold files.
        include_content: Whether spans hold what was said: prompts, answers, arguments, results, and what errors say.
        version: The form of the spans. Version 1 has messages as events, 2 as records of role and parts, and 3 has
            the names of OpenTelemetry's GenAI conventions for runs and tools too.
        event_mode: `'attributes'`: the events of version 1 are an attribute of their span.
        logger_provider: Where events would go as logs.

    Raises:
        UserError: The version or the mode is not known.
    """

    event_mode: Literal['attributes', 'logs']
    include_binary_content: bool
    include_content: bool
    version: Literal[1, 2, 3]
    tracer: Tracer = field(repr=False)
    """Makes the spans."""
    tokens_histogram: Histogram = field(repr=False)
    """Counts tokens."""
    cost_histogram: Histogram = field(repr=False)
    """Counts money."""

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        include_binary_content: bool = True,
        include_content: bool = True,
        version: Literal[1, 2, 3] = 2,
        event_mode: Literal['attributes', 'logs'] = 'attributes',
        logger_provider: Any = None,
    ):
        from opentelemetry.metrics import get_meter_provider
        from opentelemetry.trace import get_tracer_provider

        if version not in (1, 2, 3):
            raise UserError(f'version={version!r} of the instrumentation is not known. Give 1, 2 or 3.')
        if event_mode != 'attributes':
            raise UserError(
                f"event_mode={event_mode!r} is not supported: events are attributes of spans. Give 'attributes'."
            )
        self.event_mode = event_mode
        self.include_binary_content = include_binary_content
        self.include_content = include_content
        self.version = version
        self.tracer = (tracer_provider or get_tracer_provider()).get_tracer(_SCOPE)
        meter = (meter_provider or get_meter_provider()).get_meter(_SCOPE)
        self.tokens_histogram = meter.create_histogram(
            'gen_ai.client.token.usage',
            unit='{token}',
            description='Measures number of input and output tokens used',
            explicit_bucket_boundaries_advisory=_TOKEN_BOUNDARIES,
        )
        self.cost_histogram = meter.create_histogram('operation.cost', unit='{USD}', description='Monetary cost')

    @property
    def form(self) -> MessageForm:
        """How messages are written."""
        return MessageForm(self.include_content, self.include_binary_content)


@cache
def default_settings() -> InstrumentationSettings:
    """What `instrument=True` means. Global providers may be set later: what is asked of them waits for them."""
    return InstrumentationSettings()


def settings_of(instrument: InstrumentationSettings | Literal[True]) -> InstrumentationSettings:
    """The settings that `instrument` stands for.

    Raises:
        UserError: It is something else.
    """
    if instrument is True:
        return default_settings()
    if not isinstance(instrument, InstrumentationSettings):  # pyright: ignore[reportUnnecessaryIsInstance] # bad input
        raise UserError(f'instrument={instrument!r} is not known. Give True, False or InstrumentationSettings.')
    return instrument


def instrument_model(model: Model, instrument: InstrumentationSettings | bool) -> Model:
    """The model, with its requests seen; itself if they are already, or are not to be."""
    if not instrument or isinstance(model, InstrumentedModel):
        return model
    return InstrumentedModel(model, settings_of(instrument))


@dataclass(init=False, eq=False)
class InstrumentedModel(WrapperModel):
    """Makes a span of each request to another model, and counts its tokens and what it costs.

    Args:
        wrapped: The other model, or its name.
        options: How; the default settings if not given.
    """

    instrumentation_settings: InstrumentationSettings
    """How spans are made; agents with this model make theirs alike."""

    def __init__(self, wrapped: Model | KnownModelName | str, options: InstrumentationSettings | None = None):
        super().__init__(wrapped)
        self.instrumentation_settings = options or default_settings()

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the other model, within a span."""
        with self._chat(messages, model_settings, model_request_parameters) as chat, entered(chat.span):
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            chat.note(response)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the other model for a stream. The span lasts until the stream is left, and tells what has come."""
        opened = self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
        with self._chat(messages, model_settings, model_request_parameters) as chat:
            async with AsyncExitStack() as stack:
                # Not entered for longer: while the stream is read, spans of the reader's own are not part of it.
                with entered(chat.span):
                    stream = await stack.enter_async_context(opened)
                try:
                    yield stream
                finally:
                    chat.note(stream.get())

    @contextmanager
    def _chat(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> Generator[_Chat]:
        options = self.instrumentation_settings
        merged, fitted = self.wrapped.prepare_request(settings, parameters)
        attributes = _request_attributes(self.wrapped, merged, fitted)
        name, content = f'chat {self.model_name}', options.include_content
        answering.set(None)
        with open_span(options.tracer, name, attributes, include_content=content, kind=SpanKind.CLIENT) as span:
            yield _Chat(span, self.wrapped, options, messages)


class _Chat:
    """The span of one request.

    Args:
        span: The span.
        model: The model that is asked.
        settings: What is to be seen.
        messages: What was said before.
    """

    def __init__(self, span: Span, model: Model, settings: InstrumentationSettings, messages: list[ModelMessage]):
        self.span = span
        self._model = model
        self._settings = settings
        self._messages = messages

    def note(self, response: ModelResponse) -> None:
        """Tell of the answer."""
        model = answering.get() or self._model
        origin = _origin(model)
        response_model = response.model_name or model.model_name
        cost = _cost(response)
        self._measure(response, {**origin, 'gen_ai.response.model': response_model}, cost)
        if not self.span.is_recording():
            return
        attributes: dict[str, AttributeValue] = {**origin, **self._told(response)}
        attributes |= response.usage.opentelemetry_attributes()
        attributes['gen_ai.response.model'] = response_model
        if cost is not None:
            attributes['operation.cost'] = float(cost.total_price)
        if response.provider_response_id is not None:
            attributes['gen_ai.response.id'] = response.provider_response_id
        if response.finish_reason is not None:
            attributes['gen_ai.response.finish_reasons'] = [response.finish_reason]
        self.span.set_attributes(attributes)
        self.span.update_name(f'chat {model.model_name}')

    def _told(self, response: ModelResponse) -> dict[str, AttributeValue]:
        """What was asked and answered, in the form of the version."""
        form, instructions = self._settings.form, find_instructions(self._messages)
        told: dict[str, Any]
        if self._settings.version == 1:
            events = EventForm(form, self._model.system)
            told = {'events': [*events.messages(self._messages, instructions), events.choice(response)]}
        else:
            told = {
                'gen_ai.input.messages': form.messages(self._messages),
                'gen_ai.output.messages': [form.response(response)],
            }
            told |= {'gen_ai.system_instructions': said} if (said := form.instructions(instructions)) else {}
        types = described_types(**dict.fromkeys(told, 'array'), model_request_parameters='object')
        return {**{name: dumped(value) for name, value in told.items()}, 'logfire.json_schema': types}

    def _measure(
        self, response: ModelResponse, attributes: dict[str, AttributeValue], cost: PriceCalculation | None
    ) -> None:
        usage, settings = response.usage, self._settings
        prices = (None, None) if cost is None else (cost.input_price, cost.output_price)
        for kind, tokens, price in zip(
            ('input', 'output'), (usage.input_tokens, usage.output_tokens), prices, strict=True
        ):
            labels = {**attributes, 'gen_ai.operation.name': 'chat', 'gen_ai.token.type': kind}
            if tokens:
                settings.tokens_histogram.record(tokens, labels)
            if price:
                settings.cost_histogram.record(float(price), labels)


def _origin(model: Model) -> dict[str, AttributeValue]:
    """Who is asked."""
    return {
        'gen_ai.provider.name': model.system,
        'gen_ai.system': model.system,
        'gen_ai.request.model': model.model_name,
    }


def _request_attributes(
    model: Model, settings: ModelSettings | None, parameters: ModelRequestParameters
) -> dict[str, AttributeValue]:
    """What is known before there is an answer."""
    attributes: dict[str, AttributeValue] = {
        'gen_ai.operation.name': 'chat',
        **_origin(model),
        **_address(model.base_url),
        'model_request_parameters': dumped(_shown(parameters)),
        'logfire.json_schema': described_types(model_request_parameters='object'),
    }
    if parameters.tool_defs:
        attributes['gen_ai.tool.definitions'] = dumped(_definitions(parameters))
    for name in _SETTINGS:
        value = (settings or {}).get(name)
        if isinstance(value, int | float):
            attributes[f'gen_ai.request.{name}'] = value
    return attributes


def _address(url: str | None) -> dict[str, AttributeValue]:
    """Where the provider is; no more of the URL, which may hold a key."""
    if not url:
        return {}
    try:
        parsed = urlsplit(url)
        known = {'server.address': parsed.hostname, 'server.port': parsed.port}
    except ValueError:
        return {}
    return {name: value for name, value in known.items() if value is not None}


def _shown(record: Any) -> Any:
    """A record without the fields that it does not print, such as a server's token."""
    if isinstance(record, list):
        return [_shown(each) for each in record]  # pyright: ignore[reportUnknownVariableType] # of anything
    if not is_dataclass(record):
        return record
    return {each.name: _shown(getattr(record, each.name)) for each in fields(record) if each.repr}


def _definitions(parameters: ModelRequestParameters) -> list[dict[str, Any]]:
    """The tools, as the conventions have them."""
    return [
        {
            'type': 'function',
            'name': tool.name,
            **({'description': tool.description} if tool.description else {}),
            'parameters': tool.parameters_json_schema,
        }
        for tool in parameters.tool_defs.values()
    ]


def _cost(response: ModelResponse) -> PriceCalculation | None:
    """What an answer has cost, if that can be known."""
    try:
        return response.cost()
    except (ImportError, LookupError, AssertionError):
        return None  # no price list, or the model is not on it
    except Exception as error:  # noqa: BLE001 # a request does not fail because of its price
        warnings.warn(
            f'The cost of an answer of model {response.model_name!r} could not be calculated: '
            f'{type(error).__name__}: {error}. The answer is not affected.',
            CostCalculationFailedWarning,
            stacklevel=2,
        )
        return None
