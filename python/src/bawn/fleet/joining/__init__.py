"""Nodes join and leave the tailnet: join keys, and Headscale's users and nodes brought in line with the fleet."""
