"""What a run may end with, and how the answer of a model becomes that."""

from __future__ import annotations

from plait_agent._output.output_tools import OutputTool
from plait_agent._output.retries import retry_part
from plait_agent._output.schema import OutputSchema
from plait_agent._output.text import TextProcessor
from plait_agent._output.validators import OutputValidator

__all__ = 'OutputSchema', 'OutputTool', 'OutputValidator', 'TextProcessor', 'retry_part'
