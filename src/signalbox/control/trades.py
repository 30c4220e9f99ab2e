"""Trades, and why each of them happened or did not."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import Struct, structs

from signalbox.control.context import Control
from signalbox.control.exit_words import sold_when
from signalbox.domain.errors import ConflictError, NotFoundError
from signalbox.domain.risk.checks import CheckVerdict, RiskCheck
from signalbox.ledger.queries import accounts, listings, positions, trades
from signalbox.ledger.queries.listings import SignalRow
from signalbox.ledger.queries.positions import PositionRow
from signalbox.ledger.queries.trades import (
    DecisionRow,
    FillRow,
    StageRow,
    TradeFilter,
    TradeLogRow,
    TradeRow,
)


class Stage(Struct, frozen=True, kw_only=True):
    """One stage of an order's way. `took_ms` counts from the stage before, `since_start_ms` from the first one."""

    name: str
    at: datetime
    took_ms: Decimal | None
    since_start_ms: Decimal


class TradeDetail(Struct, frozen=True, kw_only=True):
    """Everything that explains one trade. `attempts` are all orders of the same decision."""

    trade: TradeRow
    decision: DecisionRow | None
    checks: list[RiskCheck]
    stages: list[Stage]
    fills: list[FillRow]
    logs: list[TradeLogRow]
    attempts: list[TradeRow]
    signal: SignalRow | None
    position: PositionRow | None


async def list_trades(control: Control, wanted: TradeFilter) -> list[TradeRow]:
    """Trades, newest first. Raises NotFoundError for an account that there is not."""
    async with control.sessions.read() as session:
        if wanted.account is not None:
            await accounts.account_by_label(session, wanted.account)
        return await trades.list_trades(session, wanted)


async def show_trade(control: Control, text: str) -> TradeDetail:
    """The trade with this id (its beginning or end is enough), client order id or exchange order id.

    Raises NotFoundError when there is none and ConflictError when there are several.
    """
    async with control.sessions.read() as session:
        found = await trades.find_trades(session, text.strip())
        if not found:
            raise NotFoundError(f"There is no trade {text!r}: 'signalbox trades' lists them with their ids.")
        if len(found) > 1:
            raise ConflictError(f"Several trades have an id that starts or ends with {text!r}: give more of it.")
        trade = found[0]
        decision = await trades.decision_row(session, trade.decision_id)
        return TradeDetail(
            trade=trade,
            decision=decision,
            checks=sorted_checks(decision.risk_checks if decision else []),
            stages=stage_times(await trades.stages(session, trade.id)),
            fills=await trades.fills_of(session, trade.id),
            logs=await trades.logs_of(session, trade.id),
            attempts=await trades.trades_of_decision(session, trade.decision_id),
            signal=await listings.signal_row(session, trade.signal_id) if trade.signal_id else None,
            position=await positions.position_row(session, trade.position_id) if trade.position_id else None,
        )


async def list_positions(
    control: Control, *, account: str | None = None, open_only: bool = False, limit: int = 50
) -> list[PositionRow]:
    """Positions, the open ones first and with what would sell them. Raises NotFoundError for an account that there is
    not."""
    async with control.sessions.read() as session:
        if account is not None:
            await accounts.account_by_label(session, account)
        rows = await positions.list_positions(session, account=account, open_only=open_only, limit=limit)
    now = control.clock.now()
    return [structs.replace(row, sold_when=sold_when(row, now)) if row.status == "open" else row for row in rows]


_VERDICT_ORDER = (
    CheckVerdict.FAILED,
    CheckVerdict.FIRED,
    CheckVerdict.NOT_ENFORCED,
    CheckVerdict.PASSED,
    CheckVerdict.WAITING,
    CheckVerdict.NOT_APPLICABLE,
)


def sorted_checks(checks: list[RiskCheck]) -> list[RiskCheck]:
    """What decided comes first: failed, then fired, then the rest in the order in which a person would ask."""
    return sorted(checks, key=lambda check: _VERDICT_ORDER.index(check.verdict))


DUE = "due at the exchange"
RECEIVED = "received"
_STAGES = (
    ("exchange_event_at", "exchange event"),
    ("received_at", RECEIVED),
    ("decided_at", "decided"),
    ("durable_at", "durable in the ledger"),
    ("due_at", DUE),
    ("sent_at", "sent"),
    ("acknowledged_at", "acknowledged"),
)


def latency_since(stages: Sequence[Stage]) -> str:
    """What the latency of an order counts from: the instant at which it was due, else its detection, else (an exit) its
    decision."""
    known = {stage.name for stage in stages}
    return "Due" if DUE in known else "Detection" if RECEIVED in known else "Decision"


def stage_times(row: StageRow) -> list[Stage]:
    """The stages that are known, in order, with milliseconds between them.

    The venue's clock is not ours, so the time from its event to our reception may come out below zero.
    """
    known = [(name, at) for field, name in _STAGES if (at := getattr(row, field)) is not None]
    found: list[Stage] = []
    for index, (name, at) in enumerate(known):
        found.append(
            Stage(
                name=name,
                at=at,
                took_ms=_milliseconds(known[index - 1][1], at) if index else None,
                since_start_ms=_milliseconds(known[0][1], at),
            )
        )
    return found


def _milliseconds(start: datetime, end: datetime) -> Decimal:
    difference = end - start
    micros = (difference.days * 86_400 + difference.seconds) * 1_000_000 + difference.microseconds
    return Decimal(micros) / 1000
