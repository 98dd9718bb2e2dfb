"""What we measure, against whom, and how: each bench runs ours and its peers side by side on one machine."""
