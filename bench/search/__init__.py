"""`make bench-search`: what the index finds in real packages, and what it costs, beside other ways to search."""
