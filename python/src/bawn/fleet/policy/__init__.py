"""The tailnet's policy: rendered from the fleet, read back by an evaluator of our own, compared with the fleet."""
