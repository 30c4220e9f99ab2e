"""`signalbox db`."""

import sys
from typing import Annotated

import typer
from msgspec import Struct

from signalbox.cli.errors import ExitCode
from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag
from signalbox.cli.output import print_json, stderr, stdout
from signalbox.cli.session import database_of, settings_with_logging
from signalbox.domain.errors import ConfigError
from signalbox.ledger import migrate

app = group("The database schema: upgrade, downgrade, current.", default="current")


class SchemaState(Struct, frozen=True, kw_only=True):
    """Where the database is, and where this version of Signalbox wants it."""

    revision: str | None
    newest: str

    @property
    def is_newest(self) -> bool:
        """True when nothing is to be done."""
        return self.revision == self.newest


@app.command()
def upgrade(revision: Annotated[str, typer.Argument(help="The newest unless one is named.")] = "head") -> None:
    """Bring the schema to a revision, all or nothing."""
    with database_of(settings_with_logging()) as database:
        with stderr().status("Migrating …"):
            migrate.upgrade(database.url, revision)
        stdout().print(f"The schema is at revision {migrate.current(database.url)}.")


@app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="A revision; 'base' drops every table with its rows.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Go back to an older revision. Tables that it did not have are dropped with their rows."""
    if not yes and not sys.stdin.isatty():
        raise ConfigError("this deletes rows and nobody can be asked here: repeat it with --yes")
    if not yes and not typer.confirm("This deletes the rows of every table that goes. Go on?", err=True):
        raise typer.Exit(ExitCode.REFUSED)
    with database_of(settings_with_logging()) as database:
        migrate.downgrade(database.url, revision)
        stdout().print(f"The schema is at revision {migrate.current(database.url) or 'base (empty)'}.")


@app.command()
def current(as_json: JsonFlag = False) -> None:
    """Show the schema's revision; exit code 1 when it is not the newest."""
    with database_of(settings_with_logging()) as database:
        state = SchemaState(revision=migrate.current(database.url), newest=migrate.head())
    if as_json:
        print_json(state)
    elif state.is_newest:
        stdout().print(f"The schema is at revision {state.revision}, the newest.")
    else:
        at = state.revision or "base (empty)"
        stdout().print(f"The schema is at {at}, not at {state.newest}: run 'signalbox db upgrade'.")
    if not state.is_newest:
        raise typer.Exit(ExitCode.REFUSED)
