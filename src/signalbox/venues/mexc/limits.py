"""What the venue limits, held once per process: weights and bans by address, orders by account.

Whoever talks to the same address shares its window and its silence, whatever it asks for and on whose account. MEXC
spot docs, "LIMITS": every request counts for its address; signed ones count for the account as well; orders and cancels
have a pace of their own.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from signalbox.domain.errors import VenueThrottled
from signalbox.domain.orders import Purpose
from signalbox.domain.ports import Clock, EventSink
from signalbox.venues.http import HttpResponse, HttpTarget
from signalbox.venues.mexc.brakes import Brake
from signalbox.venues.mexc.budget import WeightBudget
from signalbox.venues.mexc.capabilities import ACCOUNT_WEIGHT_PER_10_S, ORDERS_PER_SECOND, WEIGHT_PER_10_S
from signalbox.venues.mexc.errors import throttle_of
from signalbox.venues.mexc.outage import OutageWatch

LEFT_FREE: Final = {Purpose.ENTRY: 4, Purpose.EXIT: 2}
"""Orders per second that entries leave to exits and cancels, and that exits leave to cancels."""

KEPT_FOR_ORDERS: Final = 40
"""Of the address's weight, what reads leave to orders however much they matter: an order that has to wait for the
window because others were looked up is an order too late."""

WEIGHT_WINDOW_S: Final = 10.5
"""The venue counts over ten seconds when a request arrives, we when it leaves: what is longer on its way than the one
ten seconds later must not make a window of the venue's fuller than one of ours."""

COMPONENT: Final = "venue.mexc.budget"
REPORT_EVERY_S: Final = 10.0
_NS: Final = 1_000_000_000


class Lane:
    """The way of one kind of request: its own window, the address's window, and the brakes that hold it back.

    `may_use_reserve`: it takes the address's reserve even where it leaves its own.
    """

    def __init__(
        self,
        address: "AddressLimits",
        window: WeightBudget,
        brake: Brake,
        obeys: Sequence[Brake],
        *,
        may_use_reserve: bool = False,
    ) -> None:
        self.window = window
        self.brake = brake
        self._address = address
        self._obeys = obeys
        self._may_use_reserve = may_use_reserve

    def wait_s(self, weight: int, *, poll: bool, leave: int | None = None, for_orders: bool = False) -> float:
        """Seconds until a request of this weight may go; 0 when it may go now. `leave` is what must stay free of its
        own window after it, instead of the reserve. `for_orders`: it may use what is kept for orders."""
        pause_s = self.pause_s()
        if pause_s > 0:
            return pause_s
        shared = self._address.weights
        if self._may_use_reserve or for_orders:
            of_address = shared.wait_s(weight, poll=False)
        else:
            of_address = shared.wait_s(weight, poll=poll, leave=None if poll else self._address.kept_for_orders)
        if shared is self.window:
            return of_address
        return max(self.window.wait_s(weight, poll=poll, leave=leave), of_address)

    def pause_s(self) -> float:
        """Seconds of silence that the venue asked for."""
        return max(self._address.brake.wait_s(), *(brake.wait_s() for brake in self._obeys))

    def why(self) -> str:
        """What holds requests back now, for people."""
        for brake in (self._address.brake, *self._obeys):
            if brake.wait_s() > 0 and brake.reason is not None:
                return f"the venue asked for silence ({brake.reason})"
        return f"our own budget of {self._address.name} is used up"

    def admit(self) -> None:
        """Asked right before the wire. Raises VenueThrottled while the venue wants silence."""
        pause_s = self.pause_s()
        if pause_s > 0:
            raise VenueThrottled(f"nothing was sent: {self.why()}, {pause_s:.1f} s left", retry_after_s=pause_s)

    def spend(self, weight: int) -> None:
        """Count a request that goes out now."""
        self.window.spend(weight)
        if self._address.weights is not self.window:
            self._address.weights.spend(weight)

    def heard(self, response: HttpResponse) -> None:
        """Learn from an answer, whatever it says."""
        if response.status >= 500:
            self._address.outage.failed(f"HTTP {response.status}")
            return
        self._address.outage.answered()
        throttle = throttle_of(response)
        if throttle is None:
            self.brake.release(sent_ns=response.sent_ns)
            self._address.brake.release(sent_ns=response.sent_ns)
        else:
            brake = self._address.brake if throttle.whole_address else self.brake
            brake.press(throttle, sent_ns=response.sent_ns)
        self._address.report()

    def failed(self, error: Exception) -> None:
        """Nothing usable came back."""
        self._address.outage.failed(str(error))


