"""Options that several commands share, and how their values are read."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final

import typer

from signalbox.domain.errors import ConfigError
from signalbox.domain.money import parse_amount
from signalbox.domain.ports import Clock
from signalbox.ledger.queries.listings import Since

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON (times in UTC) instead of a table.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many rows at most.")]
SinceText = Annotated[
    str | None, typer.Option("--since", help="Only from then on: 30s, 15min, 2h, 7d, or 2026-11-21T09:30 (local).")
]
UntilText = Annotated[str | None, typer.Option("--until", help="Only before then; written like --since.")]
SymbolText = Annotated[str | None, typer.Option("--symbol", help="Only this pair, such as NEWUSDT.")]
AccountText = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]

_AGO: Final = re.compile(r"(\d{1,6}) ?(s|min|h|d)")
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def moment(text: str, option: str, now: datetime) -> datetime:
    """An instant that a person wrote: an age such as `2h`, or an ISO time (local zone unless it names one)."""
    if match := _AGO.fullmatch(text.strip()):
        return now - timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{option} must be an age such as 30s, 15min, 2h or 7d, or a time such as 2026-11-21T09:30, got {text!r}"
        ) from None


def window(clock: Clock, since: str | None, until: str | None, symbol: str | None, limit: int) -> Since:
    """The filters that every list has."""
    now = clock.now()
    return Since(
        since=None if since is None else moment(since, "--since", now),
        until=None if until is None else moment(until, "--until", now),
        symbol=symbol,
        limit=limit,
    )


def amount(text: str | None, option: str) -> Decimal | None:
    """A decimal number, None when the option was not given."""
    return None if text is None else parse_amount(text, field=option)


def amount_or_unlimited(text: str, option: str) -> Decimal | None:
    """A decimal number; `none` means unlimited."""
    return None if text.strip().lower() in {"none", "unlimited"} else parse_amount(text, field=option)
