import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from local_parts import choice
from pydantic import BaseModel

from plait_agent import Agent, ModelAPIError, ModelHTTPError, NativeOutput, UserError
from plait_agent.messages import PartDeltaEvent, PartStartEvent, ToolCallPart
from plait_agent.models import infer_model, override_allow_model_requests
from plait_agent.models.local import LocalModel
from plait_agent.providers.openai import OpenAIProvider
from plait_agent.testing import Answer, HttpError, MisbehavingServer, Raw


class Place(BaseModel):
    """Somewhere."""

    town: str
    people: int


@asynccontextmanager
async def model_that_says(*texts: Any, **settings: Any) -> AsyncIterator[tuple[LocalModel, MisbehavingServer]]:
    """A local model whose server says what it is told to, three characters at a time."""
    script = [Answer(text, delta=3) if isinstance(text, str) else text for text in texts]
    async with MisbehavingServer(script) as server:
        provider = OpenAIProvider(f'{server.url}/v1', api_key='not-needed')
        yield LocalModel('smollm2-135m', provider=provider, settings=settings or None), server


def clerk(model: Any, **options: Any) -> tuple[Agent[Any, Any], list[str]]:
    """An agent with a tool that remembers what it was asked."""
    asked: list[str] = []

    def weather(city: str) -> str:
        """Look at the sky."""
        asked.append(city)
        return 'Rain.'

    return Agent(model, tools=[weather], **options), asked


async def test_a_choice_of_a_tool_becomes_a_call():
    """What the model writes is run as a call, and its answer is the output."""
    async with model_that_says(choice('weather', city='Rome'), choice('final_answer', text='It "rains".')) as (
        model,
        _,
    ):
        agent, asked = clerk(model)
        result = await agent.run('How is Rome?')

    assert (result.output, asked) == ('It "rains".', ['Rome'])
    assert result.usage().requests == 2
    assert [message.finish_reason for message in result.all_messages() if hasattr(message, 'usage')] == [
        'tool_call',
        'stop',
    ]


async def test_the_answer_is_bound_to_the_tools():
    """The server is sent a schema with each tool and the answer, and no tools of its own."""
    async with model_that_says(choice('final_answer', text='Hi')) as (model, server):
        await clerk(model)[0].run('Hello')

    (request,) = server.requests
    choices = request.find('response_format', 'json_schema', 'schema', 'anyOf')
    assert [each['properties']['tool']['const'] for each in choices] == ['weather', 'final_answer']
    assert 'tools' not in request.json


async def test_a_call_that_was_answered_is_not_made_again():
    """The model is asked once more, without that tool; nothing of the call is told, and all tokens are counted."""
    again = choice('weather', city='Rome')
    async with model_that_says(again, again, choice('final_answer', text='Rain.')) as (model, server):
        agent, asked = clerk(model)
        result = await agent.run('How is Rome?')

    assert (result.output, asked) == ('Rain.', ['Rome'])
    assert (result.usage().requests, result.usage().output_tokens) == (2, 15)
    last = server.requests[-1].find('response_format', 'json_schema', 'schema')
    assert last['properties']['tool'] == {'const': 'final_answer'}


async def test_a_call_that_begins_like_an_answered_one_is_made():
    """Only the very same call is held back."""
    calls = choice('weather', city='Rome'), choice('weather', city='Romeo')
    async with model_that_says(*calls, choice('final_answer', text='Rain.')) as (model, _):
        agent, asked = clerk(model)
        await agent.run('How is it?')

    assert asked == ['Rome', 'Romeo']


async def test_calls_may_be_repeated_if_the_program_says_so():
    """With `local_repeat_calls` the model decides."""
    again = choice('weather', city='Rome')
    end = choice('final_answer', text='Rain.')
    async with model_that_says(again, again, end, local_repeat_calls=True) as (model, _):
        agent, asked = clerk(model)
        await agent.run('How is Rome?')

    assert asked == ['Rome', 'Rome']


async def test_arguments_and_text_are_streamed():
    """Arguments come as deltas of a call, and the text of an answer while it grows."""
    async with model_that_says(choice('weather', city='Rome'), choice('final_answer', text='It is raining.')) as (
        model,
        _,
    ):
        agent, _ = clerk(model)
        events = [event async for event in agent.run_stream_events('How is Rome?')]

    starts = [event.part for event in events if isinstance(event, PartStartEvent)]
    deltas = [event.delta for event in events if isinstance(event, PartDeltaEvent)]
    assert isinstance(starts[0], ToolCallPart)
    assert ''.join(getattr(each, 'args_delta', '') for each in deltas) == '{"city":"Rome"}'
    assert len([each for each in deltas if hasattr(each, 'content_delta')]) > 2


