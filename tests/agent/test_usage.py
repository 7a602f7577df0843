"""What is counted, how it is added up, and when it is too much."""

import copy
import dataclasses
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from plait_agent.exceptions import UsageLimitExceeded, UserError
from plait_agent.usage import RequestUsage, RunUsage, Usage, UsageLimits

FULL = {
    'input_tokens': 1,
    'cache_write_tokens': 2,
    'cache_read_tokens': 3,
    'output_tokens': 4,
    'input_audio_tokens': 5,
    'cache_audio_read_tokens': 6,
    'output_audio_tokens': 7,
}


# Counting


def test_usages_print_what_is_not_zero():
    """A repr has the counters that have counted."""
    assert repr(RequestUsage()) == 'RequestUsage()'
    assert repr(RunUsage(requests=1, output_tokens=4, details={'a': 1}, input_tokens=51)) == (
        "RunUsage(input_tokens=51, output_tokens=4, details={'a': 1}, requests=1)"
    )


def test_a_usage_knows_whether_anything_was_used():
    """Any counter counts, and so do details."""
    assert not RequestUsage().has_values()
    assert not RunUsage().has_values()
    assert RequestUsage(details={'a': 0}).has_values()
    assert RunUsage(tool_calls=1).has_values()


def test_totals():
    """The total is prompts and answers; a request is one request."""
    usage = RequestUsage(input_tokens=3, output_tokens=4, cache_read_tokens=2)

    assert (usage.total_tokens, usage.requests) == (7, 1)


def test_former_names_of_counters_warn():
    """Former names still work and say what to use."""
    usage = RunUsage(input_tokens=3, output_tokens=4)

    with pytest.warns(DeprecationWarning, match='`input_tokens`'):
        assert usage.request_tokens == 3
    with pytest.warns(DeprecationWarning, match='`output_tokens`'):
        assert usage.response_tokens == 4
    with pytest.warns(DeprecationWarning, match='`RunUsage`'):
        assert isinstance(Usage(requests=1), RunUsage)


def test_spans_are_told_what_was_counted():
    """Attributes have the main counters, and all others as details, if they have counted."""
    usage = RequestUsage(**FULL, details={'reasoning': 8, 'none': 0})

    assert usage.opentelemetry_attributes() == {
        'gen_ai.usage.input_tokens': 1,
        'gen_ai.usage.output_tokens': 4,
        'gen_ai.usage.details.reasoning': 8,
        'gen_ai.usage.details.cache_write_tokens': 2,
        'gen_ai.usage.details.cache_read_tokens': 3,
        'gen_ai.usage.details.input_audio_tokens': 5,
        'gen_ai.usage.details.cache_audio_read_tokens': 6,
        'gen_ai.usage.details.output_audio_tokens': 7,
    }
    assert RequestUsage().opentelemetry_attributes() == {}


@pytest.mark.parametrize('kind', [RequestUsage, RunUsage])
def test_older_usages_load(kind: Any):
    """Former names, null details and counters that are gone are understood."""
    old = {'request_tokens': 3, 'response_tokens': 4, 'total_tokens': 7, 'details': None}

    assert TypeAdapter(kind).validate_python(old) == kind(input_tokens=3, output_tokens=4)


# Adding

counts = st.integers(0, 1000)
request_usages = st.builds(
    RequestUsage, **dict.fromkeys(FULL, counts), details=st.dictionaries(st.sampled_from('abc'), counts)
)
run_usages = st.builds(
    RunUsage,
    **dict.fromkeys([*FULL, 'requests', 'tool_calls'], counts),
    details=st.dictionaries(st.sampled_from('abc'), counts),
)


def summed(first: Any, second: Any) -> dict[str, Any]:
    """The sum of two usages, counter by counter; details that are zero may be missing."""
    names = {field.name for field in dataclasses.fields(first)}
    added = {field.name for field in dataclasses.fields(second)}
    sums: dict[str, Any] = {
        name: getattr(first, name) + (getattr(second, name) if name in added else 0) for name in names - {'details'}
    }
    keys = {*first.details, *second.details}
    return sums | {'details': {key: first.details.get(key, 0) + second.details.get(key, 0) for key in keys}}


