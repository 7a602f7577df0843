"""Every fault, met by every model, streamed and not: a right result, or an error that says what went wrong where."""

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from real_models import KEY, KINDS, Kind, make_client, problems, readers_may_be_left, run, serving

from plait_agent import Agent
from plait_agent.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior
from plait_agent.models import Model
from plait_agent.models.fallback import FallbackModel
from plait_agent.testing import (
    Answer,
    Behavior,
    Call,
    Cut,
    Disconnect,
    ErrorEvent,
    Framing,
    Garbled,
    HttpError,
    MisbehavingServer,
    Newer,
    Noise,
    Raw,
    Redirect,
    Silence,
    Slow,
    Stall,
    WrongType,
    refusing_url,
)

pytestmark = readers_may_be_left

TEXT = 'Grüße aus Köln: ☂ and 𝄞, nothing "else"\n\n\\o/'
GOOD = Answer(TEXT)
each_kind = pytest.mark.parametrize('kind', KINDS, ids=lambda kind: kind.api)
whole_and_streamed = pytest.mark.parametrize('streamed', [False, True], ids=['whole', 'streamed'])

HARMLESS = {
    'good': GOOD,
    'letter by letter': Answer(TEXT, delta=1),
    'torn apart': Answer(TEXT, framing=Framing(packet=1)),
    'other line ends': Answer(TEXT, framing=Framing(newline='\r\n', packet=2)),
    'plain line ends': Answer(TEXT, framing=Framing(newline='\n')),
    'comments': Answer(TEXT, framing=Framing(comments=True)),
    'a byte order mark': Answer(TEXT, framing=Framing(bom=True)),
    'fields and events of tomorrow': Newer(GOOD),
    'lines without a meaning': Garbled('line', answer=GOOD),
    'slow': Slow(GOOD, first=0.002, between=0.0005),
}
CONNECTION = {
    'closed': Disconnect(),
    'broken off': Disconnect(reset=True),
    'no HTTP': Noise(),
    'cut at the start': Cut('start', GOOD),
    'cut before the content': Cut('content', GOOD),
    'cut in the middle': Cut('middle', GOOD),
    'broken off in the middle': Cut('middle', GOOD, reset=True),
    'cut at the end': Cut('end', GOOD),
}
UNREADABLE = {
    'ended at the start': Cut('start', GOOD, cleanly=True),
    'ended before the content': Cut('content', GOOD, cleanly=True),
    'ended in the middle': Cut('middle', GOOD, cleanly=True),
    'no JSON': Garbled('json', answer=GOOD),
    'empty': Raw(),
    'a page': Raw(b'<html><body>Please log in.</body></html>', content_type='text/html'),
    'a list': Raw(b'[]', content_type='application/json'),
    'a record of something else': Raw(b'{"weather": "sunny"}', content_type='application/json'),
    'no gzip': Raw(b'not compressed', headers={'content-encoding': 'gzip'}),
}
ERRORS: dict[str, HttpError] = {
    **{str(status): HttpError(status, 'What is wrong.') for status in (400, 401, 403, 404, 413, 422, 429)},
    **{str(status): HttpError(status, 'What is wrong.') for status in (500, 501, 503, 529)},
    '429 with a wait': HttpError(429, 'What is wrong.', retry_after=1),
    '502 with a page': HttpError(502, form='html'),
    '503 with nothing': HttpError(503, form='empty'),
    '401 that repeats the key': HttpError(401, f'Incorrect API key provided: {KEY}. What is wrong.'),
}


def faults(table: dict[str, Any]) -> Any:
    """A case for each fault of a table."""
    return pytest.mark.parametrize('fault', table.values(), ids=table.keys())


def check_error(error: object, kind: Kind, request_id: str | None) -> None:
    """See to it that an error is one of ours and says what is to be said."""
    assert isinstance(error, (ModelAPIError, UnexpectedModelBehavior)), error
    assert problems(error, kind, request_id) == [], error


@each_kind
@whole_and_streamed
@faults(HARMLESS)
async def test_what_is_only_strange_is_understood(fault: Behavior, kind: Kind, streamed: bool):
    """Every right way to say an answer gives the right answer."""
    async with serving(kind, fault) as (model, _):
        assert await run(model, streamed) == TEXT


