"""A chat with an agent in the terminal: what `plait chat` and `Agent.to_cli` share."""
