"""OpenAI's chat completions, and what other providers have made of them."""
