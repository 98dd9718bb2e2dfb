"""Private search: identifiers, index documents, ranking, and the backends."""
