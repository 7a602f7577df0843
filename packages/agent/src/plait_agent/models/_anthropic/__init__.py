"""How models of Anthropic are asked, and how their answers are read."""
