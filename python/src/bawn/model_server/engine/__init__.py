"""Tokens, sequences and slots; knows nothing of HTTP or chat."""
