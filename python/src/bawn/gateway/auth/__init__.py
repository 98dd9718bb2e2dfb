"""Who may use the gateway: API keys, of which only hashes are stored."""
