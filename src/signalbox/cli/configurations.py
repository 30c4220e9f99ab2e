"""`signalbox config`."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import structs

from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag, amount
from signalbox.cli.output import print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.control import configurations
from signalbox.control.configurations import NewConfiguration
from signalbox.control.context import Control
from signalbox.control.exit_words import exit_text
from signalbox.domain.configuration import BotConfiguration, ListingSniperParameters, OrderStyle
from signalbox.domain.errors import ConfigError
from signalbox.domain.money import parse_amount
from signalbox.domain.orders import Mode
from signalbox.domain.positions import ExitPlan, TakeProfitLevel

app = group("Bot configurations: create, list, show.", default="list")


_NEW = NewConfiguration(name="new")


def _default(field: str) -> str:
    """What a field is unless something else is said, for the help."""
    places = (_NEW, _NEW.parameters, _NEW.parameters.exit_plan)
    value = next(getattr(place, field) for place in places if field in place.__struct_fields__)
    if isinstance(value, tuple):
        value = " ".join(value)
    return str(value) if value not in (None, "") else "none"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="A new name, or a known one: then a new version is made.")],
    based_on: Annotated[
        str | None, typer.Option("--from", help="Start from NAME[:VERSION] instead of the defaults.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Start from a JSON file, as 'config show --json' prints.")] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="Live also needs the account's settings.", show_default=_default("mode"))
    ] = None,
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            "--symbol", help="A pair or a pattern such as *USDT; may be repeated.", show_default=_default("symbols")
        ),
    ] = None,
    deny: Annotated[
        list[str] | None,
        typer.Option(help="Never these pairs or patterns; may be repeated.", show_default=_default("deny_symbols")),
    ] = None,
    quote_assets: Annotated[
        list[str] | None,
        typer.Option(
            "--quote-asset",
            help="Only pairs priced in it; may be repeated. A coin that is announced alone is assumed in the first.",
            show_default=_default("quote_assets"),
        ),
    ] = None,
    quote_amount: Annotated[
        str | None, typer.Option(help="Spend per trade, quote currency.", show_default=_default("quote_amount"))
    ] = None,
    max_daily_spend: Annotated[
        str | None, typer.Option(help="Spend per UTC day, quote currency.", show_default=_default("max_daily_spend"))
    ] = None,
    max_trades_per_hour: Annotated[
        int | None, typer.Option(help="1 to 100.", show_default=_default("max_trades_per_hour"))
    ] = None,
    max_concurrent_listings: Annotated[
        int | None, typer.Option(help="Held or in flight at once.", show_default=_default("max_concurrent_listings"))
    ] = None,
    recv_window: Annotated[
        int | None, typer.Option(help="Milliseconds, at most 1000.", show_default=_default("recv_window"))
    ] = None,
    order_style: Annotated[
        OrderStyle | None, typer.Option(help="How an entry is sent.", show_default=_default("order_style"))
    ] = None,
    max_price: Annotated[
        str | None,
        typer.Option(
            help="Highest price, quote per base; rules market orders out.", show_default=_default("max_price")
        ),
    ] = None,
    max_slippage: Annotated[
        str | None,
        typer.Option(help="Fraction above the reference price, 0.10 = 10 %.", show_default=_default("max_slippage")),
    ] = None,
    freshness_s: Annotated[
        str | None, typer.Option(help="Seconds in which a listing may be traded.", show_default=_default("freshness_s"))
    ] = None,
    calendar_interval_s: Annotated[
        str | None, typer.Option(help="Seconds between calendar polls.", show_default=_default("calendar_interval_s"))
    ] = None,
    ticker_interval_s: Annotated[
        str | None, typer.Option(help="Seconds between ticker polls.", show_default=_default("ticker_interval_s"))
    ] = None,
    opening_lead_ms: Annotated[
        int | None,
        typer.Option(
            help="Arrive so many milliseconds after an announced opening; negative: before it.",
            show_default=_default("opening_lead_ms"),
        ),
    ] = None,
    burst_interval_ms: Annotated[
        int | None,
        typer.Option(
            help="Pause between attempts while the exchange says 'not yet'.", show_default=_default("burst_interval_ms")
        ),
    ] = None,
    warm_s: Annotated[
        str | None,
        typer.Option(
            help="Seconds before an announced opening with a core kept busy; 0: none.", show_default=_default("warm_s")
        ),
    ] = None,
    take_profit: Annotated[
        str | None,
        typer.Option(
            help="Sell all at this gain, a fraction of the entry price, or none.", show_default=_default("take_profit")
        ),
    ] = None,
    take_profit_levels: Annotated[
        list[str] | None,
        typer.Option(
            "--take-profit-level",
            metavar="GAIN:SHARE",
            help="Sell a share of what was bought at a gain, 0.1:0.5 = half at +10 %; may be repeated; or none.",
        ),
    ] = None,
    stop_loss: Annotated[
        str | None, typer.Option(help="Fraction of the entry price, or none.", show_default=_default("stop_loss"))
    ] = None,
    trailing_stop: Annotated[
        str | None,
        typer.Option(help="Fraction below the highest bid so far, or none.", show_default=_default("trailing_stop")),
    ] = None,
    trailing_activation: Annotated[
        str | None, typer.Option(help="Gain from which on the trailing stop counts; none: at once.")
    ] = None,
    time_limit_s: Annotated[
        str | None, typer.Option(help="Seconds to hold at most, or none.", show_default=_default("time_limit_s"))
    ] = None,
    safety: Annotated[
        bool | None, typer.Option("--safety/--no-safety", help="Enforce the configuration's own limits.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Store a configuration. It never changes afterwards: another 'create' makes the next version."""
    fields = {
        "mode": mode,
        "symbols": tuple(symbols) if symbols else None,
        "quote_amount": amount(quote_amount, "quote_amount"),
        "max_daily_spend": amount(max_daily_spend, "max_daily_spend"),
        "max_trades_per_hour": max_trades_per_hour,
        "recv_window": recv_window,
        "safety_enabled": safety,
    }
    parameters = {
        "order_style": order_style,
        "deny_symbols": tuple(deny) if deny else None,
        "quote_assets": tuple(quote_assets) if quote_assets else None,
        "max_price": amount(max_price, "max_price"),
        "max_slippage": amount(max_slippage, "max_slippage"),
        "max_concurrent_listings": max_concurrent_listings,
        "freshness_s": amount(freshness_s, "freshness_s"),
        "calendar_interval_s": amount(calendar_interval_s, "calendar_interval_s"),
        "ticker_interval_s": amount(ticker_interval_s, "ticker_interval_s"),
        "opening_lead_ms": opening_lead_ms,
        "burst_interval_ms": burst_interval_ms,
        "warm_s": amount(warm_s, "warm_s"),
    }
    exits = {
        "take_profit": take_profit,
        "stop_loss": stop_loss,
        "trailing_stop": trailing_stop,
        "trailing_activation": trailing_activation,
        "time_limit_s": time_limit_s,
    }

    async def store(control: Control) -> BotConfiguration:
        base = await _base(control, name, based_on, file)
        plan = _exit_plan(base.parameters.exit_plan, exits, take_profit_levels)
        changed = structs.replace(base.parameters, exit_plan=plan, **_given(parameters))
        return await configurations.create_configuration(
            control, structs.replace(base, name=name, parameters=changed, **_given(fields))
        )

    stored, screen = ask(store)
    if as_json:
        print_json(stored)
        return
    out = stdout()
    out.print(screen)
    out.print(f"Configuration {stored.name}:{stored.version} stored ({stored.mode}).")
    out.print(f"Start it: signalbox run start ACCOUNT {stored.name}")


