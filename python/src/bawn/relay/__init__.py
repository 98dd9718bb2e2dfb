"""The streaming relay that bridge and gateway share."""
