"""Where an answer comes from, and what becomes of the errors of a provider's library.

The libraries are told apart by what their errors carry and not by their classes, so none of them is imported here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from plait_agent.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelHTTPError,
    UnexpectedModelBehavior,
    UserError,
    describe_origin,
)

__all__ = 'Origin', 'hide_secrets'

_SHORTEST_SECRET = 8
"""Servers without keys are given a word in the place of one, which is no secret and may well stand in a text."""
_REQUEST_ID_HEADERS = 'x-request-id', 'request-id', 'apim-request-id', 'x-goog-request-id', 'cf-ray'
_LIBRARIES = 'openai', 'anthropic', 'google', 'httpx2', 'httpcore2', 'httpx', 'httpcore'


@dataclass(frozen=True, slots=True)
class Origin:
    """Who is asked, for the records of answers and for errors."""

    provider_name: str
    """The provider."""
    model_name: str
    """The model that is asked."""
    provider_url: str | None = None
    """Where the provider is."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What must not be told to anybody, such as keys."""

    @contextmanager
    def translating(self) -> Generator[None]:
        """Turn the errors of the provider's library into ours within a block.

        Raises:
            ModelHTTPError: The provider has answered with a status of 400 or above.
            ModelAPIError: It could not be reached, did not answer in time, broke off, or told of an error in a stream.
            UnexpectedModelBehavior: Its answer cannot be read.
        """
        try:
            yield
        except (AgentRunError, UserError):
            raise
        except Exception as error:
            translated = self.translate(error)
            if translated is None:
                raise
            _scrub(error, self.secrets)
            raise translated from error

    def translate(self, error: Exception) -> AgentRunError | None:
        """The error to raise in the place of a library's; nothing if it is not one of those."""
        status = _find_status(error)
        request_id = find_request_id(error)
        if status is not None and status >= 400:
            body = hide_secrets(_find_body(error), self.secrets)
            return ModelHTTPError(
                status, self.model_name, body, provider_name=self.provider_name, request_id=request_id
            )
        if _is_unreadable(error):
            return self.unexpected(f'The answer cannot be read ({_describe(error)})', request_id=request_id)
        if _is_of_library(error) or isinstance(error, (OSError, EOFError)):
            return self.failure(_describe(error), request_id=request_id)
        return None

    def failure(self, message: str, *, request_id: str | None = None) -> ModelAPIError:
        """The error for a provider that has told of one, or that did not answer."""
        where = describe_origin(self.provider_name, self.model_name, request_id)
        return ModelAPIError(
            self.model_name,
            f'{hide_secrets(message, self.secrets)}, {where}',
            provider_name=self.provider_name,
            request_id=request_id,
        )

    def unexpected(
        self, message: str, *, body: str | None = None, request_id: str | None = None
    ) -> UnexpectedModelBehavior:
        """The error for an answer that makes no sense."""
        where = describe_origin(self.provider_name, self.model_name, request_id)
        told = None if body is None else hide_secrets(body, self.secrets)
        return UnexpectedModelBehavior(f'{hide_secrets(message, self.secrets)}, {where}', told)


def find_request_id(source: Any) -> str | None:
    """What the provider calls a request, from an error of its library, a response, or what has a response."""
    told = getattr(source, 'request_id', None)
    if isinstance(told, str):
        return told
    headers = getattr(getattr(source, 'response', source), 'headers', None)
    if not isinstance(headers, Mapping):
        return None
    known = cast('Mapping[str, str]', headers)
    return next((known[name] for name in _REQUEST_ID_HEADERS if name in known), None)


def hide_secrets(value: Any, secrets: tuple[str, ...]) -> Any:
    """A copy of a text or of JSON without secrets in it; servers may well repeat a key that they do not know."""
    long_enough = tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)
    return _hidden(value, long_enough) if long_enough else value


def _hidden(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, '<hidden>')
        return value
    if isinstance(value, dict):
        return {key: _hidden(each, secrets) for key, each in cast('dict[Any, Any]', value).items()}
    if isinstance(value, (list, tuple)):
        return [_hidden(each, secrets) for each in cast('list[Any]', value)]
    return value


def _find_status(error: Exception) -> int | None:
    """The HTTP status that an error of a library stands for."""
    for name in ('status_code', 'code'):
        status = getattr(error, name, None)
        if isinstance(status, int):
            return status
    status = getattr(getattr(error, 'response', None), 'status_code', None)
    return status if isinstance(status, int) and _is_of_library(error) else None


def _find_body(error: Exception) -> object:
    """What the provider has sent with an error."""
    for name in ('body', 'details'):
        body = getattr(error, name, None)
        if body is not None:
            return body
    return str(error) or None


def _is_unreadable(error: Exception) -> bool:
    """Whether an error says that what came is no JSON, no text, or not what was to come."""
    from pydantic import ValidationError

    if isinstance(error, (ValidationError, UnicodeDecodeError)):
        return True
    # `json.JSONDecodeError` and its like in other parsers, and what the libraries make of them.
    return type(error).__name__ in {'JSONDecodeError', 'APIResponseValidationError', 'DecodingError'}


def _is_of_library(error: Exception) -> bool:
    return type(error).__module__.partition('.')[0] in _LIBRARIES


def _describe(error: Exception) -> str:
    """What happened, with what caused it where a library says nothing but that something went wrong."""
    causes = dict.fromkeys(str(each).strip() or type(each).__name__ for each in _chain(error))
    return ': '.join(causes)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it."""
    each: BaseException | None = error
    seen: set[int] = set()
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__


def _scrub(error: BaseException, secrets: tuple[str, ...]) -> None:
    """Take secrets out of a library's error, which is printed as the cause of ours."""
    for each in _chain(error):
        each.args = tuple(hide_secrets(arg, secrets) for arg in each.args)
        for name in ('message', 'body', 'details'):
            if isinstance(vars(each).get(name), (str, dict, list)):
                setattr(each, name, hide_secrets(getattr(each, name), secrets))
