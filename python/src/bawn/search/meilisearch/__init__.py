"""The Meilisearch backend: one index of a server, read with one key and written with another."""
