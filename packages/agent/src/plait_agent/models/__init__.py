"""Models: what they can be asked, and how one is found by its name."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from plait_agent.models._base import Model
from plait_agent.models._infer import infer_model, parse_model_id
from plait_agent.models._parameters import ModelRequestParameters
from plait_agent.models._stream import CompletedStreamedResponse, StreamedResponse

if TYPE_CHECKING:
    from plait_agent.models._default import default_model
    from plait_agent.models._download import DownloadedItem, download_item
    from plait_agent.models._http import cached_async_http_client
    from plait_agent.models._known_names import KnownModelName
    from plait_agent.profiles import DEFAULT_PROFILE
    from plait_agent.tools import ToolDefinition

__all__ = (
    'ALLOW_MODEL_REQUESTS',
    'DEFAULT_HTTP_TIMEOUT',
    'DEFAULT_PROFILE',
    'CompletedStreamedResponse',
    'DownloadedItem',
    'KnownModelName',
    'Model',
    'ModelRequestParameters',
    'StreamedResponse',
    'ToolDefinition',
    'cached_async_http_client',
    'check_allow_model_requests',
    'default_model',
    'download_item',
    'infer_model',
    'override_allow_model_requests',
    'parse_model_id',
)

ALLOW_MODEL_REQUESTS = True
"""Whether models may be asked that others serve. Tests set it to `False`; models without a provider do not mind."""

DEFAULT_HTTP_TIMEOUT = 600
"""How many seconds a request may take, if nothing else is said."""


def check_allow_model_requests() -> None:
    """Refuse requests to providers while they are not allowed; the request of a provider's model begins with this.

    Raises:
        RuntimeError: They are not.
    """
    if not ALLOW_MODEL_REQUESTS:
        raise RuntimeError('Model requests are not allowed, since ALLOW_MODEL_REQUESTS is False')


@contextmanager
def override_allow_model_requests(allow_model_requests: bool) -> Generator[None]:
    """Allow or refuse requests to providers within a block, in the whole process."""
    global ALLOW_MODEL_REQUESTS  # noqa: PLW0603 # programs set it as an attribute of this module too
    before = ALLOW_MODEL_REQUESTS
    ALLOW_MODEL_REQUESTS = allow_model_requests  # pyright: ignore[reportConstantRedefinition]
    try:
        yield
    finally:
        ALLOW_MODEL_REQUESTS = before  # pyright: ignore[reportConstantRedefinition]


_ROOMS = {
    'DEFAULT_PROFILE': 'plait_agent.profiles',
    'KnownModelName': 'plait_agent.models._known_names',
    'ToolDefinition': 'plait_agent.tools',
    'DownloadedItem': 'plait_agent.models._download',
    'default_model': 'plait_agent.models._default',
    'cached_async_http_client': 'plait_agent.models._http',
    'download_item': 'plait_agent.models._download',
}
"""Names whose rooms are imported when they are first asked for, so that programs without them start sooner."""


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_ROOMS[name]), name)
    return value