@each_kind
@whole_and_streamed
@faults(CONNECTION)
async def test_a_connection_that_breaks_is_an_error(fault: Behavior, kind: Kind, streamed: bool):
    """An answer that is not whole is never taken for one."""
    async with serving(kind, fault) as (model, _):
        error = await run(model, streamed)

    check_error(error, kind, None)
    assert isinstance(error, ModelAPIError)


@each_kind
@whole_and_streamed
@faults(UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_an_error(fault: Behavior, kind: Kind, streamed: bool):
    """Half an answer, a page, and what is no JSON are named as what they are."""
    async with serving(kind, fault) as (model, _):
        error = await run(model, streamed)

    check_error(error, kind, None)


@each_kind
@whole_and_streamed
async def test_bytes_that_are_no_text_are_refused_or_seen(kind: Kind, streamed: bool):
    """Google's library puts a sign in the place of such bytes; the others refuse them."""
    async with serving(kind, Garbled('utf-8', answer=GOOD)) as (model, _):
        result = await run(model, streamed)

    if not isinstance(result, str):
        check_error(result, kind, None)
    else:
        assert (kind.api, '\ufffd' in result) == ('google', True)


@each_kind
@whole_and_streamed
@faults(ERRORS)
async def test_an_error_is_told_with_all_that_is_known(fault: HttpError, kind: Kind, streamed: bool):
    """Status, body, provider, model and the id of the request are in it; the key is not, though it was repeated."""
    async with serving(kind, fault) as (model, _):
        error = await run(model, streamed)

    check_error(error, kind, 'req_1')
    assert isinstance(error, ModelHTTPError)
    assert error.status_code == fault.status
    assert f'status_code: {fault.status}' in str(error)
    assert fault.form != 'api' or 'What is wrong.' in str(error)


@each_kind
@pytest.mark.parametrize('where', ['start', 'content', 'middle', 'end'])
async def test_an_error_within_a_stream_is_an_error(kind: Kind, where: Any):
    """Wherever it comes, it is told in the provider's words."""
    async with serving(kind, ErrorEvent(where, GOOD, message='What is wrong.')) as (model, _):
        error = await run(model, True)

    check_error(error, kind, None)
    assert isinstance(error, ModelAPIError)
    assert 'What is wrong.' in str(error)


@each_kind
@whole_and_streamed
async def test_an_answer_of_another_type_is_right_or_refused(kind: Kind, streamed: bool):
    """What calls itself plain text is read all the same, or is named as what it is."""
    async with serving(kind, WrongType(answer=GOOD)) as (model, _):
        result = await run(model, streamed)

    if result != TEXT:
        check_error(result, kind, None)


@each_kind
@whole_and_streamed
async def test_a_redirect_is_not_followed(kind: Kind, streamed: bool):
    """A key is sent nowhere else, and the error says where to."""
    async with serving(kind, [Redirect(), GOOD]) as (model, server):
        check_error(await run(model, streamed), kind, None)

        assert len(server.requests) == 1


@each_kind
@whole_and_streamed
async def test_a_refused_connection_is_an_error(kind: Kind, streamed: bool):
    """Nobody there is said so, with provider and model."""
    with refusing_url() as url:
        async with make_client() as client:
            error = await run(kind.make(url, client), streamed)

    check_error(error, kind, None)
    assert isinstance(error, ModelAPIError)


@each_kind
@whole_and_streamed
@faults({'never': Silence(), 'not further': Stall('middle', GOOD)})
async def test_a_server_that_hangs_is_left_in_time(fault: Behavior, kind: Kind, streamed: bool):
    """The time-out of the settings ends it, and the connection is not kept."""
    async with serving(kind, fault) as (model, server):
        error = await run(model, streamed, model_settings={'timeout': 0.1})

        check_error(error, kind, None)
        assert isinstance(error, ModelAPIError)
        assert len(server.requests) == 1


CALL = Call('remember', {'text': 'Grüße ☂ ' * 40}, 'call_1')


def remembering(model: Model) -> tuple[Agent, list[str]]:
    """An agent with a tool, and what the tool was told."""
    agent = Agent(model)
    told: list[str] = []

    @agent.tool_plain
    def remember(text: str) -> str:
        told.append(text)
        return 'remembered'

    return agent, told


async def drain(agent: Agent, streamed: bool) -> str:
    """The output of a run with tools."""
    if not streamed:
        return (await agent.run('Hi')).output
    async with agent.run_stream('Hi') as result:
        return await result.get_output()


@each_kind
@whole_and_streamed
@pytest.mark.parametrize('framing', [Framing(), Framing(packet=5, comments=True)], ids=['plain', 'torn'])
async def test_a_call_in_hundreds_of_pieces_is_put_together(framing: Framing, kind: Kind, streamed: bool):
    """Each piece of the arguments is in its place."""
    script = [Answer(calls=(CALL,), delta=1, framing=framing), GOOD]
    async with serving(kind, script) as (model, _):
        agent, told = remembering(model)

        assert await drain(agent, streamed) == TEXT

    assert told == [CALL.arguments['text']]  # type: ignore[index]


@each_kind
@whole_and_streamed
async def test_an_id_that_comes_twice_is_one_call(kind: Kind, streamed: bool):
    """No call is made twice, whatever a provider does, and the run goes on."""
    twice = Answer(calls=(Call('remember', {'text': 'a'}, 'same'), Call('remember', {'text': 'b'}, 'same')))
    async with serving(kind, [twice, GOOD]) as (model, server):
        agent, told = remembering(model)

        assert await drain(agent, streamed) == TEXT
        assert len(server.requests) == 2

    assert told == ['a']


@pytest.mark.parametrize('kind', KINDS[:3], ids=lambda kind: kind.api)
@whole_and_streamed
@pytest.mark.parametrize('arguments', ['{"text": "a', 'nothing', '[]', '""'])
async def test_arguments_that_are_broken_go_back_to_the_model(arguments: str, kind: Kind, streamed: bool):
    """The model is told and tries again; Google's API has no place for such arguments."""
    script = [Answer(calls=(Call('remember', arguments, 'c1'),)), Answer(calls=(CALL,)), GOOD]
    async with serving(kind, script) as (model, server):
        agent, told = remembering(model)

        assert await drain(agent, streamed) == TEXT
        assert len(server.requests) == 3

    assert len(told) == 1


FIRST_FAILS: dict[str, Sequence[Behavior]] = {
    'an error': [HttpError(529)],
    'no connection': [Disconnect()],
    'before anything': [Cut('start')],
    'before the first token': [Cut('content')],
    'an error before anything': [ErrorEvent('start')],
    'an error before the first token': [ErrorEvent('content')],
}


@each_kind
@faults(FIRST_FAILS)
async def test_a_fallback_goes_on_until_the_first_token(fault: Sequence[Behavior], kind: Kind):
    """Roles and empty parts are no answer yet; the next model is asked."""
    async with MisbehavingServer(fault) as broken, MisbehavingServer(GOOD) as good, make_client() as client:
        model = FallbackModel(kind.make(broken.url, client), kind.make(good.url, client))

        assert await run(model, True) == TEXT


@each_kind
async def test_a_fallback_does_not_start_again_in_the_middle(kind: Kind):
    """What has been shown cannot be taken back, so the error comes out."""
    async with MisbehavingServer(Cut('middle')) as broken, MisbehavingServer(GOOD) as good, make_client() as client:
        model = FallbackModel(kind.make(broken.url, client), kind.make(good.url, client))

        check_error(await run(model, True), kind, None)
        assert good.requests == []


@each_kind
@whole_and_streamed
async def test_what_passes_is_tried_again_by_the_policy(kind: Kind, streamed: bool):
    """Three attempts in all, by one policy: the provider's library adds none."""
    async with MisbehavingServer([HttpError(529), Disconnect(), GOOD]) as server, make_client(3) as client:
        assert await run(kind.make(server.url, client), streamed) == TEXT
    async with MisbehavingServer(HttpError(503)) as server, make_client(3) as client:
        check_error(await run(kind.make(server.url, client), streamed), kind, 'req_3')

        assert len(server.requests) == 3


@each_kind
@whole_and_streamed
async def test_a_caller_that_goes_leaves_no_connection(kind: Kind, streamed: bool):
    """A run that is cancelled in the middle of an answer closes it."""
    async with serving(kind, Stall('middle', GOOD)) as (model, server):
        with anyio.move_on_after(0.1) as scope:
            await run(model, streamed)
        with anyio.fail_after(5):
            while server.open_connections:
                await anyio.lowlevel.checkpoint()

    assert scope.cancelled_caught
