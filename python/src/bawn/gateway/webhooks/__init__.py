"""Push webhooks: a forge says that something was pushed, and the indexer is told to look."""
