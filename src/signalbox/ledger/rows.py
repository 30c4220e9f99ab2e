"""Rows of the ledger as domain types."""

from decimal import Decimal
from typing import Any, TypeVar

import asyncpg
import msgspec

from signalbox.domain.configuration import Account, AccountSettings, BotConfiguration, Environment, Venue
from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import AccountId, ClientOrderId, DecisionId, OrderId, PositionId, RunId, SignalId
from signalbox.domain.orders import Mode, Order, OrderType, Purpose, Side, TimeInForce
from signalbox.domain.positions import ExitPlan, ExitRule, Position
from signalbox.domain.runs import Run, RunStatus, StopMode

Row = asyncpg.Record
T = TypeVar("T")


def account_from(row: Row) -> Account:
    """A row of accounts."""
    return Account(
        id=AccountId(row["id"]),
        venue=Venue(row["venue"]),
        label=row["label"],
        environment=Environment(row["environment"]),
        validated_at=row["validated_at"],
        last_error=row["last_error"],
    )


def settings_from(row: Row) -> AccountSettings:
    """A row of settings."""
    return AccountSettings(
        account_id=AccountId(row["account_id"]),
        version=row["version"],
        mode=Mode(row["mode"]),
        max_trade_usdt=row["max_trade_usdt"],
        max_position_usdt=row["max_position_usdt"],
        global_exposure_cap=row["global_exposure_cap"],
        asset_exposure_caps=document(row["asset_exposure_caps"], dict[str, Decimal]),
        daily_loss_limit=row["daily_loss_limit"],
        auto_trade=row["auto_trade"],
    )


def run_from(row: Row) -> Run:
    """A row of bot_runs, with the configuration as it was at the start."""
    return Run(
        id=RunId(row["id"]),
        account_id=AccountId(row["account_id"]),
        configuration=document(row["configuration_snapshot"], BotConfiguration),
        status=RunStatus(row["status"]),
        operator_id=row["operator_id"],
        started_at=row["started_at"],
        stopped_at=row["stopped_at"],
        last_heartbeat=row["last_heartbeat"],
        error_message=row["error_message"],
        stop_mode=StopMode(row["stop_mode"]) if row["stop_mode"] else None,
    )


def position_from(row: Row) -> Position:
    """A row of positions, with the stop that fired."""
    return Position(
        id=PositionId(row["id"]),
        account_id=AccountId(row["account_id"]),
        symbol=row["symbol"],
        mode=Mode(row["mode"]),
        opened_at=row["opened_at"],
        exit_plan=document(row["exit_plan"], ExitPlan),
        signal_id=SignalId(row["signal_id"]) if row["signal_id"] else None,
        quantity=row["quantity"],
        cost=row["cost"],
        realised_pnl=row["realised_pnl"],
        fees=row["fees"],
        closed_at=row["closed_at"],
        bought=row["bought"],
        highest_bid=row["highest_bid"],
        fired_stop=ExitRule(row["fired_stop"]) if row["fired_stop"] else None,
    )


def order_from(row: Row) -> Order:
    """A row of trade_orders: what was asked, without what became of it."""
    return Order(
        id=OrderId(row["id"]),
        client_order_id=ClientOrderId(row["client_order_id"]),
        account_id=AccountId(row["account_id"]),
        decision_id=DecisionId(row["decision_id"]),
        symbol=row["symbol"],
        side=Side(row["side"]),
        purpose=Purpose(row["purpose"]),
        order_type=OrderType(row["order_type"]),
        mode=Mode(row["mode"]),
        created_at=row["created_at"],
        run_id=RunId(row["run_id"]) if row["run_id"] else None,
        signal_id=SignalId(row["signal_id"]) if row["signal_id"] else None,
        position_id=PositionId(row["position_id"]) if row["position_id"] else None,
        time_in_force=TimeInForce(row["time_in_force"]) if row["time_in_force"] else None,
        quote_amount=row["quote_amount"],
        quantity=row["quantity"],
        limit_price=row["limit_price"],
        reduce_only=row["reduce_only"],
        recv_window_ms=row["recv_window"],
        attempt=row["attempt"],
    )


def document(value: Any, kind: type[T]) -> T:
    """A decoded JSON document as a domain type. Raises InvariantError when it is not one."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvariantError(f"A stored document is not a {kind.__name__}: {error}") from error
