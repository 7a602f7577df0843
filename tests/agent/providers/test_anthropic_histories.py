"""Histories that Anthropic would refuse as they are: broken off, cut, or with blanks in them."""

from typing import Any

from anthropic_parts import profile_of, text

from plait_agent.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    CachePoint,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from plait_agent.models._anthropic.messages import Dialect, Turns

SEARCH = BuiltinToolCallPart('web_search', {'query': 'x'}, 's1', provider_name='anthropic')
FOUND = BuiltinToolReturnPart('web_search', [], 's1', provider_name='anthropic')
SEARCH_BLOCK = {'type': 'server_tool_use', 'id': 's1', 'name': 'web_search', 'input': {'query': 'x'}}
FOUND_BLOCK = {'type': 'web_search_tool_result', 'tool_use_id': 's1', 'content': []}
ASK: ModelMessage = ModelRequest([UserPromptPart('a')])
GO_ON: ModelMessage = ModelRequest([UserPromptPart('b')])


def answered(*parts: ModelResponsePart) -> ModelResponse:
    """An answer of Anthropic."""
    return ModelResponse(list(parts), provider_name='anthropic')


def said(*messages: ModelMessage) -> list[tuple[str, list[Any]]]:
    """Who says what, as it is sent."""
    turns = Turns(Dialect('anthropic', profile_of()))
    turns.add_all(messages)
    return [(turn['role'], turn['content']) for turn in turns.messages]


def test_a_call_that_was_broken_off_is_left_out_once_the_user_goes_on() -> None:
    """Anthropic refuses calls of its tools that have no result."""
    assert said(ASK, answered(SEARCH, TextPart('Well')), GO_ON) == [
        ('user', [text('a')]),
        ('assistant', [text('Well')]),
        ('user', [text('b')]),
    ]


def test_an_answer_of_nothing_but_a_broken_call_is_left_out() -> None:
    """No turn is left empty, which would be refused as well."""
    assert said(ASK, answered(SEARCH), GO_ON) == [('user', [text('a'), text('b')])]


def test_a_mark_does_not_go_to_a_call_that_is_left_out() -> None:
    """What a point for the cache marks is what was said before the call."""
    made = said(ASK, answered(SEARCH), ModelRequest([UserPromptPart([CachePoint(), 'b'])]))

    assert made == [('user', [text('a', cache_control={'type': 'ephemeral', 'ttl': '5m'}), text('b')])]


def test_a_call_at_the_end_is_sent_so_that_the_answer_goes_on() -> None:
    """An answer that has paused is sent back with the call that is still running."""
    assert said(ASK, answered(SEARCH)) == [('user', [text('a')]), ('assistant', [SEARCH_BLOCK])]


def test_a_call_waits_for_the_tools_of_the_program() -> None:
    """Code that calls tools of the program ends in a later answer; until then only results come between."""
    messages = (
        ASK,
        answered(SEARCH, ToolCallPart('look', {}, 'c1')),
        ModelRequest([ToolReturnPart('look', 'seen', 'c1')]),
        answered(FOUND, TextPart('Done')),
        GO_ON,
    )
    made = said(*messages)

    assert made[1][1][0] == SEARCH_BLOCK
    assert made[3][1][0] == FOUND_BLOCK


def test_a_result_without_its_call_is_left_out() -> None:
    """A history whose beginning was cut can still be sent."""
    assert said(answered(FOUND, TextPart('Well')), GO_ON) == [('assistant', [text('Well')]), ('user', [text('b')])]


def test_an_empty_system_prompt_is_left_out() -> None:
    """Anthropic refuses empty texts, and a function for a system prompt may well have nothing to say."""
    turns = Turns(Dialect('anthropic', profile_of()))
    turns.add_all([ModelRequest([SystemPromptPart(''), SystemPromptPart('Be kind.'), UserPromptPart('a')])])

    assert turns.system == ['Be kind.']


def test_a_later_system_prompt_that_is_empty_is_left_out() -> None:
    """So it is where system prompts stand within the conversation."""
    turns = Turns(Dialect('anthropic', profile_of('claude-opus-4-8')))
    turns.add_all([ASK, answered(TextPart('b')), ModelRequest([SystemPromptPart(''), UserPromptPart('c')])])

    assert [turn['role'] for turn in turns.messages] == ['user', 'assistant', 'user']
