"""What is pushed on which channel and when: events are collected per channel and sent at the channel's pace.

A channel that was quiet sends at once; a busy one at most every `every_ms`. A channel without subscribers costs
nothing, and there is no timer when nothing happens.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from signalbox.simulators.market import Side
from signalbox.simulators.mexc import pushes
from signalbox.simulators.mexc.channels import Channel, Kind
from signalbox.simulators.mexc.connection import Connection, Frame
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.pairs import Pair
from signalbox.simulators.mexc.tape import PublicTrade

BookSide = dict[Decimal, Decimal]
FEED_DEPTH = 200


@dataclass(slots=True, eq=False)
class Feed:
    """One channel with its subscribers and what waits to be sent on it."""

    channel: Channel
    subscribers: set[Connection] = field(default_factory=set)
    trades: list[PublicTrade] = field(default_factory=list)
    scheduled: bool = False
    last_sent_s: float = -1e9
    sent_version: int = 0
    sent_book: dict[Side, BookSide] = field(default_factory=dict)


class PublicFeeds:
    """All public channels that have subscribers."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._feeds: dict[str, Feed] = {}
        self._by_symbol: dict[str, set[str]] = {}
        self._mini_timer: asyncio.Handle | None = None
        self._mini_cache: dict[str, tuple[int, bytes]] = {}
        self._builders: dict[Kind, Callable[[Feed, Pair, int], bytes | None]] = {
            Kind.DEALS: self._deals,
            Kind.BOOK_TICKER: self._book_ticker,
            Kind.BOOK_TICKER_BATCH: lambda feed, pair, now: pushes.book_ticker_batch(feed.channel.name, pair, now),
            Kind.DEPTH: self._depth,
            Kind.LIMIT_DEPTH: self._limit_depth,
            Kind.KLINE: lambda feed, pair, now: pushes.kline(feed.channel.name, pair, feed.channel.detail, now),
            Kind.MINI_TICKER: lambda feed, pair, now: pushes.mini_ticker(feed.channel.name, pair, now),
        }

    def watched(self) -> set[str]:
        """Pairs that somebody watches by name."""
        return set(self._by_symbol)

    def subscribe(self, connection: Connection, channel: Channel) -> None:
        """Add a subscriber; channels that carry a state send it soon."""
        feed = self._feeds.get(channel.name)
        if feed is None:
            feed = self._feeds[channel.name] = Feed(channel)
            if channel.symbol is not None:
                self._by_symbol.setdefault(channel.symbol, set()).add(channel.name)
                self._remember_book(feed)
        feed.subscribers.add(connection)
        if channel.kind in (Kind.MINI_TICKERS, Kind.MINI_TICKER):
            self._start_mini_timer()
        elif channel.kind not in (Kind.DEALS, Kind.DEPTH):
            self._schedule(feed)
        self._exchange.wake()

    def unsubscribe(self, connection: Connection, name: str) -> None:
        """Remove a subscriber."""
        feed = self._feeds.get(name)
        if feed is None:
            return
        feed.subscribers.discard(connection)
        if not feed.subscribers:
            del self._feeds[name]
            names = self._by_symbol.get(feed.channel.symbol or "")
            if names is not None:
                names.discard(name)
                if not names:
                    del self._by_symbol[feed.channel.symbol or ""]

    def traded(self, pair: Pair, trade: PublicTrade) -> None:
        """A trade happened."""
        for feed in self._of(pair):
            if feed.channel.kind is Kind.DEALS:
                feed.trades.append(trade)
                self._schedule(feed)
            elif feed.channel.kind is Kind.KLINE:
                self._schedule(feed)

    def book_changed(self, pair: Pair) -> None:
        """The book changed."""
        for feed in self._of(pair):
            if feed.channel.kind not in (Kind.DEALS, Kind.KLINE, Kind.MINI_TICKER):
                self._schedule(feed)

    def push_mini_tickers(self) -> int:
        """Send the miniTickers of all pairs now; the number of connections that get it."""
        now = self._exchange.now_ms()
        pairs = self._exchange.trading_pairs(now)
        if self._exchange.switches.mini_tickers_before_trade:
            pairs += [
                pair for pair in self._exchange.pairs.values() if not pair.opened and pair.timetable.is_visible(now)
            ]
        fresh = tuple(pair.symbol for pair in pairs if pair.fresh)
        encoded = [self._mini_line(pair) for pair in pairs]
        reached = 0
        for feed in self._feeds.values():
            if feed.channel.kind is Kind.MINI_TICKERS:
                frame = Frame(pushes.mini_tickers(feed.channel.name, encoded, now), feed.channel.name, fresh)
                for connection in feed.subscribers:
                    connection.send(frame)
                    reached += 1
        return reached

    def _mini_line(self, pair: Pair) -> bytes:
        """The encoded line of a pair; made anew only after a trade."""
        cached = self._mini_cache.get(pair.symbol)
        if cached is None or cached[0] != pair.tape.count:
            cached = self._mini_cache[pair.symbol] = (pair.tape.count, pushes.encoded_mini_ticker(pair))
        return cached[1]

    def close(self) -> None:
        """Stop the timer."""
        if self._mini_timer is not None:
            self._mini_timer.cancel()
            self._mini_timer = None

    def _of(self, pair: Pair) -> list[Feed]:
        return [self._feeds[name] for name in self._by_symbol.get(pair.symbol, ())]

    def _schedule(self, feed: Feed) -> None:
        if feed.scheduled:
            return
        feed.scheduled = True
        loop = asyncio.get_running_loop()
        wait = feed.last_sent_s + feed.channel.every_ms / 1000 - loop.time()
        if wait <= 0:
            loop.call_soon(self._flush, feed)
        else:
            loop.call_later(wait, self._flush, feed)

    def _flush(self, feed: Feed) -> None:
        feed.scheduled = False
        pair = self._exchange.pairs.get(feed.channel.symbol or "")
        if pair is None or not feed.subscribers:
            return
        feed.last_sent_s = asyncio.get_running_loop().time()
        data = self._builders[feed.channel.kind](feed, pair, self._exchange.now_ms())
        if data is None:
            return
        fresh = (pair.symbol,) if pair.fresh and pair.opened else ()
        frame = Frame(data, feed.channel.name, fresh, {"symbol": pair.symbol})
        for connection in feed.subscribers:
            connection.send(frame)

    def _start_mini_timer(self) -> None:
        if self._mini_timer is None:
            self._mini_timer = asyncio.get_running_loop().call_soon(self._mini_tick)

    def _mini_tick(self) -> None:
        mini = [feed for feed in self._feeds.values() if feed.channel.kind is Kind.MINI_TICKER]
        if not mini and not any(feed.channel.kind is Kind.MINI_TICKERS for feed in self._feeds.values()):
            self._mini_timer = None
            return
        every_s = self._exchange.switches.mini_tickers_every_ms / 1000
        self._mini_timer = asyncio.get_running_loop().call_later(every_s, self._mini_tick)
        self.push_mini_tickers()
        for feed in mini:
            pair = self._exchange.find(feed.channel.symbol or "", self._exchange.now_ms())
            if pair is not None and pair.opened:
                self._flush(feed)

    def _deals(self, feed: Feed, pair: Pair, now_ms: int) -> bytes | None:
        trades, feed.trades = feed.trades, []
        with_ids = self._exchange.switches.june_2026_fields
        return pushes.deals(feed.channel.name, pair, trades, now_ms, with_ids=with_ids) if trades else None

    def _book_ticker(self, feed: Feed, pair: Pair, now_ms: int) -> bytes:
        with_version = self._exchange.switches.june_2026_fields
        return pushes.aggregated_book_ticker(feed.channel.name, pair, now_ms, with_version=with_version)

    def _limit_depth(self, feed: Feed, pair: Pair, now_ms: int) -> bytes:
        return pushes.limit_depth(feed.channel.name, pair, int(feed.channel.detail), now_ms)

    def _remember_book(self, feed: Feed) -> None:
        pair = self._exchange.pairs.get(feed.channel.symbol or "")
        if pair is not None and feed.channel.kind is Kind.DEPTH:
            feed.sent_version = pair.book.version
            feed.sent_book = {side: dict(pair.book.levels(side, FEED_DEPTH)) for side in Side}

    def _depth(self, feed: Feed, pair: Pair, now_ms: int) -> bytes | None:
        if pair.book.version == feed.sent_version:
            return None
        changes = {}
        book: dict[Side, BookSide] = {side: dict(pair.book.levels(side, FEED_DEPTH)) for side in Side}
        for side in Side:
            before, after = feed.sent_book.get(side, {}), book[side]
            changed = [(price, quantity) for price, quantity in after.items() if before.get(price) != quantity]
            changes[side] = changed + [(price, Decimal(0)) for price in before if price not in after]
        versions = (feed.sent_version + 1, pair.book.version)
        feed.sent_book, feed.sent_version = book, pair.book.version
        return pushes.depth_changes(feed.channel.name, pair, dict(changes), versions, now_ms)
