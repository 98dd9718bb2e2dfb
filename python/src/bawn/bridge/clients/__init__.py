"""The configuration files of coding assistants: what the bridge needs in them, and edits that keep everything else."""
