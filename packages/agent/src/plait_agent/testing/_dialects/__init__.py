"""The APIs that the server speaks."""

from __future__ import annotations

from plait_agent.testing._dialects._base import Dialect
from plait_agent.testing._dialects.anthropic import Anthropic
from plait_agent.testing._dialects.google import Google
from plait_agent.testing._dialects.openai_chat import OpenAIChat
from plait_agent.testing._dialects.openai_responses import OpenAIResponses

DIALECTS: tuple[Dialect, ...] = OpenAIChat(), OpenAIResponses(), Anthropic(), Google()


def find_dialect(path: str) -> Dialect | None:
    """The API that a path belongs to."""
    bare = path.partition('?')[0]
    return next((dialect for dialect in DIALECTS if dialect.fits(bare) or dialect.counts(bare)), None)
