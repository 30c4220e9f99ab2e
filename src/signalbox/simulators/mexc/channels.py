"""Names of the websocket channels (MEXC spot docs, "Websocket Market Streams")."""

import re
from dataclasses import dataclass
from enum import StrEnum

from signalbox.simulators.mexc.pushes import KLINE_MINUTES


class Kind(StrEnum):
    """What a channel carries."""

    DEALS = "aggre.deals"
    BOOK_TICKER = "aggre.bookTicker"
    BOOK_TICKER_BATCH = "bookTicker.batch"
    DEPTH = "aggre.depth"
    LIMIT_DEPTH = "limit.depth"
    KLINE = "kline"
    MINI_TICKER = "miniTicker"
    MINI_TICKERS = "miniTickers"
    PRIVATE_ACCOUNT = "private.account"
    PRIVATE_DEALS = "private.deals"
    PRIVATE_ORDERS = "private.orders"

    @property
    def is_private(self) -> bool:
        """Whether a listen key is needed."""
        return self.value.startswith("private.")


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel that exists. `detail` is the interval of a kline or the levels of a limit.depth."""

    name: str
    kind: Kind
    symbol: str | None = None
    every_ms: int = 100
    detail: str = ""


ZONES = frozenset(["24H", *(f"UTC{hour:+d}" for hour in range(-10, 14))])
LIMIT_DEPTHS = frozenset(["5", "10", "20"])
KLINE_EVERY_MS = 1_000
_AGGREGATED = re.compile(r"spot@public\.(aggre\.(?:deals|bookTicker|depth))\.v3\.api\.pb@(10|100)ms@(\S+)")
_BATCH = re.compile(r"spot@public\.bookTicker\.batch\.v3\.api\.pb@(\S+)")
_LIMIT = re.compile(r"spot@public\.limit\.depth\.v3\.api\.pb@(\S+)@(\d+)")
_KLINE = re.compile(r"spot@public\.kline\.v3\.api\.pb@(\S+)@(\w+)")
_MINI = re.compile(r"spot@public\.miniTicker\.v3\.api\.pb@(\S+)@(\S+)")
_MINI_ALL = re.compile(r"spot@public\.miniTickers\.v3\.api\.pb@(\S+)")
_PRIVATE = re.compile(r"spot@(private\.(?:account|deals|orders))\.v3\.api\.pb")


def parse_channel(name: str) -> Channel | None:
    """The channel of this name, None when there is none; the symbol is not checked."""
    if match := _AGGREGATED.fullmatch(name):
        return Channel(name, Kind(match[1]), match[3], int(match[2]))
    if match := _BATCH.fullmatch(name):
        return Channel(name, Kind.BOOK_TICKER_BATCH, match[1])
    if match := _LIMIT.fullmatch(name):
        return Channel(name, Kind.LIMIT_DEPTH, match[1], detail=match[2]) if match[2] in LIMIT_DEPTHS else None
    if match := _KLINE.fullmatch(name):
        known = match[2] in KLINE_MINUTES
        return Channel(name, Kind.KLINE, match[1], KLINE_EVERY_MS, match[2]) if known else None
    if match := _MINI.fullmatch(name):
        return Channel(name, Kind.MINI_TICKER, match[1]) if match[2] in ZONES else None
    if match := _MINI_ALL.fullmatch(name):
        return Channel(name, Kind.MINI_TICKERS) if match[1] in ZONES else None
    if match := _PRIVATE.fullmatch(name):
        return Channel(name, Kind(match[1]))
    return None


def refusal_text(name: str) -> str:
    """The text of a refused subscription, full-width colon included; its `code` is 0 like that of an accepted one."""
    return f"Not Subscribed successfully! [{name}].  Reason\uff1a Blocked! "
