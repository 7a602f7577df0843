"""From a definition to a plan: pure functions that report every problem at once."""
