"""Chat templates and dialects; knows nothing of slots."""
