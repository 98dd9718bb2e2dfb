"""Bundles: what would be indexed of a repository, packed by the team that owns it, for a host that may not reach it."""
