"""Secrets in files: what is one, and the text without them."""
