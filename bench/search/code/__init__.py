"""Where code defines something, and what is said of it: found without the product's own parser."""
