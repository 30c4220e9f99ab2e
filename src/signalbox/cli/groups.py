"""Command groups that do their most common command when none is named: `signalbox trades` lists trades."""

from typing import Any

import typer
from typer.core import TyperGroup


class _WithDefault(TyperGroup):
    default = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front of options that come without a command."""
        bare = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, [self.default, *args] if bare else args)


def group(help_text: str, *, default: str | None = None) -> typer.Typer:
    """A Typer application for one command group. `default` is the command that runs when none is named."""
    cls = type("Group", (_WithDefault,), {"default": default}) if default else TyperGroup
    app = typer.Typer(cls=cls, help=help_text, add_completion=False, no_args_is_help=default is None)
    app.callback()(_group)
    return app


def _group() -> None:
    """A group with one command stays a group."""
