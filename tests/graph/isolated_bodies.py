"""Bodies and a state for tests of isolated state in processes, which cannot import a test module."""

import os
from dataclasses import dataclass, field
from typing import Annotated, Any

from plait_graph import reduce_list_extend, reduce_sum


@dataclass
class Tally:
    """A state with fields that several may change, and one that nobody does."""

    words: Annotated[list[str], reduce_list_extend] = field(default_factory=list)
    total: Annotated[int, reduce_sum] = 0
    untouched: list[Any] = field(default_factory=lambda: ['as it was'])


def count(ctx):
    """Change two fields, and tell which process this is."""
    ctx.state.words.append(str(ctx.inputs))
    ctx.state.total += ctx.inputs
    return os.getpid()


def fail_once(ctx):
    """Write, and fail in the first attempt; give what was there before."""
    before = list(ctx.state.words)
    ctx.state.words.append(f'attempt {ctx.attempt}')
    if ctx.attempt == 1:
        raise ValueError
    return before
