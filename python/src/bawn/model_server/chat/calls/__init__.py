"""Readers of tool calls, one module a format: text as a model writes it in, parts of the answer out."""
