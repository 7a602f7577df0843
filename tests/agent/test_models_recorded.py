"""A model that is recorded once: what is written, what is given again, and what a miss says."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from plait_agent.builtin_tools import MCPServerTool
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    BinaryContent,
    FilePart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models import Model, ModelRequestParameters
from plait_agent.models.fallback import FallbackModel
from plait_agent.models.function import AgentInfo, FunctionModel
from plait_agent.models.recorded import RecordedModel, RecordingMismatch
from plait_agent.models.test import TestModel
from plait_agent.profiles import ModelProfile
from plait_agent.settings import ModelSettings
from plait_agent.tools import ToolDefinition
from plait_agent.usage import RequestUsage

PLAIN = ModelRequestParameters()


class Counting:
    """A model that counts its answers."""

    def __init__(self) -> None:
        self.asked = 0
        self.model = FunctionModel(self.answer, stream_function=self.stream, model_name='counting')

    def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked += 1
        return ModelResponse([TextPart(f'answer number {self.asked}')])

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        self.asked += 1
        yield 'answer number '
        yield str(self.asked)


def question(text: str = 'hello') -> list[ModelMessage]:
    """A history of one question, made anew."""
    return [ModelRequest.user_text_prompt(text)]


async def ask(model: Model, text: str = 'hello') -> str | None:
    """The text of an answer."""
    return (await model.request(question(text), None, PLAIN)).text


async def read(model: Model, text: str = 'hello') -> tuple[list[str], ModelResponse]:
    """The kinds of the events of a stream, and the response at its end."""
    async with model.request_stream(question(text), None, PLAIN) as stream:
        return [event.event_kind async for event in stream], stream.get()


def written(path: Path) -> str:
    """What is in the file."""
    return path.read_text(encoding='utf-8') if path.exists() else ''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet, in a folder that is not there either."""
    return tmp_path / 'recordings' / 'model.jsonl'


async def test_a_recorded_answer_is_given_again_without_the_model(path: Path) -> None:
    """What was recorded is replayed from the file alone, with all that the response has."""
    live = await RecordedModel(Counting().model, path, mode='record').request(question(), None, PLAIN)

    replayed = await RecordedModel(None, path).request(question(), None, PLAIN)

    assert replayed.timestamp > live.timestamp
    replayed.timestamp = live.timestamp
    assert replayed == live


async def test_a_replay_may_be_streamed(path: Path) -> None:
    """What was recorded in a plain request is told word by word, and ends as the same response."""
    live = await RecordedModel(Counting().model, path, mode='record').request(question(), None, PLAIN)

    told, response = await read(RecordedModel(None, path))

    assert told == ['part_start', 'final_result', *['part_delta'] * 3, 'part_end']
    assert (response.parts, response.usage) == (live.parts, live.usage)


async def test_a_stream_may_be_recorded(path: Path) -> None:
    """A stream is passed on as it comes, and recorded at its end, also if it was left early."""
    counting = Counting()
    async with RecordedModel(counting.model, path, mode='record').request_stream(question(), None, PLAIN) as stream:
        async for _ in stream:
            break

    assert await ask(RecordedModel(None, path)) == 'answer number 1'


async def test_a_stream_that_failed_is_not_recorded(path: Path) -> None:
    """What a program stopped with an error is not an answer."""
    model = RecordedModel(Counting().model, path, mode='record')
    with pytest.raises(KeyError):
        async with model.request_stream(question(), None, PLAIN):
            raise KeyError

    assert not written(path)


async def test_auto_asks_for_what_is_not_recorded(path: Path) -> None:
    """The model is asked once for each request; the file grows by what is new."""
    first, second = Counting(), Counting()
    for counting in (first, second):
        model = RecordedModel(counting.model, path, mode='auto')
        assert [await ask(model), await ask(model)] == ['answer number 1'] * 2
    await ask(RecordedModel(second.model, path, mode='auto'), 'something else')

    assert (first.asked, second.asked) == (1, 1)
    assert len(written(path).splitlines()) == 3


async def test_record_asks_again_and_begins_a_new_file(path: Path) -> None:
    """In the mode `record` nothing comes from the file, and what was in it is gone."""
    await ask(RecordedModel(Counting().model, path, mode='record'), 'old')
    counting = Counting()
    model = RecordedModel(counting.model, path, mode='record')

    assert [await ask(model), await ask(model)] == ['answer number 1', 'answer number 2']
    with pytest.raises(RecordingMismatch):
        await ask(RecordedModel(None, path), 'old')


async def test_several_answers_to_one_request_come_in_turn(path: Path) -> None:
    """A request that was made twice gets its answers in the recorded order, and then the last one again."""
    recording = RecordedModel(Counting().model, path, mode='record')
    await ask(recording)
    await ask(recording)
    model = RecordedModel(None, path)

    assert [await ask(model) for _ in range(3)] == ['answer number 1', 'answer number 2', 'answer number 2']


