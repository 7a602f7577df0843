"""Models that run on this machine: no key, no network, and nothing leaves it. They come with the extra `local`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

from plait_agent._local.answers import Inquiry, LocalStream
from plait_agent._local.conversation import write_conversation
from plait_agent._local.registry import load_registry
from plait_agent._local.server import LocalServer, ServerPlan, default_threads, server_of
from plait_agent._local.weights import checked_weights
from plait_agent.models import DEFAULT_HTTP_TIMEOUT, Model, StreamedResponse, check_allow_model_requests
from plait_agent.models._tool_choice import choose_tools
from plait_agent.providers._compatible import CompatibleProvider, Server
from plait_agent.settings import ModelSettings, merge_model_settings

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from plait_agent._run_context import RunContext
    from plait_agent.messages import ModelMessage, ModelResponse
    from plait_agent.models import ModelRequestParameters
    from plait_agent.models.openai import OpenAIChatModel
    from plait_agent.profiles import ModelProfile, ModelProfileSpec
    from plait_agent.providers import Provider

__all__ = 'LocalModel', 'LocalModelSettings'

_CONTEXT = 8192
"""How many tokens a conversation may have, if nothing else is said: each of them costs memory."""
_PARALLEL = 2
_DEFAULTS: ModelSettings = {'max_tokens': 1024, 'temperature': 0.0}
"""A small model that goes astray would write for minutes, and one that draws lots goes astray more often."""


class LocalModelSettings(ModelSettings, total=False):
    """Settings of models that run here."""

    local_repeat_calls: bool
    """Whether the model may make a call again that a tool has answered since the user last said something. Small models
    tend to do so without end, so the default is no."""


class _LocalProvider(CompatibleProvider):
    """The server of a model that runs here."""

    server: ClassVar = Server('local', 'the local server')


class LocalModel(Model):
    """A model that runs on this machine, in llama.cpp.

    Its weights are fetched once, by `plait models pull NAME`; nothing is ever downloaded by a request. The server
    starts with the first request and ends with the program; all agents of the program share it.

    Small models are not good at deciding whether to call a tool. So each of their turns is bound to a JSON schema in
    which every tool is a choice and answering is another, and what they write becomes calls and text here.

    Args:
        model_name: The name of a model in `plait models list`, or the path of a file in GGUF form; nothing means the
            default.
        provider: A server to be asked in place of one of our own, if it speaks OpenAI's language and binds answers to
            JSON schemas. `'local'` means our own.
        profile: What the model can do.
        settings: What is asked of it if nothing else is said. Without settings it writes 1,024 tokens at most, with
            temperature 0.
        n_ctx: How many tokens a conversation may have; at most 8,192 without it.
        n_parallel: How many requests are answered at once; others wait. Each takes memory for its conversation.
        threads: How many threads compute, in place of `PLAIT_LOCAL_THREADS`.
        n_gpu_layers: How many layers go to a graphics card, where llama.cpp was built for one; `None` means all.

    Raises:
        UserError: There is no model of that name.
    """

    def __init__(
        self,
        model_name: str = '',
        *,
        provider: Provider[Any] | str | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
        n_ctx: int | None = None,
        n_parallel: int = _PARALLEL,
        threads: int | None = None,
        n_gpu_layers: int | None = None,
    ):
        self._entry = load_registry().find(model_name)
        super().__init__(settings=merge_model_settings(_DEFAULTS, settings), profile=profile or self._find_profile)
        self._provider = None if provider is None or isinstance(provider, str) else provider
        self._n_ctx = n_ctx or min(self._entry.context or _CONTEXT, _CONTEXT)
        self._n_parallel = n_parallel
        self._threads = threads
        self._n_gpu_layers = -1 if n_gpu_layers is None else n_gpu_layers
        self._server: LocalServer | None = None
        self._asked: tuple[str, OpenAIChatModel] | None = None
        """The model at the other end of the connection, with the address that it is for."""

    @property
    def model_name(self) -> str:
        """Its name."""
        return self._entry.name

    @property
    def system(self) -> str:
        """`'local'`."""
        return 'local'

    @property
    def base_url(self) -> str | None:
        """Where its server is, if it runs."""
        if self._provider is not None:
            return self._provider.base_url
        return None if self._server is None else self._server.address

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model, and wait for the whole answer."""
        async with self.request_stream(messages, model_settings, model_request_parameters) as stream:
            async for _ in stream:
                pass
            return stream.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model. Leaving the block ends its answer, on the server too.

        Raises:
            UserError: The weights are not here, or something other than text is to be read.
            ModelAPIError: The server cannot start, or has crashed. The next request starts it again.
        """
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        choice = choose_tools(settings, parameters)
        conversation = write_conversation(
            messages,
            parameters,
            choice,
            instructions=self._get_instructions(messages, parameters),
            may_repeat=cast('LocalModelSettings', settings or {}).get('local_repeat_calls', False),
        )
        async with AsyncExitStack() as opened:
            inquiry = Inquiry(await self._connect(), self._server, conversation.messages, settings, opened)
            source = await inquiry.begin(conversation.turn)
            answer = LocalStream(parameters, self.model_name, conversation.turn, conversation.answered, inquiry, source)
            async with answer:
                yield answer

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.model_name!r})'

    def _find_profile(self, _: str) -> ModelProfile:
        """What a model can do that llama.cpp binds to schemas."""
        from plait_agent.profiles import ModelProfile

        has_tools = self._entry.tools != 'none'
        return ModelProfile(
            supports_tools=has_tools,
            supports_json_schema_output=True,
            supports_json_object_output=True,
            default_structured_output_mode='tool' if has_tools else 'native',
        )

    async def _connect(self) -> OpenAIChatModel:
        """Give the model at the other end of the connection, when its server runs."""
        if self._provider is not None:
            return self._model_at(self._provider.base_url, self._provider)
        server = self._server
        address = None if server is None else server.address
        if server is None or address is None:
            from anyio.to_thread import run_sync

            # A start goes on if nobody waits for it any more: whoever asks next has the use of it.
            server, address = await run_sync(self._start, abandon_on_cancel=True)
        return self._model_at(f'{address}/v1', server)

    def _start(self) -> tuple[LocalServer, str]:
        plan = ServerPlan(
            path=str(checked_weights(self._entry)),
            n_ctx=self._n_ctx,
            n_parallel=self._n_parallel,
            threads=self._threads or default_threads(),
            chat_template=self._entry.chat_template,
            n_gpu_layers=self._n_gpu_layers,
        )
        server = self._server = server_of(self.model_name, plan)
        return server, server.start()

    def _model_at(self, address: str, origin: Provider[Any] | LocalServer) -> OpenAIChatModel:
        if self._asked is not None and self._asked[0] == address:
            return self._asked[1]
        from plait_agent.models.openai import OpenAIChatModel

        if isinstance(origin, LocalServer):
            origin = _LocalProvider(address, origin.key, http_client=_http_client())
        model = OpenAIChatModel(self.model_name, provider=origin, profile=self.profile)
        self._asked = address, model
        return model


@cache
def _http_client() -> AsyncClient:
    """The client for all local servers. It asks no proxy, and does not try again: a server that is gone is gone."""
    from httpx2 import AsyncClient, AsyncHTTPTransport, Limits, Timeout

    from plait_agent.models._http import LoopTransport

    # Loopback is not encrypted, and a connection costs nothing there. One that is used again may have been closed by
    # the server just then.
    limits = Limits(max_connections=None, max_keepalive_connections=0)
    return AsyncClient(
        transport=LoopTransport(lambda: AsyncHTTPTransport(verify=False, limits=limits)),
        timeout=Timeout(DEFAULT_HTTP_TIMEOUT, connect=5),
        trust_env=False,
    )
