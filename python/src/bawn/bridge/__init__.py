"""The laptop side: an OpenAI-compatible server on loopback."""
