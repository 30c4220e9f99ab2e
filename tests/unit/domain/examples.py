"""Plain domain values for tests: each call gives a valid one, and keyword arguments change what the test is about."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from signalbox.domain.configuration import AccountSettings, BotConfiguration, ListingSniperParameters, Strategy
from signalbox.domain.ids import AccountId, ConfigurationId, DecisionId, OrderId, PositionId, client_order_id
from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.orders import Fill, Mode, Order, OrderType, Purpose, Side
from signalbox.domain.positions import ExitPlan, Position, TakeProfitLevel
from signalbox.domain.risk.capacity import Capacity, Reservation, Usage
from signalbox.domain.risk.checks import EntryInputs
from signalbox.domain.signals import DetectionSource, ListingSignal, Sighting, signal_from

NOW = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)
ACCOUNT = AccountId(UUID(int=1))


def sighting(**changes: Any) -> Sighting:
    """A new symbol seen by the ticker diff at NOW."""
    values: dict[str, Any] = {"symbol": "NEWUSDT", "source": DetectionSource.TICKER_DIFF, "seen_at": NOW}
    return Sighting(**{**values, "received_ns": 0, **changes})


def signal(
    symbol: str = "NEWUSDT", *, at: datetime = NOW, source: DetectionSource = DetectionSource.TICKER_DIFF
) -> ListingSignal:
    """The signal of a listing that was seen at `at`."""
    return signal_from(sighting(symbol=symbol, seen_at=at, source=source))


def configuration(**changes: Any) -> BotConfiguration:
    """A sniper configuration; `parameters` may be given as a dict of changes."""
    parameters = changes.pop("parameters", {})
    if isinstance(parameters, dict):
        parameters = ListingSniperParameters(**parameters)
    values: dict[str, Any] = {
        "id": ConfigurationId(UUID(int=2)),
        "name": "demo",
        "version": 1,
        "strategy": Strategy.LISTING_SNIPER,
        "symbols": ("*USDT",),
        "quote_amount": Decimal(25),
        "max_trades_per_hour": 10,
        "max_daily_spend": Decimal(500),
        "recv_window": 1000,
        "created_at": NOW,
        "created_by": "operator",
        "parameters": parameters,
    }
    return BotConfiguration(**{**values, **changes})


def settings(**changes: Any) -> AccountSettings:
    """The default guardrails of the account."""
    return AccountSettings(account_id=ACCOUNT, **changes)


def instrument(symbol: str = "NEWUSDT", **changes: Any) -> Instrument:
    """A market that trades, with a tick of 0.0001 and a lot of 0.01."""
    values: dict[str, Any] = {
        "symbol": symbol,
        "base": symbol.removesuffix("USDT"),
        "quote": "USDT",
        "status": InstrumentStatus.TRADING,
        "tick_size": Decimal("0.0001"),
        "lot_size": Decimal("0.01"),
        "min_notional": Decimal(1),
        "min_notional_market": Decimal(1),
    }
    return Instrument(**{**values, **changes})


def entry_inputs(**changes: Any) -> EntryInputs:
    """Inputs of an entry to which every check agrees."""
    values: dict[str, Any] = {
        "signal": signal(),
        "configuration": configuration(),
        "settings": settings(),
        "usage": usage(),
        "mode": Mode.SIMULATION,
        "now": NOW,
        "amount": Decimal("25.05"),
        "run_active": True,
        "kill_switch": False,
        "instrument": instrument(),
        "reference_price": Decimal("0.5"),
    }
    return EntryInputs(**{**values, **changes})


def usage(now: datetime = NOW, **changes: Any) -> Usage:
    """Nothing is taken yet."""
    fresh = Capacity().usage(now)
    return Usage(**{name: changes.get(name, getattr(fresh, name)) for name in Usage.__struct_fields__})


def reservation(number: int, amount: str = "10", *, symbol: str = "NEWUSDT", at: datetime = NOW) -> Reservation:
    """The reservation of decision `number`."""
    return Reservation(
        decision_id=DecisionId(UUID(int=number)),
        account_id=ACCOUNT,
        symbol=symbol,
        amount=Decimal(amount),
        created_at=at,
    )


def order(number: int = 1, **changes: Any) -> Order:
    """A simulated market buy of 25 USDT."""
    order_id = OrderId(UUID(int=number))
    values: dict[str, Any] = {
        "id": order_id,
        "client_order_id": client_order_id(order_id),
        "account_id": ACCOUNT,
        "decision_id": DecisionId(UUID(int=number)),
        "symbol": "NEWUSDT",
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "order_type": OrderType.MARKET,
        "mode": Mode.SIMULATION,
        "created_at": NOW,
        "quote_amount": Decimal(25),
    }
    return Order(**{**values, **changes})


def fill(trade_id: str, quantity: str, price: str, *, side: Side = Side.BUY, **changes: Any) -> Fill:
    """An execution of NEWUSDT with a fee of 0.1 % in USDT."""
    amount = Decimal(quantity) * Decimal(price)
    values: dict[str, Any] = {
        "exchange_trade_id": trade_id,
        "symbol": "NEWUSDT",
        "side": side,
        "price": Decimal(price),
        "quantity": Decimal(quantity),
        "quote_quantity": amount,
        "fee": amount / 1000,
        "fee_asset": "USDT",
        "filled_at": NOW,
    }
    return Fill(**{**values, **changes})


def levels(*steps: tuple[str, str]) -> tuple[TakeProfitLevel, ...]:
    """Take-profit levels from pairs of gain and share."""
    return tuple(TakeProfitLevel(at=Decimal(at), share=Decimal(share)) for at, share in steps)


def position(*, plan: ExitPlan | None = None, held: timedelta = timedelta(0), **changes: Any) -> Position:
    """A position that was opened `held` before NOW; nothing is held unless quantity and cost are given."""
    values: dict[str, Any] = {
        "id": PositionId(UUID(int=9)),
        "account_id": ACCOUNT,
        "symbol": "NEWUSDT",
        "mode": Mode.SIMULATION,
        "opened_at": NOW - held,
        "exit_plan": plan or ExitPlan(),
    }
    return Position(**{**values, **changes})
