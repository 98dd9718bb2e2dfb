"""Grammars (GBNF, llama.cpp's notation) that hold an answer to tool calls or to a JSON schema."""
