"""Errors of the libraries of providers become ours, and tell no keys."""

import json
import pickle

import httpx2
import openai
import pytest

from plait_agent.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior, UserError
from plait_agent.models._origin import Origin, hide_secrets

KEY = 'sk-a-key-that-is-long-enough'
ORIGIN = Origin('acme', 'large', 'https://acme.example/v1', (KEY,))
REQUEST = httpx2.Request('POST', 'https://acme.example/v1/chat')


def status_error(status: int, body: object) -> openai.APIStatusError:
    """An error of a library for an answer with a status."""
    response = httpx2.Response(status, request=REQUEST, headers={'x-request-id': 'req_1'}, json=body)
    return openai.APIStatusError(f'Error code: {status} - {body}', response=response, body=body)


def test_a_status_becomes_an_error_that_says_where_it_came_from() -> None:
    """Provider, model, status, body and the id of the request are in the error and its text."""
    with pytest.raises(ModelHTTPError) as caught, ORIGIN.translating():
        raise status_error(429, {'message': 'too much'})

    assert (caught.value.status_code, caught.value.provider_name, caught.value.request_id) == (429, 'acme', 'req_1')
    assert str(caught.value) == (
        "status_code: 429, model_name: large, body: {'message': 'too much'}, provider: acme, request_id: req_1"
    )


def test_a_key_that_a_server_repeats_is_told_nowhere() -> None:
    """Neither our error nor the library's, which is printed as its cause, has the key."""
    with pytest.raises(ModelHTTPError) as caught, ORIGIN.translating():
        raise status_error(401, {'message': f'Incorrect key: {KEY}', 'more': [KEY]})

    cause = caught.value.__cause__
    assert isinstance(cause, openai.APIStatusError)
    for told in (str(caught.value), repr(caught.value.body), str(cause), repr(cause.body), cause.message):
        assert KEY not in told
        assert 'hidden' in told


@pytest.mark.parametrize(
    'error',
    [
        openai.APIConnectionError(request=REQUEST),
        openai.APITimeoutError(request=REQUEST),
        httpx2.ReadTimeout('too slow', request=REQUEST),
        httpx2.RemoteProtocolError('cut', request=REQUEST),
        ConnectionResetError('reset'),
    ],
)
def test_a_provider_that_cannot_be_reached_is_an_api_error(error: Exception) -> None:
    """What the network does is an error of the provider, with its name and the model."""
    with pytest.raises(ModelAPIError, match='model_name: large, provider: acme') as caught, ORIGIN.translating():
        raise error

    assert not isinstance(caught.value, ModelHTTPError)
    assert caught.value.__cause__ is error


def test_an_answer_that_is_no_json_is_unexpected() -> None:
    """What cannot be read is not taken for an error of the network."""
    with pytest.raises(UnexpectedModelBehavior, match=r'cannot be read .* provider: acme'), ORIGIN.translating():
        json.loads('{"cut')


@pytest.mark.parametrize('error', [UserError('mine'), ZeroDivisionError('bug'), UnexpectedModelBehavior('told')])
def test_errors_of_the_program_pass(error: Exception) -> None:
    """What is no fault of the provider is not blamed on it."""
    with pytest.raises(type(error)) as caught, ORIGIN.translating():
        raise error

    assert caught.value is error


@pytest.mark.parametrize(
    'error',
    [
        ModelHTTPError(500, 'large', {'a': 1}, provider_name='acme', request_id='req_1'),
        ModelAPIError('large', 'gone', provider_name='acme'),
    ],
)
def test_errors_of_providers_can_be_sent_to_other_processes(error: ModelAPIError) -> None:
    """All that they say survives."""
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_words_in_the_place_of_keys_are_no_secrets() -> None:
    """A short word that a server without keys is given would hide ordinary text."""
    assert hide_secrets('an ollama model', ('ollama',)) == 'an ollama model'


def test_an_origin_prints_no_secrets() -> None:
    """Its repr may come into logs."""
    assert KEY not in repr(ORIGIN)
