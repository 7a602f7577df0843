"""Right use of the public API: pyright and mypy must accept it; it is never run."""

import plait_graph as plait_graph
