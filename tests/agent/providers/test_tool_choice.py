"""Which tools a model may call: by what the output needs and what the settings ask for."""

from typing import Any

import pytest

from plait_agent.exceptions import UserError
from plait_agent.models import ModelRequestParameters
from plait_agent.models._tool_choice import choose_tools
from plait_agent.settings import ModelSettings, ToolOrOutput
from plait_agent.tools import ToolDefinition

SEARCH = ToolDefinition(name='search')
READ = ToolDefinition(name='read')
RESULT = ToolDefinition(name='final_result', kind='output')


def parameters(*, text: bool = True, output: bool = False) -> ModelRequestParameters:
    """A request with two tools, and perhaps one whose call is the output."""
    return ModelRequestParameters(
        function_tools=[SEARCH, READ], output_tools=[RESULT] if output else [], allow_text_output=text
    )


def names(settings: Any, asked: ModelRequestParameters) -> tuple[str, set[str]]:
    """The mode, and the names of what may be called."""
    choice = choose_tools(settings, asked)
    return choice.mode, {tool.name for tool in choice.callable_tools}


ALL = {'search', 'read', 'final_result'}


@pytest.mark.parametrize('said', [None, {}, {'tool_choice': 'auto'}, {'tool_choice': None}])
def test_a_model_calls_what_it_likes_unless_only_a_call_can_be_the_output(said: Any) -> None:
    """Text that can be the output leaves the choice free, and otherwise some tool has to be called."""
    assert names(said, parameters(output=True)) == ('auto', ALL)
    assert names(said, parameters(text=False, output=True)) == ('required', ALL)


def test_no_tools_leave_the_tools_of_the_output() -> None:
    """`'none'` forbids the tools of the program; the output can still be given."""
    said = ModelSettings(tool_choice='none')

    assert names(said, parameters()) == ('none', set())
    assert names(said, parameters(output=True)) == ('auto', {'final_result'})
    assert names(said, parameters(text=False, output=True)) == ('required', {'final_result'})


def test_named_tools_have_to_be_called() -> None:
    """A list allows nothing else, and forces one of it."""
    assert names(ModelSettings(tool_choice=['read']), parameters(output=True)) == ('required', {'read'})


def test_some_tools_beside_the_output_leave_the_choice_free() -> None:
    """`ToolOrOutput` narrows the tools of the program, and nothing else."""
    said = ModelSettings(tool_choice=ToolOrOutput(['read']))

    assert names(said, parameters(output=True)) == ('auto', {'read', 'final_result'})


def test_all_tools_are_told_whatever_may_be_called() -> None:
    """What a model is told of tools stays the same, so that its cache of the prompt holds."""
    choice = choose_tools(ModelSettings(tool_choice=['read']), parameters(output=True))

    assert choice.tools == [SEARCH, READ, RESULT]


@pytest.mark.parametrize('said', [['serch'], [], ToolOrOutput(['serch'])])
def test_a_tool_that_there_is_not_is_refused(said: Any) -> None:
    """The error names the tools that there are."""
    with pytest.raises(UserError, match=r'tool_choice names .* Its tools are search, read\.'):
        choose_tools(ModelSettings(tool_choice=said), parameters())


def test_a_choice_that_is_none_is_refused() -> None:
    """The error says what can be given."""
    with pytest.raises(UserError, match=r"tool_choice=42 is not known\. Give 'auto', 'none', 'required'"):
        choose_tools({'tool_choice': 42}, parameters())  # pyright: ignore[reportArgumentType] # bad input
