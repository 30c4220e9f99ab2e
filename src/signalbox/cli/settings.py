"""`signalbox settings`."""

import sys
from typing import Annotated, Any

import typer

from signalbox.app.settings import load_settings
from signalbox.cli.errors import ExitCode
from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag, amount, amount_or_unlimited
from signalbox.cli.output import cell, print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.control import guardrails
from signalbox.control.context import Control
from signalbox.domain.errors import ConfigError
from signalbox.domain.orders import Mode
from signalbox.ledger.queries.account_settings import SettingsVersion

app = group("Guardrails of an account: show, set.", default=None)

_WHAT_A_LIMIT_DOES = {
    "mode": "live: this account allows real orders, if the configuration asks for them too",
    "auto_trade": "the second switch of the account; off blocks live orders",
    "max_trade_usdt": "blocks an entry that would spend more",
    "max_position_usdt": "blocks an entry that would make the position larger",
    "global_exposure_cap": "blocks entries; counts positions, open orders and reservations of the account",
    "asset_exposure_caps": "blocks entries into one base asset",
    "daily_loss_limit": "blocks entries for the rest of the UTC day; counts booked losses",
}


@app.command()
def show(account: Annotated[str, typer.Argument(help="The account's label.")], as_json: JsonFlag = False) -> None:
    """Show what each limit is and does, and who changed it."""
    shown, screen = ask(lambda control: guardrails.show_settings(control, account))
    if as_json:
        print_json(shown)
        return
    out = stdout()
    out.print(screen)
    out.print(_limits(account, shown.current))
    columns = [
        decimals("version"),
        times("since"),
        Column("by"),
        Column("mode"),
        Column("auto trade"),
        decimals("max trade"),
        decimals("max position"),
        decimals("exposure cap"),
        decimals("daily loss"),
    ]
    cells = [
        [
            version.settings.version,
            version.updated_at,
            version.updated_by,
            version.settings.mode,
            version.settings.auto_trade,
            version.settings.max_trade_usdt,
            version.settings.max_position_usdt,
            version.settings.global_exposure_cap,
            version.settings.daily_loss_limit,
        ]
        for version in shown.history
    ]
    out.print(table("History (– is unlimited)", columns, cells, empty="No history."))


@app.command("set")
def set_(
    account: Annotated[str, typer.Argument(help="The account's label.")],
    mode: Annotated[Mode | None, typer.Option(help="The first of the account's two switches for live orders.")] = None,
    auto_trade: Annotated[bool | None, typer.Option("--auto-trade/--no-auto-trade", help="The second one.")] = None,
    max_trade_usdt: Annotated[str | None, typer.Option(help="Most that one order may spend.")] = None,
    max_position_usdt: Annotated[str | None, typer.Option(help="Largest position.")] = None,
    global_exposure_cap: Annotated[str | None, typer.Option(help="Exposure of the account, or none.")] = None,
    daily_loss_limit: Annotated[str | None, typer.Option(help="Booked loss per UTC day, or none.")] = None,
    asset_caps: Annotated[
        list[str] | None, typer.Option("--asset-cap", help="ASSET=AMOUNT or ASSET=none; may be repeated.")
    ] = None,
    expect_version: Annotated[
        int | None, typer.Option(help="Refuse when the settings are not at this version any more.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before live orders become possible.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Change guardrails. Each change is a new version with its author."""
    changes: dict[str, Any] = {
        name: value
        for name, value in {
            "mode": mode,
            "auto_trade": auto_trade,
            "max_trade_usdt": amount(max_trade_usdt, "max_trade_usdt"),
            "max_position_usdt": amount(max_position_usdt, "max_position_usdt"),
        }.items()
        if value is not None
    }
    for name, text in {"global_exposure_cap": global_exposure_cap, "daily_loss_limit": daily_loss_limit}.items():
        if text is not None:
            changes[name] = amount_or_unlimited(text, name)
    if not changes and not asset_caps:
        raise ConfigError("nothing to change: name at least one setting, 'signalbox settings set --help' lists them")
    if mode is Mode.LIVE or auto_trade:
        _confirm_live(yes=yes)

    async def use_case(control: Control) -> SettingsVersion:
        version = expect_version
        if asset_caps:
            before = (await guardrails.show_settings(control, account, history=1)).current.settings
            changes["asset_exposure_caps"] = _caps(before.asset_exposure_caps, asset_caps)
            version = before.version if version is None else version
        return await guardrails.change_settings(control, account, changes, expected_version=version)

    changed, screen = ask(use_case)
    if as_json:
        print_json(changed)
        return
    out = stdout()
    out.print(screen)
    out.print(_limits(account, changed))


def _limits(account: str, version: SettingsVersion) -> object:
    settings = version.settings
    rows = []
    for name, text in _WHAT_A_LIMIT_DOES.items():
        value = getattr(settings, name)
        if isinstance(value, dict):
            value = " ".join(f"{asset}={cap:f}" for asset, cap in sorted(value.items())) or "none"
        rows.append([name, "unlimited" if value is None else cell(value), text])
    title = f"Settings of {account}, version {settings.version} by {version.updated_by}"
    return table(title, [Column("setting"), Column("value"), prose("what it does")], rows, empty="")


def _caps(before: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    caps = dict(before)
    for text in texts:
        asset, equals, cap = text.partition("=")
        if not asset.strip() or not equals:
            raise ConfigError(f"--asset-cap must look like ABC=100 or ABC=none, got {text!r}")
        value = amount_or_unlimited(cap, f"asset_exposure_caps.{asset}")
        if value is None:
            caps.pop(asset.strip(), None)
        else:
            caps[asset.strip()] = value
    return caps


def _confirm_live(*, yes: bool) -> None:
    if yes or load_settings().simulated_exchange:
        return
    if not sys.stdin.isatty():
        raise ConfigError("this lets the account send real orders and nobody can be asked here: repeat it with --yes")
    if not typer.confirm("This lets the account send real orders with real money. Go on?", err=True):
        raise typer.Exit(ExitCode.REFUSED)
