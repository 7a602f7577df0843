"""Agents, and what their runs give."""

from __future__ import annotations

from plait_agent._agent_graph.nodes import CallToolsNode, ModelRequestNode, UserPromptNode
from plait_agent._agent_graph.records import EndStrategy
from plait_agent._capture import capture_run_messages
from plait_agent.agent.abstract import AbstractAgent
from plait_agent.agent.agent import Agent
from plait_agent.agent.options import EventStreamHandler, Instructions
from plait_agent.agent.wrapper import WrapperAgent
from plait_agent.run import AgentRun, AgentRunResult, AgentRunResultEvent

__all__ = (
    'AbstractAgent',
    'Agent',
    'AgentRun',
    'AgentRunResult',
    'AgentRunResultEvent',
    'CallToolsNode',
    'EndStrategy',
    'EventStreamHandler',
    'Instructions',
    'ModelRequestNode',
    'UserPromptNode',
    'WrapperAgent',
    'capture_run_messages',
)
