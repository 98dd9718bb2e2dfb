"""What is asked of a corpus: each task makes questions with their right answers, and the copy that is searched."""
