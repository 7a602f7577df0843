"""Google as a provider: where it is, what opens it, and what it does not tell."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import Credentials
from google.auth.exceptions import RefreshError
from google_parts import KEY, Google, answer

from plait_agent.exceptions import UserError
from plait_agent.messages import ModelRequest
from plait_agent.models import ModelRequestParameters, infer_model
from plait_agent.models.google import GoogleModel
from plait_agent.providers.google import GoogleProvider

HELLO: list[Any] = [ModelRequest.user_text_prompt('Hello')]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what the machine says of Google."""
    for name in ('GOOGLE_API_KEY', 'GEMINI_API_KEY', 'GOOGLE_CLOUD_PROJECT', 'GOOGLE_CLOUD_LOCATION'):
        monkeypatch.delenv(name, raising=False)


class Tokens(Credentials):
    """Credentials that give a new token each time."""

    def __init__(self, *, fails: bool = False):
        super().__init__()
        self.given = 0
        self.fails = fails

    def refresh(self, request: Any) -> None:
        """Give a token that does not last."""
        if self.fails:
            raise RefreshError('Who are you?')
        self.given += 1
        self.token = f'token-{self.given}'
        self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)


@pytest.mark.parametrize('name', ['GOOGLE_API_KEY', 'GEMINI_API_KEY'])
def test_the_key_may_come_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either name of the key will do, and models are found by their names."""
    monkeypatch.setenv(name, KEY)
    model = infer_model('google:gemini-2.5-flash')

    assert isinstance(model, GoogleModel)
    assert (model.system, model.base_url) == ('google-gla', 'https://generativelanguage.googleapis.com/')


def test_a_missing_key_is_named() -> None:
    """Without a key the variable and the argument are named."""
    with pytest.raises(UserError, match=r'`GOOGLE_API_KEY`.*GoogleProvider\(api_key=...\)'):
        GoogleProvider()


@pytest.mark.parametrize(
    ('options', 'name', 'url'),
    [
        ({'api_key': KEY}, 'google-gla', 'https://generativelanguage.googleapis.com/'),
        ({'api_key': KEY, 'base_url': 'http://127.0.0.1:1'}, 'google-gla', 'http://127.0.0.1:1'),
        ({'api_key': KEY, 'vertexai': True}, 'google-vertex', 'https://aiplatform.googleapis.com/'),
        ({'project': 'p'}, 'google-vertex', 'https://us-central1-aiplatform.googleapis.com/'),
        ({'project': 'p', 'location': 'global'}, 'google-vertex', 'https://aiplatform.googleapis.com/'),
    ],
)
def test_a_provider_says_who_and_where_it_is(options: Any, name: str, url: str) -> None:
    """Name and address follow from what a provider is given."""
    provider = GoogleProvider(**options)

    assert (provider.name, provider.base_url) == (name, url)
    assert KEY not in repr(provider)


async def test_vertex_gets_a_token_that_lasts() -> None:
    """A token is fetched when it is needed, on any event loop, and used as long as it holds."""
    google, tokens = Google(answer({'text': 'Hi'}), answer({'text': 'Hi'})), Tokens()
    provider = GoogleProvider(project='p', location='global', credentials=tokens, http_client=google.http)
    model = GoogleModel('gemini-2.5-flash', provider=provider)

    for _ in range(2):
        await model.request(HELLO, None, ModelRequestParameters())

    assert [request.headers['authorization'] for request in google.asked] == ['Bearer token-1'] * 2
    assert '/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:' in google.asked[0].url.path
    assert 'token-1' in provider.secrets


async def test_a_token_that_is_refused_is_explained() -> None:
    """Where Google Cloud gives no token, it is said how to get one."""
    provider = GoogleProvider(project='p', credentials=Tokens(fails=True), http_client=Google().http)
    with pytest.raises(UserError, match=r'Who are you.*application-default login'):
        await GoogleModel('gemini-2.5-flash', provider=provider).request(HELLO, None, ModelRequestParameters())


def test_vertex_without_anything_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error of Google's library is not all that one is told."""
    for name in [name for name in os.environ if name.startswith(('GOOGLE_', 'CLOUDSDK_', 'GEMINI_'))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv('NO_GCE_CHECK', 'true')
    monkeypatch.setenv('CLOUDSDK_CONFIG', str(tmp_path))

    with pytest.raises(UserError, match=r'needs a project and credentials .* `GOOGLE_CLOUD_PROJECT`'):
        GoogleProvider(vertexai=True)


async def test_a_client_that_needs_asyncio_says_so_elsewhere(
    monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str
) -> None:
    """A client of the library that looks for its credentials itself works on asyncio, and is named on trio."""
    from google.genai import Client
    from google.genai.types import HttpOptions

    tokens = Tokens()
    tokens.token = 'token-0'
    monkeypatch.setattr('google.auth.default', lambda scopes: (tokens, 'p'))
    google = Google(answer({'text': 'Hi'}))
    options = HttpOptions(httpx_async_client=google.http)
    client = Client(vertexai=True, project='p', location='global', http_options=options)
    model = GoogleModel('gemini-2.5-flash', provider=GoogleProvider(client=client))

    if anyio_backend_name == 'trio':
        with pytest.raises(UserError, match=r'on asyncio only.*`credentials`'):
            await model.request(HELLO, None, ModelRequestParameters())
    else:
        assert (await model.request(HELLO, None, ModelRequestParameters())).text == 'Hi'


async def test_credentials_of_the_environment_are_looked_for_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider without credentials looks for them with the first request, and keeps them."""
    found = Tokens()
    monkeypatch.setattr('google.auth.default', lambda scopes: (found, 'p'))
    google = Google(answer({'text': 'Hi'}), answer({'text': 'Hi'}))
    provider = GoogleProvider(project='p', http_client=google.http)
    assert found.given == 0

    for _ in range(2):
        await GoogleModel('gemini-2.5-flash', provider=provider).request(HELLO, None, ModelRequestParameters())

    assert found.given == 1
    assert google.asked[1].headers['authorization'] == 'Bearer token-1'


def test_hooks_are_given_to_a_client_once() -> None:
    """Several providers may share an HTTP client, which keeps the hooks that it has."""
    google = Google()
    google.http.event_hooks = {'request': [print], 'response': []}
    for _ in range(3):
        google.model()

    assert [len(google.http.event_hooks[name]) for name in ('request', 'response')] == [2, 1]


def test_the_library_waits_until_it_is_needed() -> None:
    """Neither the package nor the profiles import Google's library."""
    code = (
        'import sys, plait_agent, plait_agent.profiles.google; from plait_agent import Agent;'
        'print("google.genai" in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == 'False'
