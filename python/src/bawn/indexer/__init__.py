"""From repositories to index documents."""
