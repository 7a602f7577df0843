"""What Google calls the built-in tools, and what we call them."""

from __future__ import annotations

_NAMES = {'GOOGLE_SEARCH_WEB': 'web_search', 'URL_CONTEXT': 'web_fetch', 'FILE_SEARCH': 'file_search'}


def tool_name_of(tool_type: str) -> str:
    """Our name of a tool; those that only Google has keep theirs."""
    return _NAMES.get(tool_type, tool_type.lower())
