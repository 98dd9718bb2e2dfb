"""Ways to search a copy of a corpus: ours, the strong baseline and the peers, each behind the same two calls."""
