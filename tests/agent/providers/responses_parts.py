"""Responses and items in OpenAI's responses format, made up, and a model that is answered with them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx2
from openai import AsyncOpenAI
from responses_events import as_sse

from plait_agent.messages import BuiltinToolReturnPart, ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from plait_agent.models import ModelRequestParameters
from plait_agent.models._openai_responses.decode import decode_response
from plait_agent.models._origin import Origin
from plait_agent.models.openai import OpenAIResponsesModel
from plait_agent.providers.openai import OpenAIProvider

Item = dict[str, Any]

ORIGIN = Origin('openai', 'gpt-5', 'https://api.openai.com/v1/')
KEY = 'a-key-that-is-long-enough'
PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
USAGE = {
    'input_tokens': 10,
    'input_tokens_details': {'cached_tokens': 3},
    'output_tokens': 5,
    'output_tokens_details': {'reasoning_tokens': 2},
    'total_tokens': 15,
}


def make_response(*items: Item, **fields: Any) -> Item:
    """A response with items."""
    return {
        'id': 'resp_1',
        'object': 'response',
        'created_at': 1_700_000_000,
        'model': 'gpt-5-2026',
        'status': 'completed',
        'error': None,
        'incomplete_details': None,
        'output': list(items),
        'usage': USAGE,
        **fields,
    }


def message(text: str = 'Hello', **fields: Any) -> Item:
    """A message of the model."""
    content = [{'type': 'output_text', 'text': text, 'annotations': []}]
    said = {'type': 'message', 'id': 'msg_1', 'role': 'assistant', 'status': 'completed', 'content': content}
    return said | fields


def call(name: str = 'add', arguments: str = '{"a":1}', **fields: Any) -> Item:
    """A call of a function."""
    said = {'type': 'function_call', 'id': 'fc_1', 'call_id': 'call_1', 'name': name, 'arguments': arguments}
    return said | {'status': 'completed'} | fields


SAMPLES: dict[str, Item] = {
    'text': message(),
    'texts': message(
        content=[
            {'type': 'output_text', 'text': 'One 😀 ', 'annotations': []},
            {
                'type': 'output_text',
                'text': 'two',
                'annotations': [{'type': 'url_citation', 'url': 'https://a.example', 'title': 'A', 'start_index': 0}],
                'logprobs': [{'token': 'two', 'logprob': -0.1, 'bytes': [1], 'top_logprobs': []}],
            },
        ],
        phase='commentary',
    ),
    'refusal': message(content=[{'type': 'refusal', 'refusal': 'I cannot help with that'}]),
    'thought': {'type': 'reasoning', 'id': 'rs_1', 'summary': [], 'encrypted_content': 'opaque'},
    'summaries': {
        'type': 'reasoning',
        'id': 'rs_1',
        'summary': [{'type': 'summary_text', 'text': 'First, look'}, {'type': 'summary_text', 'text': 'Then leap'}],
        'encrypted_content': 'opaque',
    },
    'raw thought': {
        'type': 'reasoning',
        'id': 'rs_1',
        'summary': [],
        'content': [{'type': 'reasoning_text', 'text': 'Let me think'}],
    },
    'both thoughts': {
        'type': 'reasoning',
        'id': 'rs_1',
        'summary': [{'type': 'summary_text', 'text': 'In short'}],
        'content': [{'type': 'reasoning_text', 'text': 'Let me think'}],
        'encrypted_content': 'opaque',
    },
    'call': call(namespace='sums'),
    'web search': {
        'type': 'web_search_call',
        'id': 'ws_1',
        'status': 'completed',
        'action': {'type': 'search', 'query': 'plaits', 'sources': [{'type': 'url', 'url': 'https://a.example'}]},
    },
    'web page': {
        'type': 'web_search_call',
        'id': 'ws_1',
        'status': 'completed',
        'action': {'type': 'open_page', 'url': 'https://a.example'},
    },
    'file search': {
        'type': 'file_search_call',
        'id': 'fs_1',
        'status': 'completed',
        'queries': ['plaits'],
        'results': [{'file_id': 'file_1', 'filename': 'a.txt', 'score': 0.9, 'text': 'A plait'}],
    },
    'code': {
        'type': 'code_interpreter_call',
        'id': 'ci_1',
        'status': 'completed',
        'container_id': 'cntr_1',
        'code': 'print("é\\n")\n',
        'outputs': [
            {'type': 'logs', 'logs': 'é'},
            {'type': 'image', 'url': f'data:image/png;base64,{PIXEL}'},
        ],
    },
    'image': {
        'type': 'image_generation_call',
        'id': 'ig_1',
        'status': 'completed',
        'result': PIXEL,
        'output_format': 'png',
        'revised_prompt': 'A plait',
    },
    'mcp tools': {
        'type': 'mcp_list_tools',
        'id': 'mcpl_1',
        'server_label': 'docs',
        'tools': [{'name': 'find', 'input_schema': {'type': 'object'}}],
        'error': None,
    },
    'mcp call': {
        'type': 'mcp_call',
        'id': 'mcp_1',
        'server_label': 'docs',
        'name': 'find',
        'arguments': '{"word":"plait"}',
        'output': 'three strands',
        'error': None,
        'status': 'completed',
    },
    'mcp approval': {
        'type': 'mcp_approval_request',
        'id': 'mcpr_1',
        'server_label': 'docs',
        'name': 'find',
        'arguments': '{}',
    },
    'tool search': {
        'type': 'tool_search_call',
        'id': 'tsc_1',
        'call_id': 'call_1',
        'execution': 'client',
        'status': 'completed',
        'arguments': {'queries': ['plaits']},
    },
    'custom call': {
        'type': 'custom_tool_call',
        'id': 'ctc_1',
        'call_id': 'call_1',
        'name': 'grep',
        'input': 'a "word"\n',
    },
    'shell': {
        'type': 'shell_call',
        'id': 'sh_1',
        'call_id': 'call_1',
        'status': 'completed',
        'action': {'commands': ['ls'], 'timeout_ms': 100},
        'environment': {'type': 'local'},
    },
    'shell of the provider': {
        'type': 'shell_call',
        'id': 'sh_1',
        'call_id': 'call_1',
        'status': 'completed',
        'action': {'commands': ['ls']},
        'environment': {'type': 'container_reference', 'container_id': 'cntr_1'},
    },
    'local shell': {
        'type': 'local_shell_call',
        'id': 'lsh_1',
        'call_id': 'call_1',
        'status': 'completed',
        'action': {'type': 'exec', 'command': ['ls'], 'env': {}},
    },
    'patch': {
        'type': 'apply_patch_call',
        'id': 'apc_1',
        'call_id': 'call_1',
        'status': 'completed',
        'operation': {'type': 'delete_file', 'path': 'a.txt'},
    },
    'computer': {
        'type': 'computer_call',
        'id': 'cu_1',
        'call_id': 'call_1',
        'status': 'completed',
        'pending_safety_checks': [],
        'actions': [{'type': 'screenshot'}],
    },
    'program': {
        'type': 'program',
        'id': 'prog_1',
        'call_id': 'call_1',
        'code': 'go()',
        'fingerprint': 'opaque',
    },
    'program output': {
        'type': 'program_output',
        'id': 'po_1',
        'call_id': 'call_1',
        'result': 'gone',
        'status': 'completed',
    },
    'compaction': {'type': 'compaction', 'id': 'cmp_1', 'encrypted_content': 'opaque'},
    'news': {'type': 'telepathy_call', 'id': 'tp_1', 'thought': {'of': 'plaits'}},
}
"""One item of each kind, and one of a kind that nobody knows."""


def decode(*items: Item, **fields: Any) -> ModelResponse:
    """What a response with items is."""
    return without_times(decode_response(make_response(*items, **fields), ORIGIN))


def without_times(response: ModelResponse) -> ModelResponse:
    """A response whose returns of tools have no time, which is that of their decoding."""
    parts = [
        replace(part, timestamp=response.timestamp) if isinstance(part, BuiltinToolReturnPart) else part
        for part in response.parts
    ]
    return replace(response, parts=parts)


class Served:
    """A model whose provider answers what it is told to, and what it was asked."""

    def __init__(self, *answers: Item | httpx2.Response, model_name: str = 'gpt-5', **options: Any):
        self.asked: list[httpx2.Request] = []
        self._answers = list(answers)
        client = AsyncOpenAI(
            api_key=KEY,
            http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer)),
            max_retries=0,
        )
        self.model = OpenAIResponsesModel(model_name, provider=OpenAIProvider(openai_client=client), **options)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, httpx2.Response):
            return answer
        if b'"stream":true' in request.content:
            return sse(as_sse(answer))
        return httpx2.Response(200, headers={'x-request-id': 'req_1'}, json=answer)

    async def ask(self, settings: Any = None, parameters: ModelRequestParameters | None = None) -> ModelResponse:
        """Ask the model something."""
        return await self.model.request(prompt(), settings, parameters or ModelRequestParameters())

    async def stream(self, parameters: ModelRequestParameters | None = None) -> tuple[list[Any], ModelResponse]:
        """Ask the model something, and give the events and the response."""
        async with self.model.request_stream(prompt(), None, parameters or ModelRequestParameters()) as stream:
            events = [event async for event in stream]
            return events, without_times(stream.get())


def sse(body: str) -> httpx2.Response:
    """A stream."""
    return httpx2.Response(200, headers={'content-type': 'text/event-stream', 'x-request-id': 'req_1'}, content=body)


def prompt(*parts: Any) -> list[ModelMessage]:
    """Messages with one request."""
    said: Sequence[Any] = parts or [UserPromptPart('Hi')]
    return [ModelRequest(said)]
