"""Spans, and how values are written into them. To import this room is to import OpenTelemetry."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic_core import to_json

try:
    from opentelemetry import context as otel_context
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
    from opentelemetry.util.types import AttributeValue
except ImportError as error:
    raise ImportError(
        "Spans are made with OpenTelemetry, which is not installed. Run: pip install 'plait-agent[instrument]'"
    ) from error

__all__ = (
    'AttributeValue',
    'Span',
    'SpanKind',
    'Tracer',
    'current_span',
    'described_types',
    'dumped',
    'entered',
    'note_error',
    'open_span',
)


@contextmanager
def current_span(
    tracer: Tracer, name: str, attributes: Mapping[str, AttributeValue], *, include_content: bool
) -> Generator[Span]:
    """A span that is the parent of those that are begun within the block. An error ends it as one that failed."""
    with open_span(tracer, name, attributes, include_content=include_content) as span, entered(span):
        yield span


@contextmanager
def open_span(
    tracer: Tracer,
    name: str,
    attributes: Mapping[str, AttributeValue],
    *,
    include_content: bool,
    kind: SpanKind = SpanKind.INTERNAL,
) -> Generator[Span]:
    """A span that lasts as long as the block, and is nobody's parent unless it is entered."""
    span = tracer.start_span(name, kind=kind, attributes=dict(attributes))
    try:
        yield span
    except Exception as error:
        note_error(span, error, include_content=include_content)
        raise
    finally:
        span.end()


@contextmanager
def entered(span: Span) -> Generator[None]:
    """Make a span the parent of those that are begun within the block."""
    own = set_span_in_context(span)
    token = otel_context.attach(own)
    try:
        yield
    finally:
        # A generator that is closed late is closed in another context, where there is nothing to be put back.
        if otel_context.get_current() is own:
            otel_context.detach(token)


def note_error(span: Span, error: Exception, *, include_content: bool) -> None:
    """Let a span have failed. What the error says may quote arguments and answers, so it counts as content."""
    name = type(error).__qualname__
    if include_content:
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, f'{name}: {error}'))
    else:
        span.add_event('exception', {'exception.type': name})
        span.set_status(Status(StatusCode.ERROR, name))


def dumped(value: Any) -> str:
    """A value as JSON; what JSON has no form for is written as it prints itself."""
    return to_json(value, bytes_mode='base64', inf_nan_mode='null', serialize_unknown=True).decode()


def described_types(**types: str | None) -> str:
    """What viewers are told of attributes that hold JSON: their types; `None` where there is nothing to tell."""
    return dumped(
        {
            'type': 'object',
            'properties': {name: {} if type_ is None else {'type': type_} for name, type_ in types.items()},
        }
    )
