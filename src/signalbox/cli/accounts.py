"""`signalbox account`."""

from typing import Annotated

import typer
from msgspec import Struct

from signalbox.app.secrets import CredentialSource, FoundSecrets
from signalbox.app.settings import load_settings
from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag
from signalbox.cli.output import cell, print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, prose, table, times
from signalbox.control import accounts
from signalbox.domain.configuration import Environment, Venue
from signalbox.ledger.queries.accounts import AccountRow

app = group("Accounts: add, list.", default="list")


class _Shown(Struct, frozen=True, kw_only=True):
    account: AccountRow
    credentials: FoundSecrets


@app.command()
def add(
    label: Annotated[str, typer.Argument(help="A short name; its credentials are looked up by it.")],
    venue: Annotated[Venue, typer.Option(help="The exchange.")] = Venue.MEXC,
    environment: Annotated[Environment, typer.Option(help="What the credentials are for.")] = Environment.LOCAL,
) -> None:
    """Add an account. It holds no secret: the credentials stay where they are and are found by the label."""
    added, screen = ask(
        lambda control: accounts.create_account(control, label=label, venue=venue, environment=environment)
    )
    out = stdout()
    out.print(screen)
    out.print(
        f"Account {added.label} added, in simulation. Change its guardrails: signalbox settings set {added.label}"
    )
    missing = CredentialSource(load_settings()).missing(added.label)
    if missing:
        out.print(f"Not needed for simulation: {missing}")


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List accounts and where their credentials come from."""
    rows, screen = ask(accounts.list_accounts)
    source = CredentialSource(load_settings())
    shown = [_Shown(account=row, credentials=source.find(row.label)) for row in rows]
    if as_json:
        print_json(shown)
        return
    columns = [
        Column("account"),
        Column("venue"),
        Column("environment", extra=True),
        Column("mode allowed"),
        Column("auto trade"),
        prose("credentials"),
        times("added", extra=True),
    ]
    out = stdout()
    out.print(screen)
    out.print(
        table(
            "Accounts",
            columns,
            [_row(item) for item in shown],
            empty="No account yet: 'signalbox account add main' makes one.",
        )
    )


def _row(item: _Shown) -> list[object]:
    account, found = item.account, item.credentials
    place = found.api_secret_from if found.complete else "missing (needed for live only)"
    return [
        account.label,
        account.venue,
        account.environment,
        cell(account.mode),
        account.auto_trade,
        place,
        account.created_at,
    ]
