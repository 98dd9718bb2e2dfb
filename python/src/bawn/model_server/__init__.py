"""The model server: llama.cpp behind an OpenAI-compatible API."""
