"""Models that run on this machine: which there are, where their weights are, and the server that runs them."""
