"""What of a model fits a GPU, from the header of its file alone."""