class AccountLimits(Struct, frozen=True):
    """The lanes of one account: signed reads, and orders with their cancels."""

    reads: Lane
    orders: Lane


class AddressLimits:
    """Everything that one address limits. With `quiet` nobody is told: a source's own health says enough."""

    def __init__(self, name: str, clock: Clock, events: EventSink, *, weight: int, quiet: bool = False) -> None:
        told = None if quiet else events
        self.name = name
        self.kept_for_orders = 0 if quiet else KEPT_FOR_ORDERS
        self.weights = WeightBudget(clock, limit=weight, window_s=WEIGHT_WINDOW_S, reserve=0 if quiet else 80)
        self.brake = Brake(name, clock, told)
        self.outage = OutageWatch(name, clock, told)
        self._clock = clock
        self._events = told
        self._read_brakes: list[Brake] = []
        self._accounts: dict[str, AccountLimits] = {}
        self._reported_ns: int | None = None
        self._reported_reason: str | None = None
        self.reads = Lane(self, self.weights, self._read_brake(f"{name} public reads"), self._read_brakes)

    def account(self, label: str) -> AccountLimits:
        """The lanes of an account; the same ones each time."""
        known = self._accounts.get(label)
        if known is None:
            known = self._accounts[label] = self._account(label)
        return known

    def report(self) -> None:
        """Tell how much of the limits is used: every 10 s, and at once when a silence begins or ends."""
        if self._events is None:
            return
        now_ns = self._clock.monotonic_ns()
        reason = self._held_back_by()
        due = self._reported_ns is None or now_ns - self._reported_ns >= REPORT_EVERY_S * _NS
        if not due and reason == self._reported_reason:
            return
        self._reported_ns, self._reported_reason = now_ns, reason
        details: dict[str, Any] = {
            "weight_used": self.weights.used(),
            "weight_peak": self.weights.take_peak(),
            "weight_limit": self.weights.limit,
            "accounts": {label: _use(limits) for label, limits in self._accounts.items()},
        }
        if reason is None:
            self._events.health(COMPONENT, "running", **details)
        else:
            self._events.health(COMPONENT, "degraded", reason=reason, **details)

    def _held_back_by(self) -> str | None:
        orders = (limits.orders.brake for limits in self._accounts.values())
        found = next((b for b in (self.brake, *self._read_brakes, *orders) if b.reason is not None), None)
        return None if found is None else f"{found.name}: {found.reason}"

    def _read_brake(self, name: str) -> Brake:
        """All reads of an address obey the brakes of all: a read that is too much for one may be so for the address."""
        brake = Brake(name, self._clock, self._events)
        self._read_brakes.append(brake)
        return brake

    def _account(self, label: str) -> AccountLimits:
        clock = self._clock
        reads = WeightBudget(clock, limit=ACCOUNT_WEIGHT_PER_10_S.value, window_s=WEIGHT_WINDOW_S)
        orders = WeightBudget(clock, limit=ORDERS_PER_SECOND.value, window_s=1.0, reserve=0)
        brake = Brake(f"{self.name} orders of {label}", clock, self._events)
        return AccountLimits(
            reads=Lane(self, reads, self._read_brake(f"{self.name} reads of {label}"), self._read_brakes),
            orders=Lane(self, orders, brake, (brake,), may_use_reserve=True),
        )


class MexcLimits:
    """The limits of every address that this process talks to."""

    def __init__(self, clock: Clock, events: EventSink) -> None:
        self._clock = clock
        self._events = events
        self._addresses: dict[str, AddressLimits] = {}

    def address(self, target: HttpTarget, *, weight: int = WEIGHT_PER_10_S.value, quiet: bool = False) -> AddressLimits:
        """The limits of one base URL; the same ones each time."""
        known = self._addresses.get(target.base_url)
        if known is None:
            name = f"{target.authority}{target.prefix}"
            known = AddressLimits(name, self._clock, self._events, weight=weight, quiet=quiet)
            self._addresses[target.base_url] = known
        return known


def _use(limits: AccountLimits) -> dict[str, int]:
    return {
        "weight_used": limits.reads.window.used(),
        "weight_limit": limits.reads.window.limit,
        "orders_peak": limits.orders.window.take_peak(),
        "orders_limit": limits.orders.window.limit,
    }
