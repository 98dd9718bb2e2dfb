"""The fleet: one description of people, nodes, models and repositories, its checks, and what is rendered from it."""
