"""The weights of a model: pinned by their hash, fetched, and used only when the hash is right."""
