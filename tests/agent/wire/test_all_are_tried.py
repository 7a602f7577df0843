"""The recorded exchanges are all of APIs that have tests."""

from exchanges import load_all, skip_without_exchanges

skip_without_exchanges()

TESTED = {'chat_completions', 'generate_content', 'messages', 'responses'}


def test_every_recorded_exchange_is_of_an_api_that_is_tested() -> None:
    """No exchange is left out since nobody asked for its API."""
    assert {each.api for each in load_all()} <= TESTED