@app.command("list")
def list_(
    all_versions: Annotated[bool, typer.Option("--all", help="Every version, not only the newest.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List configurations."""
    rows, screen = ask(lambda control: configurations.list_configurations(control, all_versions=all_versions))
    if as_json:
        print_json(rows)
        return
    columns = [
        Column("configuration"),
        decimals("version"),
        Column("mode"),
        prose("symbols"),
        decimals("quote amount"),
        decimals("per day"),
        decimals("per hour"),
        Column("order style", extra=True),
        Column("exit", extra=True),
        times("created", extra=True),
        Column("by", extra=True),
    ]
    cells = [
        [
            c.name,
            c.version,
            c.mode,
            " ".join(c.symbols),
            c.quote_amount,
            c.max_daily_spend,
            c.max_trades_per_hour,
            c.parameters.order_style,
            exit_text(c.parameters.exit_plan),
            c.created_at,
            c.created_by,
        ]
        for c in rows
    ]
    out = stdout()
    out.print(screen)
    out.print(
        table("Configurations", columns, cells, empty="No configuration yet: 'signalbox config create calm' makes one.")
    )


@app.command()
def show(
    reference: Annotated[str, typer.Argument(metavar="NAME[:VERSION]", help="The newest version unless one is named.")],
    as_json: JsonFlag = False,
) -> None:
    """Show every field of a configuration."""
    found, screen = ask(lambda control: configurations.show_configuration(control, reference))
    if as_json:
        print_json(found)
        return
    fields = [(name, getattr(found, name)) for name in found.__struct_fields__ if name not in {"parameters", "id"}]
    fields += [(name, getattr(found.parameters, name)) for name in found.parameters.__struct_fields__]
    out = stdout()
    out.print(screen)
    rows = [[name.replace("_", " "), _field_text(value)] for name, value in fields]
    out.print(table(f"{found.name}:{found.version}", [Column("field"), prose("value")], rows, empty=""))


def _field_text(value: Any) -> Any:
    if isinstance(value, tuple):
        return " ".join(value) or None
    return exit_text(value) if isinstance(value, ExitPlan) else value


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _exit_plan(before: ExitPlan, texts: dict[str, str | None], level_texts: list[str] | None) -> ExitPlan:
    """The plan with what was given. A take-profit and levels exclude each other, so the one that is given alone takes
    the place of the other; a trailing stop that is cleared takes its activation with it."""
    given: dict[str, Any] = {}
    for name, text in texts.items():
        if text is not None:
            given[name] = None if _is_none(text) else amount(text, name)
    if level_texts:
        given["take_profit_levels"] = _levels(level_texts)
        if given["take_profit_levels"]:
            given.setdefault("take_profit", None)
    elif given.get("take_profit") is not None:
        given["take_profit_levels"] = ()
    if "trailing_stop" in given and given["trailing_stop"] is None:
        given.setdefault("trailing_activation", None)
    return structs.replace(before, **given)


def _levels(texts: list[str]) -> tuple[TakeProfitLevel, ...]:
    if len(texts) == 1 and _is_none(texts[0]):
        return ()
    levels = []
    for text in texts:
        gain, colon, share = text.partition(":")
        if not colon:
            raise ConfigError(f"take_profit_level must look like 0.1:0.5 (gain:share), got {text!r}")
        at = parse_amount(gain, field="take_profit_level gain")
        levels.append(TakeProfitLevel(at=at, share=parse_amount(share, field="take_profit_level share")))
    return tuple(levels)


def _is_none(text: str) -> bool:
    return text.strip().lower() == "none"


async def _base(control: Control, name: str, based_on: str | None, file: Path | None) -> NewConfiguration:
    if based_on is not None and file is not None:
        raise ConfigError("--from and --file exclude each other: give one of them")
    if file is not None:
        return _from_file(file, name)
    if based_on is None:
        return NewConfiguration(name=name, parameters=ListingSniperParameters())
    known = await configurations.show_configuration(control, based_on)
    return NewConfiguration(**{field: getattr(known, field) for field in NewConfiguration.__struct_fields__})


_STORED_ONLY = ("id", "version", "strategy", "created_at", "created_by")


def _from_file(file: Path, name: str) -> NewConfiguration:
    """A file may hold what `config show --json` prints; what only the store decides is left out."""
    try:
        document = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        fields = {key: value for key, value in document.items() if key not in _STORED_ONLY} | {"name": name}
        return msgspec.convert(fields, NewConfiguration, strict=False)
    except OSError as error:
        raise ConfigError(f"--file {file} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"--file {file} is no configuration: {error}") from None
