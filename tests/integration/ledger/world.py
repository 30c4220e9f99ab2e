"""What the ledger tests start from: an account with an owner and a running configuration, and intents for it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from signalbox.domain.configuration import AccountSettings, BotConfiguration, Strategy
from signalbox.domain.decisions import Cause, Decision, Intent, Verdict
from signalbox.domain.ids import (
    AccountId,
    ConfigurationId,
    DecisionId,
    OrderId,
    PositionId,
    RunId,
    client_order_id,
    listing_signal_id,
)
from signalbox.domain.orders import Mode, Order, OrderType, Purpose, Side, StageTimes
from signalbox.domain.positions import ExitRule
from signalbox.domain.risk.capacity import Reservation, Usage
from signalbox.domain.risk.checks import EntryInputs
from signalbox.domain.signals import Confidence, DetectionSource, ListingSignal
from signalbox.domain.strategies.listing_sniper import decide_entry

NOW = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)
FENCE = 7

ACCOUNT = AccountId(UUID(int=1))
CONFIGURATION = ConfigurationId(UUID(int=2))
RUN = RunId(UUID(int=3))

_ids = count(1000)


def new_id() -> UUID:
    """An id that no other call returns."""
    return UUID(int=next(_ids))


def configuration() -> BotConfiguration:
    """The configuration that the run uses."""
    return BotConfiguration(
        id=CONFIGURATION,
        name="default",
        version=1,
        strategy=Strategy.LISTING_SNIPER,
        symbols=("*USDT",),
        quote_amount=Decimal(20),
        max_trades_per_hour=10,
        max_daily_spend=Decimal(500),
        recv_window=1000,
        created_at=NOW,
        created_by="test",
    )


async def open_world(url: str) -> None:
    """Insert the account, its owner, its configuration and its run."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("INSERT INTO accounts (id, venue, label) VALUES ($1, 'mexc', 'main')", ACCOUNT)
        await connection.execute(
            "INSERT INTO account_ownership (account_id, fence, holder) VALUES ($1, $2, 'test')", ACCOUNT, FENCE
        )
        await connection.execute(
            "INSERT INTO bot_configurations (id, name, strategy, symbols, quote_amount, max_trades_per_hour,"
            " max_daily_spend, recv_window, created_by)"
            " VALUES ($1, 'default', 'listing_sniper', '{*USDT}', 20, 10, 500, 1000, 'test')",
            CONFIGURATION,
        )
        await connection.execute(
            "INSERT INTO bot_runs (id, account_id, configuration_id, strategy, started_at, operator_id,"
            " configuration_snapshot, code_version)"
            " VALUES ($1, $2, $3, 'listing_sniper', $4, 'test', $5, 'test')",
            RUN,
            ACCOUNT,
            CONFIGURATION,
            NOW,
            msgspec.json.encode(configuration()).decode(),
        )
    finally:
        await connection.close()


def listing_signal(symbol: str) -> ListingSignal:
    """A listing that was just seen."""
    listed_at = NOW.replace(second=0, microsecond=0)
    return ListingSignal(
        id=listing_signal_id(symbol, listed_at),
        symbol=symbol,
        listed_at=listed_at,
        detection_source=DetectionSource.TICKER_DIFF,
        detected_at=NOW,
        freshness_deadline=NOW + timedelta(seconds=10),
        confidence=Confidence.MEDIUM,
        price=Decimal("1.25"),
    )


def entry_inputs(signal: ListingSignal) -> EntryInputs:
    """Inputs with which a listing is bought."""
    return EntryInputs(
        signal=signal,
        configuration=configuration(),
        settings=AccountSettings(account_id=ACCOUNT),
        usage=Usage(
            orders_last_hour=0,
            spent_today=Decimal(0),
            realised_today=Decimal(0),
            exposure=Decimal(0),
            exposure_by_symbol={},
            symbols=(),
        ),
        mode=Mode.SIMULATION,
        now=NOW,
        amount=Decimal("20.04"),
        run_active=True,
        kill_switch=False,
    )


def entry(symbol: str, *, fence: int = FENCE, **decision: Any) -> Intent:
    """An intent that buys a new listing."""
    signal = listing_signal(symbol)
    inputs = entry_inputs(signal)
    verdict = decide_entry(inputs)
    decision_id = DecisionId(new_id())
    return Intent(
        decision=Decision(
            id=decision_id,
            account_id=ACCOUNT,
            strategy=Strategy.LISTING_SNIPER,
            decided_at=NOW,
            verdict=Verdict.EXECUTE,
            reason=verdict.reason,
            checks=verdict.checks,
            cause=Cause(listing_signal_id=signal.id),
            settings_snapshot=inputs.settings,
            inputs=inputs,
            code_version="test",
            run_id=RUN,
            configuration_id=CONFIGURATION,
            **decision,
        ),
        fence=fence,
        signal=signal,
        order=order(decision_id, symbol, signal_id=signal.id),
        reservation=Reservation(
            decision_id=decision_id, account_id=ACCOUNT, symbol=symbol, amount=Decimal("20.04"), created_at=NOW
        ),
        stages=StageTimes(received_at=NOW, decided_at=NOW),
    )


def order(decision_id: DecisionId, symbol: str, **fields: Any) -> Order:
    """A market buy of 20 quote, unless `fields` say otherwise."""
    order_id = OrderId(new_id())
    given: dict[str, Any] = {
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "order_type": OrderType.MARKET,
        "mode": Mode.SIMULATION,
        "created_at": NOW,
        "run_id": RUN,
        **({} if "quantity" in fields else {"quote_amount": Decimal(20)}),
        **fields,
    }
    return Order(
        id=order_id,
        client_order_id=client_order_id(order_id),
        account_id=ACCOUNT,
        decision_id=decision_id,
        symbol=symbol,
        **given,
    )


def exit_of(position_id: PositionId, symbol: str, *, fence: int = FENCE) -> Intent:
    """An intent that sells a position because its time is over."""
    decision_id = DecisionId(new_id())
    return Intent(
        decision=Decision(
            id=decision_id,
            account_id=ACCOUNT,
            strategy=Strategy.LISTING_SNIPER,
            decided_at=NOW,
            verdict=Verdict.EXECUTE,
            reason="time_limit: held long enough",
            checks=(),
            cause=Cause(exit_rule=ExitRule.TIME_LIMIT, position_id=position_id),
            settings_snapshot=AccountSettings(account_id=ACCOUNT),
            inputs=entry_inputs(listing_signal(symbol)),
            code_version="test",
            run_id=RUN,
        ),
        fence=fence,
        order=order(
            decision_id, symbol, side=Side.SELL, purpose=Purpose.EXIT, quantity=Decimal(16), position_id=position_id
        ),
    )
