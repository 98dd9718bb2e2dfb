"""A command group that imports its commands when they are called: most calls need little of what there is."""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from bawn.contracts.errors import SettingsError


class Lazy(NamedTuple):
    """A command that is imported when it is called."""

    module: str
    """Of `bawn.cli`; its `command`."""
    help: str
    """One line of it."""
    extra: str | None = None
    """Of the package, which may be absent."""


class LazyGroup(click.Group):
    """Has commands of its own, and lazy ones."""

    def __init__(self, *arguments: Any, lazy: Mapping[str, Lazy] | None = None, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them.

        Raises:
            SettingsError: it needs a package that is not installed.
        """
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        lazy = self._lazy[cmd_name]
        try:
            found: click.Command = importlib.import_module(f"bawn.cli.{lazy.module}").command
        except ModuleNotFoundError as error:
            if lazy.extra is None or (error.name or "").startswith("bawn"):
                raise
            raise SettingsError(
                f"`bawn {cmd_name}` needs the package {error.name}: install it with `pip install 'bawn[{lazy.extra}]'`."
            ) from error
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; imports none, since their extras may be absent."""
        own = {name: command.get_short_help_str(120) for name, command in self.commands.items()}
        said = own | {name: lazy.help for name, lazy in self._lazy.items()}
        with formatter.section("Commands"):
            formatter.write_dl([(name, said[name]) for name in self.list_commands(ctx)])