async def test_ids_and_times_make_no_difference(path: Path) -> None:
    """Calls with other generated ids, other times and other runs are the same request."""

    def turn(call_id: str, run_id: str) -> list[ModelMessage]:
        return [
            *question(),
            ModelResponse([ToolCallPart('t', {'a': 1}, call_id)], usage=RequestUsage(input_tokens=len(call_id))),
            ModelRequest([ToolReturnPart('t', 2, call_id, metadata=run_id)], run_id=run_id),
        ]

    await RecordedModel(Counting().model, path, mode='record').request(
        turn('pyd_ai_1', 'r1'), ModelSettings(timeout=1), PLAIN
    )

    assert (await RecordedModel(None, path).request(turn('pyd_ai_23', 'r2'), None, PLAIN)).text == 'answer number 1'


async def test_calls_that_are_answered_crosswise_make_a_difference(path: Path) -> None:
    """Which return is for which call counts, whatever the ids are."""

    def turn(first: str, second: str) -> list[ModelMessage]:
        calls = ModelResponse([ToolCallPart('t', {}, 'a'), ToolCallPart('t', {}, 'b')])
        return [*question(), calls, ModelRequest([ToolReturnPart('t', 1, first), ToolReturnPart('t', 2, second)])]

    await RecordedModel(Counting().model, path, mode='record').request(turn('a', 'b'), None, PLAIN)

    with pytest.raises(RecordingMismatch, match=r'call 2'):
        await RecordedModel(None, path).request(turn('b', 'a'), None, PLAIN)


async def test_a_miss_shows_how_the_nearest_request_differs(path: Path) -> None:
    """The error has a diff against the most similar recorded request, its line, and what can be done."""
    recording = RecordedModel(Counting().model, path, mode='record')
    await ask(recording, 'Tell me of whales.')
    await ask(recording, 'What is the weather in Rome?')

    with pytest.raises(RecordingMismatch) as caught:
        await ask(RecordedModel(None, path), 'What is the weather in Oslo?')

    lines = str(caught.value).splitlines()
    assert '--- recorded, line 3 of model.jsonl' in lines
    assert '-          "content": "What is the weather in Rome?"' in lines
    assert '+          "content": "What is the weather in Oslo?"' in lines
    assert "mode='auto'" in lines[-1]


async def test_a_miss_in_an_empty_recording_says_so(path: Path) -> None:
    """Without a file the error says where nothing is, and how to record."""
    with pytest.raises(RecordingMismatch, match=r"Nothing is recorded in .*model\.jsonl.*mode='auto'"):
        await ask(RecordedModel(TestModel(), path))


async def test_one_says_what_has_to_be_the_same(path: Path) -> None:
    """A function of the request can leave out what changes from time to time."""
    await ask(RecordedModel(Counting().model, path, mode='record'), 'It is 12:00. Hello.')

    def match(request: dict[str, Any]) -> Any:
        return request['messages'][0]['parts'][0]['content'].partition('. ')[2]

    assert await ask(RecordedModel(None, path, match=match), 'It is 12:01. Hello.') == 'answer number 1'


async def test_no_secret_is_written(path: Path) -> None:
    """Headers and keys are dropped wherever they are, in settings and in built-in tools."""
    secret = 'sk-secret'
    settings: Any = {
        'extra_headers': {'Authorization': secret},
        'extra_body': {'api_key': secret, 'deep': [{'password': secret}, {'token': secret}], 'kept': 1},
        'max_tokens': 5,
    }
    tool = MCPServerTool(id='x', url='https://example.com', authorization_token=secret, headers={'X-Key': secret})
    parameters = ModelRequestParameters(builtin_tools=[tool])

    await RecordedModel(Counting().model, path, mode='record').request(question(), settings, parameters)

    assert secret not in written(path)
    (request,) = [json.loads(line)['request'] for line in written(path).splitlines()[1:]]
    assert request['settings'] == {'extra_body': {'deep': [{}, {}], 'kept': 1}, 'max_tokens': 5}


async def test_a_line_of_the_file_can_be_read_by_people(path: Path) -> None:
    """A line has what the model sees, in a fixed order, and what it has answered, without times."""
    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name='t', description='Do it.', metadata={'private': 1})], output_mode='tool'
    )
    await RecordedModel(Counting().model, path, mode='record').request(
        [ModelRequest.user_text_prompt('hello', instructions='Be brief.')], ModelSettings(seed=1), parameters
    )

    header, line = written(path).splitlines()
    assert json.loads(header) == {
        'recording': 1,
        'model_name': 'counting',
        'system': 'function',
        'profile': {'supports_json_schema_output': True, 'supports_json_object_output': True},
    }
    assert line == json.dumps(
        {
            'request': {
                'messages': [
                    {
                        'kind': 'request',
                        'instructions': 'Be brief.',
                        'parts': [{'part_kind': 'user-prompt', 'content': 'hello'}],
                    }
                ],
                'settings': {'seed': 1},
                'parameters': {
                    'function_tools': [
                        {
                            'name': 't',
                            'description': 'Do it.',
                            'parameters_json_schema': {'type': 'object', 'properties': {}},
                        }
                    ],
                    'output_mode': 'tool',
                },
            },
            'response': {
                'parts': [{'content': 'answer number 1', 'part_kind': 'text'}],
                'usage': {'input_tokens': 51, 'output_tokens': 3},
                'model_name': 'counting',
            },
        }
    )


