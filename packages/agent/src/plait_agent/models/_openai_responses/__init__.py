"""OpenAI's responses format, one idea a room; `plait_agent.models.openai` is the door."""
