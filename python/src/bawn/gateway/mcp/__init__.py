"""`/mcp`: the private search tools."""
