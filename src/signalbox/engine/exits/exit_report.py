"""What an operator hears of one position's exit: what was sold, what was refused, what cannot be sold."""

from decimal import Decimal
from typing import Final

from signalbox.domain.ids import OrderId
from signalbox.domain.money import plain
from signalbox.domain.orders import Mode
from signalbox.domain.ports import EventSink
from signalbox.domain.positions import Position
from signalbox.domain.strategies.exit_sizes import SaleTerms, least_quantity
from signalbox.domain.strategies.exits import ExitInputs, ExitVerdict

EXIT_REFUSED: Final = "exit_refused"
POSITION_MISMATCH: Final = "position_mismatch"


class ExitReport:
    """Tells events, health and alerts of one position. An alert lasts until the position is sold, or nothing is due
    any more."""

    def __init__(self, position: Position, account: str, journal: EventSink) -> None:
        self._position = position
        self._journal = journal
        self._subject = f"{account}/{position.symbol}"
        if position.mode is Mode.SIMULATION:
            self._subject += " (simulation)"
        self._account = account
        self._wallet_subject: str | None = None
        self._is_dust = False
        self._in_wallet: Decimal | None = None

    def sold(self, verdict: ExitVerdict) -> None:
        """Something was sold."""
        symbol = self._position.symbol
        self._journal.event(
            "info",
            "trading",
            f"sold {symbol}: {verdict.reason}",
            position_id=str(self._position.id),
            rule=verdict.rule,
            take_profit_level=verdict.level,
        )
        self._journal.resolve(EXIT_REFUSED, self._subject, f"sold: {verdict.reason}")
        self._not_dust()

    def refused(self, verdict: ExitVerdict, reason: str, pause_s: float, *, order_id: OrderId | None = None) -> None:
        """An attempt to sell came to nothing. One that is repeated at once, in another style, is no emergency yet."""
        symbol, again = self._position.symbol, f"again in {pause_s:g} s" if pause_s else "again at once, differently"
        details = {"position_id": str(self._position.id), "order_id": str(order_id), "rule": verdict.rule}
        self._journal.event(
            "error",
            "trading",
            f"the exit of {symbol} did not go through and will be tried again: {reason}",
            **details,
        )
        self._journal.alert(
            EXIT_REFUSED,
            self._subject,
            f"{symbol} is to be sold ({verdict.reason}) and was not: {reason}; {again}",
            severity="critical" if pause_s else "warning",
            **details,
        )

    def no_rules(self) -> None:
        """The venue does not tell the market's rules, or does not know the market any more."""
        symbol = self._position.symbol
        text = f"{symbol} is held and cannot be sold: the exchange does not tell its rules (delisted?); asked again"
        details = {"position_id": str(self._position.id)}
        self._journal.event("error", "trading", text, **details)
        self._journal.alert(EXIT_REFUSED, self._subject, text, severity="critical", **details)

    def not_due(self, inputs: ExitInputs) -> None:
        """No rule says sell now; without a price nobody can tell."""
        if inputs.bid is not None:
            self._journal.resolve(EXIT_REFUSED, self._subject, "not due any more: the price went back")

    def dust(self, verdict: ExitVerdict, inputs: ExitInputs) -> None:
        """A rule says sell, and it is too little for the venue: told once."""
        if self._is_dust or inputs.instrument is None:
            return
        self._is_dust = True
        rules, held = inputs.instrument, inputs.position.quantity
        least = least_quantity(SaleTerms(instrument=rules, bid=inputs.bid, discount=inputs.discount))
        self._journal.event(
            "warning",
            "trading",
            f"{plain(held)} {rules.base} are to be sold ({verdict.reason}), but the venue takes no less than"
            f" {plain(least)}: kept until the price makes them sellable",
            position_id=str(self._position.id),
        )
        self._journal.health(
            "exits",
            "degraded",
            symbol=self._position.symbol,
            held=plain(held),
            least=plain(least),
            lot_size=plain(rules.lot_size),
        )
        self._journal.resolve(EXIT_REFUSED, self._subject, "too little is left to be sold")

    def wallet_differs(self, position: Position, base: str, free: Decimal) -> None:
        """The wallet has less of the base asset than the position says."""
        if free == self._in_wallet:
            return
        self._in_wallet = free
        held = plain(position.quantity)
        text = (
            f"the books hold {held} {position.symbol}, the wallet has {plain(free)} free:"
            f" {'that is sold' if free else 'nothing can be sold'}. What is missing stays on the books, counts in the"
            " limits, and is sold as soon as it is back"
        )
        self._journal.event("error", "trading", text, position_id=str(self._position.id), held=held, free=plain(free))
        self._wallet_subject = f"{self._account} {base}"
        self._journal.alert(
            POSITION_MISMATCH, self._wallet_subject, text, severity="critical", position_id=str(self._position.id)
        )

    def wallet_agrees(self) -> None:
        """The wallet has what the position says."""
        self._in_wallet = None
        self._mismatch_is_over("the wallet has what the books say")

    def closed(self) -> None:
        """The position is closed."""
        self._journal.resolve(EXIT_REFUSED, self._subject, "the position is closed")
        self._mismatch_is_over("the position is closed")
        self._not_dust()

    def _mismatch_is_over(self, reason: str) -> None:
        if self._wallet_subject is not None:
            self._journal.resolve(POSITION_MISMATCH, self._wallet_subject, reason)
            self._wallet_subject = None

    def _not_dust(self) -> None:
        if self._is_dust:
            self._is_dust = False
            self._journal.health("exits", "running")
