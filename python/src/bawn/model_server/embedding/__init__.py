"""Texts to vectors: a second engine, which owns a pooling model, and `/v1/embeddings` over it."""
