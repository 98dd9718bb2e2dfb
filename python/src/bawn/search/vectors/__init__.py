"""Vectors beside the words: what a chunk means, by an embedding model, to rank what the words have found."""
