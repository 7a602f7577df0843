"""Calls that are left to others, and what became of them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from plait_agent.exceptions import ModelRetry, UserError
from plait_agent.messages import RetryPromptPart, ToolCallPart, ToolReturn
from plait_agent.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied

REQUESTS = DeferredToolRequests(
    calls=[ToolCallPart('look', {'x': 1}, 'c1')],
    approvals=[ToolCallPart('delete', '{}', 'a1'), ToolCallPart('delete', None, 'a2')],
    metadata={'a1': {'why': 'large'}},
)


def through_json(record):
    """What a record is after it was stored and loaded."""
    adapter = TypeAdapter(type(record))
    return adapter.validate_json(adapter.dump_json(record))


def test_requests_can_be_stored():
    """They come back as they were."""
    assert through_json(REQUESTS) == REQUESTS
    assert through_json(DeferredToolRequests()) == DeferredToolRequests()


def test_results_of_every_kind_can_be_stored():
    """What says its kind comes back as what it was, and everything else is a value."""
    results = DeferredToolResults(
        calls={
            'returned': ToolReturn('value', content='more', metadata={'m': 1}),
            'retry': ModelRetry('again'),
            'part': RetryPromptPart('why', tool_name='look', tool_call_id='part'),
            'number': 5,
            'dictionary': {'kind': 'fish'},
            'nothing': None,
        },
        approvals={'yes': True, 'no': False, 'with': ToolApproved(override_args={'x': 2}), 'not': ToolDenied('never')},
        metadata={'yes': {'by': 'me'}},
    )

    assert through_json(results) == results
    assert TypeAdapter(DeferredToolResults).validate_python(results) == results


def test_results_can_be_written_by_hand():
    """A program in another language writes the kinds, and may leave out what is not there."""
    loaded = TypeAdapter(DeferredToolResults).validate_json(
        """{"calls": {"a": {"kind": "tool-return", "return_value": 3}, "b": {"kind": "model-retry", "message": "m"},
                      "c": {"kind": "tool-return"}},
            "approvals": {"d": {"kind": "tool-denied"}, "e": {"kind": "tool-approved"}}}"""
    )

    assert loaded == DeferredToolResults(
        calls={'a': ToolReturn(3), 'b': ModelRetry('m'), 'c': {'kind': 'tool-return'}},
        approvals={'d': ToolDenied(), 'e': ToolApproved()},
    )


def test_an_approval_of_another_kind_is_refused():
    """A decision is one of those that there are."""
    with pytest.raises(ValidationError, match='maybe'):
        TypeAdapter(DeferredToolResults).validate_python({'approvals': {'a': {'kind': 'maybe'}}})


def test_records_print_all_their_fields():
    """As plain dataclasses do."""
    assert repr(DeferredToolRequests()) == 'DeferredToolRequests(calls=[], approvals=[], metadata={})'
    assert repr(DeferredToolResults()) == 'DeferredToolResults(calls={}, approvals={}, metadata={})'
    assert repr(ToolApproved()) == "ToolApproved(override_args=None, kind='tool-approved')"
    assert repr(ToolDenied()) == "ToolDenied(message='The tool call was denied.', kind='tool-denied')"


def test_results_are_built_from_requests():
    """What is not said about a call is not decided."""
    results = REQUESTS.build_results(approvals={'a1': ToolDenied('no')}, calls={'c1': 7}, metadata={'a1': {'by': 'me'}})

    assert results == DeferredToolResults(
        calls={'c1': 7}, approvals={'a1': ToolDenied('no')}, metadata={'a1': {'by': 'me'}}
    )
    assert REQUESTS.build_results() == DeferredToolResults()


def test_all_other_calls_can_be_approved():
    """What was said about a call goes before, also if it is a result for it."""
    assert REQUESTS.build_results(approve_all=True).approvals == {'a1': ToolApproved(), 'a2': ToolApproved()}
    assert REQUESTS.build_results(approve_all=True, approvals={'a1': False}).approvals == {
        'a1': False,
        'a2': ToolApproved(),
    }
    assert REQUESTS.build_results(approve_all=True, calls={'a2': 'done'}) == DeferredToolResults(
        calls={'a2': 'done'}, approvals={'a1': ToolApproved()}
    )


@pytest.mark.parametrize(
    ('given', 'known'),
    [
        ({'approvals': {'zz': True}}, ['a1', 'a2']),
        ({'approvals': {'c1': True}}, ['a1', 'a2']),
        ({'calls': {'zz': 1}}, ['a1', 'a2', 'c1']),
        ({'metadata': {'zz': {}}}, ['a1', 'a2', 'c1']),
    ],
    ids=['unknown approval', 'approval of a call', 'unknown call', 'unknown metadata'],
)
def test_results_for_other_calls_are_refused(given, known):
    """Field and id are named, and the ids that there are."""
    ((field, results),) = given.items()
    (call_id,) = results

    with pytest.raises(UserError) as caught:
        REQUESTS.build_results(**given)

    assert str(caught.value) == (
        f'The `{field}` have a result for call {call_id!r}, which waits for none. Give results for these: {known}.'
    )


def test_what_remains_is_what_has_no_result():
    """Nothing remains when all calls have one."""
    some = REQUESTS.build_results(approvals={'a1': False})
    other = REQUESTS.build_results(approvals={'a2': True}, calls={'c1': None})

    assert REQUESTS.remaining(some) == DeferredToolRequests(REQUESTS.calls, REQUESTS.approvals[1:])
    assert REQUESTS.remaining(other) == DeferredToolRequests([], REQUESTS.approvals[:1], {'a1': {'why': 'large'}})
    assert REQUESTS.remaining(REQUESTS.build_results(approve_all=True, calls={'c1': 1})) is None
