"""How Google's Gemini API is spoken."""
