"""The type variables of the package, so that a name means the same everywhere."""

from __future__ import annotations

from typing_extensions import TypeVar

AgentDepsT = TypeVar('AgentDepsT', default=None, contravariant=True)
"""The dependencies that tools, prompts and validators are given."""
DepsT = TypeVar('DepsT', default=None)
"""The same where it is invariant."""
DepsOut = TypeVar('DepsOut', default=None, covariant=True)
"""The same for what gives them."""
OutputDataT = TypeVar('OutputDataT', default=str, covariant=True)
"""What a run ends with."""
OutputT = TypeVar('OutputT', default=str)
"""The same where it is invariant."""
RunOutputT = TypeVar('RunOutputT')
"""What a run ends with that has an output type of its own."""