@given(request_usages | run_usages, request_usages | run_usages)
def test_a_sum_is_new_and_complete(first: Any, second: Any):
    """`+` adds every counter and changes neither side; adding a request's usage counts no request."""
    before = copy.deepcopy((first, second))

    total = first + second

    assert type(total) is type(first)
    assert dataclasses.asdict(total) == summed(first, second)
    assert (first, second) == before
    assert total.details is not first.details


@given(request_usages, request_usages)
def test_a_usage_can_be_added_to(first: RequestUsage, second: RequestUsage):
    """`incr` adds to the record itself what `+` adds to a new one."""
    expected, run = first + second, RunUsage() + first

    first.incr(second)
    run.incr(second)

    assert first == expected
    assert run == RunUsage() + expected


def test_a_usage_adds_to_usages_alone():
    """A number is no usage."""
    with pytest.raises(TypeError, match='unsupported operand'):
        RunUsage() + 1


# Limits


def test_limits_print_what_was_set():
    """A repr has the limits that differ from the defaults."""
    assert repr(UsageLimits()) == 'UsageLimits()'
    assert repr(UsageLimits(request_limit=None, cost_limit=0.5)) == 'UsageLimits(request_limit=None, cost_limit=0.5)'


def test_former_names_of_limits():
    """Former names are taken for the new ones, which win; reading them warns."""
    limits = UsageLimits(request_tokens_limit=1, response_tokens_limit=2)

    assert limits == UsageLimits(input_tokens_limit=1, output_tokens_limit=2)
    assert UsageLimits(input_tokens_limit=0, request_tokens_limit=1).input_tokens_limit == 0
    with pytest.warns(DeprecationWarning, match='`input_tokens_limit`'):
        assert limits.request_tokens_limit == 1
    with pytest.warns(DeprecationWarning, match='`output_tokens_limit`'):
        assert limits.response_tokens_limit == 2


def test_limits_can_be_copied_with_changes():
    """Limits are a dataclass like any other."""
    limits = UsageLimits(total_tokens_limit=3, deadline=timedelta(minutes=1))

    assert dataclasses.replace(limits, request_limit=7) == UsageLimits(
        request_limit=7, total_tokens_limit=3, deadline=timedelta(minutes=1)
    )


def test_only_limits_on_tokens_are_token_limits():
    """Nothing but tokens counts, and zero is a limit."""
    assert not UsageLimits(tool_calls_limit=1, cost_limit=1).has_token_limits()
    for name in ('input', 'output', 'total'):
        assert UsageLimits(**{f'{name}_tokens_limit': 0}).has_token_limits()


@pytest.mark.parametrize(
    ('limits', 'usage', 'message'),
    [
        ({}, {'requests': 50}, 'The next request would exceed the request_limit of 50'),
        ({'request_limit': 0}, {}, 'The next request would exceed the request_limit of 0'),
        (
            {'input_tokens_limit': 1},
            {'input_tokens': 2},
            'The next request would exceed the input_tokens_limit of 1 (input_tokens=2)',
        ),
        (
            {'total_tokens_limit': 1},
            {'input_tokens': 1, 'output_tokens': 1},
            'The next request would exceed the total_tokens_limit of 1 (total_tokens=2)',
        ),
    ],
)
def test_a_request_too_much_is_not_made(limits: dict[str, int], usage: dict[str, int], message: str):
    """Before a request there is an error if it would be one too many, or the prompt alone is too long."""
    with pytest.raises(UsageLimitExceeded) as raised:
        UsageLimits(**limits).check_before_request(RunUsage(**usage))

    assert str(raised.value) == message


@pytest.mark.parametrize('name', ['input_tokens', 'output_tokens', 'total_tokens'])
def test_tokens_too_many_are_told(name: str):
    """After a response there is an error if more tokens were used than there might be."""
    used = RunUsage(**{'input_tokens' if name == 'total_tokens' else name: 3})

    with pytest.raises(UsageLimitExceeded) as raised:
        UsageLimits(**{f'{name}_limit': 2}).check_tokens(used)

    assert str(raised.value) == f'Exceeded the {name}_limit of 2 ({name}=3)'