async def test_an_output_is_read_from_its_arguments():
    """An agent with an output type and no tools gets the arguments alone."""
    async with model_that_says('{"town": "Rome", "people": 3}') as (model, server):
        result = await Agent(model, output_type=Place).run('Three Romans.')

    assert result.output == Place(town='Rome', people=3)
    assert server.requests[0].find('response_format', 'json_schema', 'schema', 'required') == ['town', 'people']


async def test_an_output_beside_tools_is_a_choice():
    """With tools, the output is one of the choices, in both of its modes."""
    wanted = {'town': 'Rome', 'people': 3}
    async with model_that_says(choice('final_result', **wanted), choice('final_answer', **wanted)) as (model, _):
        by_tool = await clerk(model, output_type=Place)[0].run('Three Romans.')
        native = await clerk(model, output_type=NativeOutput(Place))[0].run('Three Romans.')

    assert by_tool.output == native.output == Place(**wanted)


async def test_a_wrong_output_is_asked_for_again():
    """What does not validate is told to the model, which tries again."""
    async with model_that_says('{"town": "Rome", "people": "many"}', '{"town": "Rome", "people": 3}') as (
        model,
        server,
    ):
        result = await Agent(model, output_type=Place).run('Some Romans.')

    assert result.output.people == 3
    told = server.requests[1].json['messages'][-1]['content']
    assert 'final_result failed.' in told


async def test_an_answer_that_is_cut_off_is_not_taken_for_text():
    """The beginning of a choice is no output; that the limit of tokens was reached is told."""
    cut = Answer('{"tool": "wea', finish='length')
    async with model_that_says(cut, cut) as (model, _):
        with pytest.raises(Exception, match='token limit'):
            await clerk(model)[0].run('How is Rome?')


async def test_a_server_that_binds_to_nothing_gives_text():
    """Plain text is an answer, where one is allowed."""
    async with model_that_says('Just text.') as (model, _):
        assert (await clerk(model)[0].run('Hello')).output == 'Just text.'


async def test_small_models_are_asked_carefully():
    """Without settings the answer has a limit and no chance in it; settings go over that."""
    async with model_that_says('One.', 'Two.') as (model, server):
        agent = Agent(model)
        await agent.run('Hello')
        await agent.run('Hello', model_settings={'temperature': 0.5, 'stop_sequences': ['.'], 'seed': 7})

    first, second = (request.json for request in server.requests)
    assert 1024 in (first.get('max_tokens'), first.get('max_completion_tokens'))
    assert (first['temperature'], second['temperature']) == (0.0, 0.5)
    assert (second['stop'], second['seed']) == (['.'], 7)


async def test_a_conversation_that_is_too_long_says_what_to_do():
    """The server's refusal is told with the numbers and the remedy."""
    body = {
        'error': {'type': 'exceed_context_size_error', 'n_prompt_tokens': 9000, 'n_ctx': 8192, 'message': 'too long'}
    }
    async with model_that_says(Raw(json.dumps(body).encode(), status=400, content_type='application/json')) as (
        model,
        _,
    ):
        with pytest.raises(ModelAPIError, match=r'has 9000 tokens, .* started for 8192\. Shorten .*n_ctx='):
            await Agent(model).run('Hello')


async def test_other_refusals_are_passed_on():
    """What the server says is told as it is."""
    async with model_that_says(HttpError(400)) as (model, _):
        with pytest.raises(ModelHTTPError, match='status_code: 400'):
            await Agent(model).run('Hello')


async def test_local_models_obey_the_switch_for_tests():
    """While requests are not allowed, none is made to a local model either."""
    async with model_that_says('One.') as (model, server):
        with override_allow_model_requests(False), pytest.raises(RuntimeError, match='not allowed'):
            await Agent(model).run('Hello')

    assert server.requests == []


async def test_weights_that_are_not_here_are_never_fetched_by_a_run():
    """A run says which command fetches them."""
    with pytest.raises(UserError, match=r'plait models pull smollm2-135m \(94 MiB, licence Apache-2.0\)'):
        await Agent('local:smollm2-135m').run('Hello')


@pytest.mark.parametrize(('name', 'found'), [('local', 'qwen2.5-coder-0.5b'), ('local:smollm2-135m', 'smollm2-135m')])
def test_names_of_local_models(name: str, found: str):
    """`'local'` means the default, and a name behind a colon that model."""
    model = infer_model(name)

    assert isinstance(model, LocalModel)
    assert (model.model_name, model.system, repr(model)) == (found, 'local', f'LocalModel({found!r})')


def test_unknown_names_are_refused_where_the_agent_is_written():
    """A name that is no model is told at once."""
    with pytest.raises(UserError, match="Unknown local model: 'qwen'"):
        Agent('local:qwen')
