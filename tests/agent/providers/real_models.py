"""The models of all providers, each in front of any server, and how a run with them ends."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from plait_agent import Agent
from plait_agent.exceptions import AgentRunError, ModelAPIError, UnexpectedModelBehavior
from plait_agent.models import Model
from plait_agent.retries import retrying_transport
from plait_agent.testing import MisbehavingServer, Script

# The libraries and httpx2 leave the readers of a body to the garbage collector when it cannot be decoded.  Its
# connection is closed all the same; trio warns of it, and asyncio does not.
readers_may_be_left = pytest.mark.filterwarnings(
    "ignore:Async generator '(httpcore2|httpx2|anthropic|google|openai):ResourceWarning"
)

KEY = 'sk-a-key-that-nobody-may-see'
MODEL = 'a-model'


@dataclass(frozen=True)
class Kind:
    """A model of a provider."""

    api: str
    provider: str
    make: Callable[[str, httpx2.AsyncClient], Model]


def _openai_chat(url: str, client: httpx2.AsyncClient) -> Model:
    from plait_agent.models.openai import OpenAIChatModel
    from plait_agent.providers.openai import OpenAIProvider

    return OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f'{url}/v1', api_key=KEY, http_client=client))


def _openai_responses(url: str, client: httpx2.AsyncClient) -> Model:
    from plait_agent.models.openai import OpenAIResponsesModel
    from plait_agent.providers.openai import OpenAIProvider

    return OpenAIResponsesModel(MODEL, provider=OpenAIProvider(base_url=f'{url}/v1', api_key=KEY, http_client=client))


def _anthropic(url: str, client: httpx2.AsyncClient) -> Model:
    from plait_agent.models.anthropic import AnthropicModel
    from plait_agent.providers.anthropic import AnthropicProvider

    return AnthropicModel(MODEL, provider=AnthropicProvider(base_url=url, api_key=KEY, http_client=client))


def _google(url: str, client: httpx2.AsyncClient) -> Model:
    from plait_agent.models.google import GoogleModel
    from plait_agent.providers.google import GoogleProvider

    return GoogleModel(MODEL, provider=GoogleProvider(base_url=url, api_key=KEY, http_client=client))


KINDS = (
    Kind('openai-chat', 'openai', _openai_chat),
    Kind('openai-responses', 'openai', _openai_responses),
    Kind('anthropic', 'anthropic', _anthropic),
    Kind('google', 'google', _google),
)


async def no_wait(seconds: float) -> None:
    """The time between attempts, left out."""


def make_client(attempts: int = 1) -> httpx2.AsyncClient:
    """A client with the policy of the clients that are made for models, without its waits."""
    transport = retrying_transport(httpx2.AsyncHTTPTransport(), attempts=attempts, sleep=no_wait)
    return httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(20))


@asynccontextmanager
async def serving(kind: Kind, script: Script) -> AsyncIterator[tuple[Model, MisbehavingServer]]:
    """A model in front of a server that follows a script."""
    async with MisbehavingServer(script) as server, make_client() as client:
        yield kind.make(server.url, client), server


async def run(model: Model, streamed: bool, **options: Any) -> Any:
    """The output of an agent's run, or the error that ended it; any other error is none that a run may end in."""
    agent = Agent(model, **options)
    try:
        if not streamed:
            return (await agent.run('Hi')).output
        async with agent.run_stream('Hi') as result:
            return await result.get_output()
    except (ModelAPIError, UnexpectedModelBehavior) as error:
        return error


def problems(error: AgentRunError, kind: Kind, request_id: str | None) -> list[str]:
    """What the text of an error lacks, and what it should not have."""
    told = f'{error} {error!r}'
    wanted = [kind.provider, MODEL, *([] if request_id is None else [request_id])]
    missing = [word for word in wanted if word not in told]
    return [*missing, *(['the key'] if KEY in _everything(error) else [])]


def _everything(error: BaseException) -> str:
    """An error and all that is printed with it."""
    from traceback import format_exception

    return ''.join(format_exception(error)) + repr(vars(error))
