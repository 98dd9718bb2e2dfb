"""The `bawn` command."""


def main() -> None:
    """Entry point."""
    from bawn.cli.main import cli

    cli()