async def test_files_are_known_by_their_hash_and_given_back_whole(path: Path) -> None:
    """Bytes of a request are not written, bytes of an answer are."""
    picture = BinaryContent(b'a picture', media_type='image/png')
    asked: list[ModelMessage] = [ModelRequest([UserPromptPart(['What is this?', picture])])]

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([FilePart(picture)])

    await RecordedModel(FunctionModel(answer), path, mode='record').request(asked, None, PLAIN)
    response = await RecordedModel(None, path).request(asked, None, PLAIN)

    assert [image.data for image in response.images] == [picture.data]
    assert written(path).count(picture.base64) == 1


async def test_any_character_can_be_recorded(path: Path) -> None:
    """Characters that some take for the end of a line are part of a text here."""
    text = 'one\u2028two\x85three\nfour'
    await ask(RecordedModel(TestModel(custom_output_text=text), path, mode='record'), text)

    assert await ask(RecordedModel(None, path), text) == text


async def test_thoughts_and_calls_are_replayed_as_they_were(path: Path) -> None:
    """A replayed stream ends with the very parts that were recorded, and shows them as they grow."""
    parts = [
        ThinkingPart('let me think', id='t1', signature='s', provider_name='p'),
        TextPart('two words', provider_details={'k': 1}),
        ToolCallPart('t', '{"a": 1}', 'id'),
    ]
    model = FunctionModel(lambda _messages, _info: ModelResponse(parts))
    await RecordedModel(model, path, mode='record').request(question(), None, PLAIN)

    async with RecordedModel(None, path).request_stream(question(), None, PLAIN) as stream:
        grown = [stream.get().parts async for _ in stream]

    assert grown[1] == [ThinkingPart('let ', id='t1', signature='s', provider_name='p')]
    assert grown[-1] == parts == stream.get().parts


async def test_a_recording_knows_its_model(path: Path) -> None:
    """Without the model its name, its provider and what it can do come from the file."""
    profile = ModelProfile(supports_json_schema_output=True, default_structured_output_mode='native')
    model = FunctionModel(Counting().answer, model_name='counting', profile=profile, settings=ModelSettings(seed=1))
    recording = RecordedModel(model, path, mode='record')
    await ask(recording)
    replaying = RecordedModel(None, path)

    assert (recording.model_name, recording.system) == (replaying.model_name, replaying.system)
    assert (recording.settings, replaying.settings) == ({'seed': 1}, None)
    assert (recording.base_url, replaying.base_url) == (None, None)
    assert recording.profile is model.profile
    assert replaying.profile == profile
    assert replaying.prepare_request(None, ModelRequestParameters(output_mode='native'))


async def test_a_model_without_profile_can_be_recorded(path: Path) -> None:
    """A fallback has no profile, and is recorded all the same."""
    await ask(RecordedModel(FallbackModel(Counting().model), path, mode='record'))

    assert await ask(RecordedModel(None, path)) == 'answer number 1'


async def test_a_recording_enters_its_model(path: Path) -> None:
    """Entering opens the model behind the recording, if there is one."""

    class Entered(TestModel):
        is_open = False

        async def __aenter__(self) -> 'Entered':
            self.is_open = True
            return self

        async def __aexit__(self, *error: object) -> None:
            self.is_open = False

    inner = Entered()
    async with RecordedModel(inner, path), RecordedModel(None, path):
        assert inner.is_open

    assert not inner.is_open


@pytest.mark.parametrize(
    ('wrapped', 'mode', 'message'),
    [(None, 'record', r'no model'), (None, 'auto', r'no model'), ('test', 'play', r"mode='play'")],
)
def test_a_recording_that_cannot_be_is_refused(path: Path, wrapped: Any, mode: Any, message: str) -> None:
    """Recording needs a model, and there are three modes."""
    with pytest.raises(UserError, match=message):
        RecordedModel(wrapped, path, mode=mode)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('nonsense', r'Line 1 .*model\.jsonl cannot be read'),
        ('{"recording": 9}', r'version 9'),
        ('{"recording": 1}\n{}', r"Line 2 .*\('request'\).*mode='record'"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(path: Path, text: str, message: str) -> None:
    """The error has the file, the line and what can be done."""
    path.parent.mkdir()
    path.write_text(text, encoding='utf-8')

    with pytest.raises(UserError, match=message):
        _ = RecordedModel(None, path).model_name


def test_a_recording_prints_where_it_is(path: Path) -> None:
    """The repr shows model, file and mode."""
    assert repr(RecordedModel(None, path)) == f"RecordedModel(wrapped=None, path={path!r}, mode='replay')"
