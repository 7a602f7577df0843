"""What opens Vertex AI: a token of Google Cloud, which has to be fetched now and then.

The library fetches it by the means of asyncio. Here it is fetched before the library asks for it, in a thread, so that
it works on trio as well.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from google.auth.credentials import Credentials

_SCOPES = ['https://www.googleapis.com/auth/cloud-platform']


class DefaultCredentials(Credentials):
    """The credentials that the environment has, looked for when they are first needed."""

    # google-auth has no annotations, so nothing of it is known to the type checker.
    token: Any
    expiry: Any
    _quota_project_id: Any
    _found: Any

    def __init__(self) -> None:
        super().__init__()
        self._found = None
        self._lock = Lock()

    def refresh(self, request: Any) -> None:
        """Fetch a token, unless another thread has just done so.

        Raises:
            google.auth.exceptions.GoogleAuthError: The environment has none, or Google refuses them.
        """
        with self._lock:
            if not needs_token(self):
                return
            if self._found is None:
                import google.auth

                library: Any = google.auth
                self._found = library.default(scopes=_SCOPES)[0]
            self._found.refresh(request)
            self.token, self.expiry = self._found.token, self._found.expiry
            self._quota_project_id = self._found.quota_project_id


def needs_token(credentials: Any) -> bool:
    """Whether a token is to be fetched before a request."""
    return not credentials.token or credentials.expired


async def fetch_token(credentials: Any) -> None:
    """Fetch a token if there is none that holds.

    Raises:
        google.auth.exceptions.GoogleAuthError: Google refuses it.
    """
    if not needs_token(credentials):
        return
    from anyio import to_thread
    from google.auth.transport.requests import Request

    await to_thread.run_sync(credentials.refresh, Request())