def test_calls_too_many_are_not_made():
    """Before calls there is an error if they would be too many."""
    with pytest.raises(UsageLimitExceeded) as raised:
        UsageLimits(tool_calls_limit=1).check_before_tool_call(RunUsage(tool_calls=2))

    assert str(raised.value) == 'The next tool call(s) would exceed the tool_calls_limit of 1 (tool_calls=2).'


def test_limits_may_be_reached():
    """What is exactly at its limit is allowed, apart from a request that would come on top; None allows anything."""
    used = RunUsage(requests=49, input_tokens=3, output_tokens=4, tool_calls=5)
    exact = UsageLimits(input_tokens_limit=3, output_tokens_limit=4, total_tokens_limit=7, tool_calls_limit=5)

    for limits in (exact, UsageLimits(request_limit=None), UsageLimits()):
        limits.check_before_request(used)
        limits.check_tokens(used)
        limits.check_before_tool_call(used)


@pytest.mark.parametrize(
    ('limits', 'message'),
    [
        ({'cost_limit': -1}, 'cost_limit=-1'),
        ({'cost_limit': float('nan')}, 'cost_limit=nan'),
        ({'deadline': 0}, 'deadline=0'),
        ({'deadline': timedelta(0)}, 'deadline=datetime.timedelta'),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any], message: str):
    """Money and time that cannot be spent are refused where they are written."""
    with pytest.raises(UserError, match=message):
        UsageLimits(**limits)


def test_money_may_be_a_decimal_and_nothing():
    """A cost is a number or a decimal, and zero is one."""
    assert UsageLimits(cost_limit=Decimal('0.10')).cost_limit == Decimal('0.10')
    assert UsageLimits(cost_limit=0).cost_limit == 0


# Reading responses


def extract(data: Any, provider: str = 'openai', url: str = 'https://x.test', **fields: Any) -> RequestUsage:
    """The usage of a response, of OpenAI's kind if nothing else is known."""
    return RequestUsage.extract(
        data, provider=provider, provider_url=url, **{'provider_fallback': 'openai', 'api_flavor': 'chat'} | fields
    )


OPENAI = {'prompt_tokens': 10, 'completion_tokens': 5, 'prompt_tokens_details': {'cached_tokens': 3}}


def test_a_usage_is_read_from_a_response():
    """Counters are read as the provider writes them, together with the details that are given."""
    assert extract({'model': 'gpt-4o', 'usage': OPENAI}, details={'reasoning': 1}) == RequestUsage(
        input_tokens=10, output_tokens=5, cache_read_tokens=3, details={'reasoning': 1}
    )


@pytest.mark.parametrize(
    ('provider', 'url'), [('my-proxy', 'https://api.openai.com/v1/'), ('my-proxy', 'https://proxy.test')]
)
def test_an_unknown_provider_is_found_otherwise(provider: str, url: str):
    """A provider is found by its address, or taken to be like the one that was named for that."""
    assert extract({'model': 'gpt-4o', 'usage': OPENAI}, provider, url).total_tokens == 15


def test_a_model_that_is_too_new_is_counted_too():
    """Tokens are counted whether the model is known or not."""
    data = {'modelVersion': 'gemini-99', 'usageMetadata': {'promptTokenCount': 5, 'candidatesTokenCount': 6}}

    assert extract(data, 'google', provider_fallback='google', api_flavor='default') == RequestUsage(
        input_tokens=5, output_tokens=6
    )
    assert extract({'model': 'gpt-99', 'usage': OPENAI}).total_tokens == 15


@pytest.mark.parametrize('data', [{'model': 'gpt-4o'}, {'model': 'gpt-4o', 'usage': None}, {}, None, 'text'])
def test_a_response_without_a_usage_counts_nothing(data: Any):
    """What cannot be read is no error: some servers count nothing."""
    assert extract(data) == RequestUsage()


def test_reading_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    """Where genai-prices is missing, the error has the line that installs it."""
    monkeypatch.setitem(sys.modules, 'genai_prices', None)

    with pytest.raises(ImportError, match=r"pip install 'plait-agent\[prices\]'"):
        extract({})
