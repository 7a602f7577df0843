"""Which model has answered, where one stands for several."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plait_agent.models import Model

answering: ContextVar[Model | None] = ContextVar('plait_agent_answering', default=None)
"""The model that a model which asks others has had the answer from; for whoever traces the request."""
