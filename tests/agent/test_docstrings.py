"""What a model is told of a docstring, in each of the formats."""

import sys
from subprocess import run

import pytest

from plait_agent._docstrings import DocumentedFunction, read_docstring

GOOGLE = """Add numbers.

    They may be negative: that is fine.

    Args:
        a: The first
            of them.
        *b: The others.

    Returns:
        The sum.

    Raises:
        ValueError: Never.
    """

NUMPY = """Add numbers.

    They may be negative: that is fine.

    Parameters
    ----------
    a : int
        The first
        of them.
    *b
        The others.

    Returns
    -------
    int
        The sum.

    Notes
    -----
    For programmers.
    """

SPHINX = """Add numbers.

    They may be negative: that is fine.

    :param int a: The first
        of them.
    :param b: The others.
    :returns: The sum.
    :raises ValueError: Never.
    """

SUMMARY = 'Add numbers.\n\nThey may be negative: that is fine.'


def with_returns(summary, lines):
    """A description that says what is returned."""
    return f'<summary>{summary}</summary>\n<returns>\n{lines}\n</returns>'


@pytest.mark.parametrize('style', ['auto', 'named'])
@pytest.mark.parametrize(
    ('name', 'docstring', 'type_line'),
    [('google', GOOGLE, ''), ('numpy', NUMPY, '<type>int</type>\n'), ('sphinx', SPHINX, '')],
)
def test_each_format_says_the_same(name, docstring, type_line, style):
    """Description, parameters and what is returned are found, whether the format is named or not."""
    found = read_docstring(docstring, 'auto' if style == 'auto' else name)

    assert found.parameters == {'a': 'The first\nof them.', 'b': 'The others.'}
    assert found.description == with_returns(SUMMARY, f'{type_line}<description>The sum.</description>')


def test_a_type_is_told_if_the_docstring_states_it():
    """Google's form may have it before a colon."""
    found = read_docstring('Do it.\n\n    Returns:\n        dict[str, int]: Counts.\n    ', 'google')

    lines = '<type>dict[str, int]</type>\n<description>Counts.</description>'
    assert found.description == with_returns('Do it.', lines)


def test_a_docstring_with_sections_alone_has_an_empty_description():
    """There is a docstring, so the description is a text, and there is nothing before the sections."""
    found = read_docstring('\n    Args:\n        a: The a.\n    ', 'auto')

    assert found == DocumentedFunction('', {'a': 'The a.'})


def test_what_is_returned_may_be_all_that_is_said():
    """There is no summary then."""
    found = read_docstring('\n    Returns:\n        The sum.\n    ', 'auto')

    assert found.description == '<returns>\n<description>The sum.</description>\n</returns>'


def test_a_returns_section_on_the_first_line_is_text():
    """What is not a section to Python's tools is none here."""
    assert read_docstring('Returns: the sum.', 'auto').description == 'Returns: the sum.'
    assert read_docstring('Returns:\n    the sum.', 'auto').description == 'Returns:\nthe sum.'


@pytest.mark.parametrize('style', ['auto', 'google', 'numpy', 'sphinx'])
def test_text_without_sections_is_the_description(style):
    """Paragraphs, indentation and lists stay as they are."""
    docstring = """Do it
    over two lines.

      indented

    * a list
    """

    assert read_docstring(docstring, style).description == 'Do it\nover two lines.\n\n  indented\n\n* a list'


def test_a_format_that_is_named_is_not_guessed():
    """Sections of another format are text."""
    assert read_docstring(SPHINX, 'google').parameters == {}
    assert ':param int a: The first' in read_docstring(SPHINX, 'google').description


def test_no_docstring_is_no_description():
    """An empty one is an empty description."""
    assert read_docstring(None, 'auto') == DocumentedFunction()
    assert read_docstring('', 'auto') == DocumentedFunction('')
    assert read_docstring('   \n  ', 'auto') == DocumentedFunction('')


def test_a_parameter_without_a_description_is_not_described():
    """Its name alone says nothing."""
    assert read_docstring('Do it.\n\n    :param a:\n    :param b: The b.\n    ', 'auto').parameters == {'b': 'The b.'}


def test_nothing_is_logged_of_docstrings_that_are_incomplete(caplog):
    """A model's tool is no place to complain about types that a docstring leaves out."""
    read_docstring(GOOGLE, 'google')
    read_docstring(NUMPY, 'numpy')
    read_docstring(SPHINX, 'sphinx')

    assert not caplog.records


def test_the_parser_waits_for_a_docstring_with_sections():
    """A tool that is described in a sentence does not import it."""
    program = """
import sys
from plait_agent.tools import Tool

def function(a: int):
    'Do it.'

Tool(function)
assert 'griffe' not in sys.modules
function.__doc__ = 'Do it.\\n\\nArgs:\\n    a: The a.'
assert Tool(function).function_schema.json_schema['properties']['a']['description'] == 'The a.'
assert 'griffe' in sys.modules
"""
    done = run([sys.executable, '-c', program], check=False, capture_output=True, text=True)

    assert done.stderr == ''
