"""Toolsets: collections of tools that are listed, wrapped, joined and called in the same way."""

from __future__ import annotations

from plait_agent.toolsets._dynamic import ToolsetFunc
from plait_agent.toolsets.abstract import AbstractToolset, ToolsetTool
from plait_agent.toolsets.approval_required import ApprovalRequiredToolset
from plait_agent.toolsets.combined import CombinedToolset
from plait_agent.toolsets.external import (
    DeferredToolset,  # pyright: ignore[reportDeprecated] # the older name is still a door
    ExternalToolset,
)
from plait_agent.toolsets.filtered import FilteredToolset
from plait_agent.toolsets.function import FunctionToolset
from plait_agent.toolsets.prefixed import PrefixedToolset
from plait_agent.toolsets.prepared import PreparedToolset
from plait_agent.toolsets.renamed import RenamedToolset
from plait_agent.toolsets.wrapper import WrapperToolset

__all__ = (
    'AbstractToolset',
    'ApprovalRequiredToolset',
    'CombinedToolset',
    'DeferredToolset',
    'ExternalToolset',
    'FilteredToolset',
    'FunctionToolset',
    'PrefixedToolset',
    'PreparedToolset',
    'RenamedToolset',
    'ToolsetFunc',
    'ToolsetTool',
    'WrapperToolset',
)
