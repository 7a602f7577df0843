"""What built-in tools of Google have found, from the notes beside an answer.

Where Google tells of their calls within the answer itself (`toolCall` and `toolResponse`), these notes repeat it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from plait_agent._stamps import generate_tool_call_id
from plait_agent.messages import BuiltinToolCallPart, BuiltinToolReturnPart
from plait_agent.models._google.endings import plain

if TYPE_CHECKING:
    from google.genai.types import GroundingMetadata, UrlContextMetadata


class Finding(NamedTuple):
    """A built-in tool that was used."""

    tool_name: str
    args: dict[str, Any]
    content: list[dict[str, Any]]

    def parts(self, provider_name: str) -> tuple[BuiltinToolCallPart, BuiltinToolReturnPart]:
        """A call of the tool, and what it has returned."""
        call = BuiltinToolCallPart(self.tool_name, self.args, generate_tool_call_id(), provider_name=provider_name)
        return call, BuiltinToolReturnPart(self.tool_name, self.content, call.tool_call_id, provider_name=provider_name)


def findings(grounding: GroundingMetadata | None, urls: UrlContextMetadata | None) -> Iterator[Finding]:
    """The tools that the notes beside an answer tell of."""
    if urls is not None and urls.url_metadata:
        fetched = [each.model_dump(mode='json') for each in urls.url_metadata]
        yield Finding('web_fetch', {'urls': [each['retrieved_url'] for each in fetched]}, fetched)
    if grounding is None:
        return
    chunks = grounding.grounding_chunks or []
    if grounding.web_search_queries:
        pages = [each.web.model_dump(mode='json') for each in chunks if each.web]
        yield Finding('web_search', {'queries': grounding.web_search_queries}, pages)
    passages = [plain(each.retrieved_context) for each in chunks if each.retrieved_context]
    if passages:
        queries = {'queries': grounding.retrieval_queries} if grounding.retrieval_queries else {}
        yield Finding('file_search', queries, passages)
    places = [plain(each.maps) for each in chunks if each.maps]
    if places:
        yield Finding('google_maps', {}, places)
