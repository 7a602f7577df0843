"""The loop of an agent: a graph of three nodes, and what they do."""
