"""The tools that providers run: what they are called, stored as and loaded from."""

from dataclasses import dataclass

import pytest
from pydantic import TypeAdapter, ValidationError

from plait_agent.builtin_tools import (
    BUILTIN_TOOL_TYPES,
    DEPRECATED_BUILTIN_TOOLS,
    SUPPORTED_BUILTIN_TOOLS,
    AbstractBuiltinTool,
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    MemoryTool,
    UrlContextTool,
    WebFetchTool,
    WebSearchTool,
)

TOOLS = [
    WebSearchTool(search_context_size='high', user_location={'city': 'Bern', 'country': 'CH'}, max_uses=3),
    CodeExecutionTool(),
    WebFetchTool(allowed_domains=['example.com'], enable_citations=True),
    ImageGenerationTool(aspect_ratio='16:9', output_format='webp'),
    MemoryTool(),
    MCPServerTool(id='one', url='https://example.com/mcp', authorization_token='secret', headers={'key': 'secret'}),
    FileSearchTool(file_store_ids=['s1']),
]


@pytest.mark.parametrize('tool', TOOLS, ids=lambda tool: tool.kind)
def test_a_tool_comes_back_as_what_it_was(tool):
    """The kind tells the classes apart, and a class of its own needs none."""
    adapter = TypeAdapter(AbstractBuiltinTool)

    loaded = adapter.validate_json(adapter.dump_json(tool))

    assert loaded == tool
    assert type(loaded) is type(tool)
    assert TypeAdapter(type(tool)).validate_python(tool) == tool


@pytest.mark.parametrize('stored', [{'kind': 'magic'}, {}])
def test_a_kind_that_is_unknown_is_refused(stored):
    """There is no tool that could be made of it."""
    with pytest.raises(ValidationError, match='union_tag'):
        TypeAdapter(AbstractBuiltinTool).validate_python(stored)


def test_ids_and_labels_follow_the_kind():
    """Several MCP servers may be used at once, so their ids have the server's."""
    named = {tool.unique_id: tool.label for tool in TOOLS}

    assert named == {
        'web_search': 'Web Search',
        'code_execution': 'Code Execution',
        'web_fetch': 'Web Fetch',
        'image_generation': 'Image Generation',
        'memory': 'Memory',
        'mcp_server:one': 'MCP: one',
        'file_search': 'File Search',
    }


def test_keys_are_not_printed():
    """What an MCP server is sent to let the provider in stays out of logs."""
    assert 'secret' not in repr(TOOLS[5])


def test_the_kinds_are_listed():
    """Models support all but those that have another name now."""
    assert [BUILTIN_TOOL_TYPES[tool.kind] for tool in TOOLS] == [type(tool) for tool in TOOLS]
    assert {type(tool) for tool in TOOLS} == SUPPORTED_BUILTIN_TOOLS
    assert {UrlContextTool} == DEPRECATED_BUILTIN_TOOLS


def test_the_older_name_of_fetching_warns():
    """It goes on working."""
    with pytest.warns(DeprecationWarning, match='WebFetchTool'):
        tool = UrlContextTool(max_uses=1)

    assert (tool.kind, tool.max_uses) == ('url_context', 1)


def test_a_program_can_have_kinds_of_its_own(monkeypatch):
    """A derived class with a kind is loaded as itself, one without goes by the kind that it has."""
    monkeypatch.setattr('plait_agent.builtin_tools.BUILTIN_TOOL_TYPES', dict(BUILTIN_TOOL_TYPES))

    @dataclass(kw_only=True)
    class Oracle(AbstractBuiltinTool):
        mood: str = 'good'
        kind: str = 'oracle'

    class Narrow(WebSearchTool):
        """No kind of its own."""

    assert TypeAdapter(list[AbstractBuiltinTool]).validate_python([{'kind': 'oracle', 'mood': 'bad'}]) == [
        Oracle(mood='bad')
    ]
    assert type(TypeAdapter(AbstractBuiltinTool).validate_python({'kind': 'web_search'})) is WebSearchTool
    assert Narrow().kind == 'web_search'
