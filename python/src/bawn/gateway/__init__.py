"""The gateway: auth, routing, relay and MCP tools."""
