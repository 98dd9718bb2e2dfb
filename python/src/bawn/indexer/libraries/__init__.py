"""The documentation of the libraries that lock files name: which they are, where it comes from, what is kept of it."""
