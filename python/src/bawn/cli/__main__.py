"""`python -m bawn.cli`."""

from bawn.cli import main

main()
