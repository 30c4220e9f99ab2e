"""The life of one listing in plain sentences: seen, decided, sent, filled, held, sold, and what it brought."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from msgspec import Struct

from signalbox.control.context import Control
from signalbox.control.exit_words import sold_when
from signalbox.control.spend_words import spend_text
from signalbox.control.trades import stage_times
from signalbox.domain.decisions import Verdict
from signalbox.domain.ids import PositionId
from signalbox.domain.money import ZERO, plain
from signalbox.domain.orders import OrderStatus, Purpose
from signalbox.domain.risk.checks import CheckVerdict, RiskCheck
from signalbox.ledger.queries import listings, positions, trades
from signalbox.ledger.queries.listings import SignalRow, Since
from signalbox.ledger.queries.positions import PositionRow
from signalbox.ledger.queries.trades import DecisionRow, StageRow, TradeRow
from signalbox.ledger.sessions import ReadSession


class StepKind(StrEnum):
    """The stations of a listing's life."""

    DETECTED = "detected"
    DECIDED = "decided"
    SENT = "sent"
    BOUGHT = "bought"
    REFUSED = "refused"
    HELD = "held"
    SOLD = "sold"
    RESULT = "result"


class Step(Struct, frozen=True, kw_only=True):
    """One station, explained. `at` is None while it lasts."""

    kind: StepKind
    text: str
    at: datetime | None = None


class Facts(Struct, frozen=True, kw_only=True):
    """What the ledger has on one listing for one account. `exit_decisions` by the id of their decision."""

    signal: SignalRow
    decision: DecisionRow | None
    entries: list[TradeRow]
    entry_stages: StageRow | None
    position: PositionRow | None
    exits: list[TradeRow]
    exit_decisions: dict[str, DecisionRow]


class Story(Struct, frozen=True, kw_only=True):
    """A listing with its steps so far. `closed`: bought and sold. `over`: nothing more will come."""

    symbol: str
    steps: list[Step]
    closed: bool
    over: bool
    facts: Facts


async def latest_stories(control: Control, account: str, *, limit: int = 10) -> list[Story]:
    """The latest listings of an account, newest first."""
    async with control.sessions.read() as session:
        return [
            story(await facts_of(session, signal, account), control.clock.now())
            for signal in await listings.list_signals(session, Since(limit=limit))
        ]


async def facts_of(session: ReadSession, signal: SignalRow, account: str) -> Facts:
    """What the ledger has on a listing for the account with this label."""
    decision = await trades.decision_of_signal(session, signal.id, account)
    orders = [] if decision is None else await trades.trades_of_position(session, _position_id(decision))
    exits = [order for order in orders if order.purpose is Purpose.EXIT]
    entries = [order for order in orders if order.purpose is Purpose.ENTRY]
    sent = next((order for order in reversed(entries) if order.submitted_at is not None), None)
    causes = {str(order.decision_id): order.decision_id for order in exits}
    return Facts(
        signal=signal,
        decision=decision,
        entries=entries,
        entry_stages=None if sent is None else await trades.stages(session, sent.id),
        position=None if decision is None else await positions.position_row(session, _position_id(decision)),
        exits=exits,
        exit_decisions={
            name: row
            for name, cause in causes.items()
            if (row := await trades.decision_row(session, cause)) is not None
        },
    )


def _position_id(decision: DecisionRow) -> PositionId:
    """A position has the id of the decision that opened it."""
    return PositionId(decision.id)


def story(facts: Facts, now: datetime) -> Story:
    """The steps that the facts show at the instant `now`. Pure."""
    steps = [_detected(facts.signal)]
    if facts.decision is not None:
        steps.append(_decided(facts.decision))
    over = _is_over(facts, now)
    steps += _entry_steps(facts, over=over)
    held = facts.position
    if held is not None:
        steps += [_sold(order, facts) for order in facts.exits if order.status is OrderStatus.FILLED]
        if held.status == "open":
            steps.append(_held(held))
        if held.status == "closed":
            steps.append(_result(held))
    return Story(
        symbol=facts.signal.symbol,
        steps=steps,
        closed=held is not None and held.status == "closed",
        over=over,
        facts=facts,
    )


def _is_over(facts: Facts, now: datetime) -> bool:
    """An order that the exchange refused may be tried again for as long as the listing is fresh."""
    if facts.decision is None:
        return False
    if facts.decision.decision is Verdict.SKIP:
        return True
    if facts.position is not None:
        return facts.position.status == "closed"
    refused = bool(facts.entries) and all(
        order.status in {OrderStatus.REJECTED, OrderStatus.FAILED} for order in facts.entries
    )
    return refused and (facts.entries[-1].submitted_at is None or now > facts.signal.freshness_deadline)


def _detected(signal: SignalRow) -> Step:
    text = f"{signal.symbol} seen first by {signal.detection_source}"
    if signal.listing_time is not None:
        text += f", {_gap(signal.listing_time, signal.detected_at)} its opening"
    others = sorted({str(item["source"]) for item in signal.evidence if isinstance(item, dict) and "source" in item})
    if others:
        text += f"; {' and '.join(others)} confirmed it"
    return Step(kind=StepKind.DETECTED, text=text, at=signal.detected_at)


def _gap(reference: datetime, at: datetime) -> str:
    milliseconds = (at - reference).total_seconds() * 1000
    if abs(milliseconds) < 1:
        return "within 1 ms of"
    size = f"{abs(milliseconds):.0f} ms" if abs(milliseconds) < 10_000 else f"{abs(milliseconds) / 1000:.0f} s"
    return f"{size} {'after' if milliseconds >= 0 else 'before'}"


def _decided(decision: DecisionRow) -> Step:
    if decision.decision is Verdict.SKIP:
        return Step(
            kind=StepKind.DECIDED, text=f"not traded ({decision.skip_code}): {decision.reason}", at=decision.timestamp
        )
    return Step(kind=StepKind.DECIDED, text=f"buy: {checks_text(decision.risk_checks)}", at=decision.timestamp)


def checks_text(checks: list[RiskCheck]) -> str:
    """How the checks stood, counted."""
    counted = {verdict: sum(check.verdict is verdict for check in checks) for verdict in CheckVerdict}
    words = (
        (CheckVerdict.FAILED, "failed"),
        (CheckVerdict.PASSED, "passed"),
        (CheckVerdict.NOT_ENFORCED, "not enforced"),
        (CheckVerdict.NOT_APPLICABLE, "do not apply"),
    )
    parts = ", ".join(f"{counted[verdict]} {word}" for verdict, word in words if counted[verdict])
    return f"{len(checks)} checks, {parts}"


def _entry_steps(facts: Facts, *, over: bool) -> list[Step]:
    sent = [order for order in facts.entries if order.submitted_at is not None]
    steps = []
    if sent and facts.entry_stages is not None:
        steps.append(_sent(sent, facts.entry_stages))
    steps += [_bought(order) for order in sent if order.status is OrderStatus.FILLED]
    last = facts.entries[-1] if facts.entries else None
    if last is not None and last.status in {OrderStatus.REJECTED, OrderStatus.FAILED}:
        reason = " ".join(part for part in (last.error_code, last.error_reason) if part)
        steps.append(
            Step(
                kind=StepKind.REFUSED, text=f"nothing bought{'' if over else ' so far'}: {reason}", at=last.completed_at
            )
        )
    return steps


def _sent(orders: list[TradeRow], stage_row: StageRow) -> Step:
    first, last = orders[0], orders[-1]
    size = f"{last.quote_amount:f} quote" if last.quote_amount is not None else f"{last.quantity or ZERO:f} base"
    text = f"{last.order_type} order for {size}"
    scheduled = stage_row.due_at is not None
    if first.latency_ms is not None:
        text += f", on the wire {first.latency_ms:.1f} ms after {'it was due' if scheduled else 'detection'}"
    durable = next((stage for stage in stage_times(stage_row) if stage.name == "durable in the ledger"), None)
    if durable is not None and durable.took_ms is not None and len(orders) == 1 and not scheduled:
        text += f" (the ledger had it first: {durable.took_ms:.1f} ms of these)"
    if len(orders) > 1:
        refused = len(orders) - 1
        text += f"; {refused} earlier attempt{'s' if refused > 1 else ''} refused ({first.error_code})"
    return Step(kind=StepKind.SENT, text=text, at=last.submitted_at)


def _bought(order: TradeRow) -> Step:
    price, quantity, quote = order.executed_price or ZERO, order.executed_quantity or ZERO, order.executed_quote or ZERO
    asked = f" of {order.quote_amount:f}" if order.quote_amount is not None else ""
    text = f"{quantity:f} at {price:.6g}: {spend_text(order) or f'spent {quote:.2f}{asked}'}"
    return Step(kind=StepKind.BOUGHT, text=text, at=order.completed_at)


def _held(position: PositionRow) -> Step:
    waits = ", or ".join(sold_when(position)) or "an operator sells it"
    return Step(kind=StepKind.HELD, text=f"until {waits}", at=None)


def _sold(order: TradeRow, facts: Facts) -> Step:
    price, quantity = order.executed_price or ZERO, order.executed_quantity or ZERO
    cause = facts.exit_decisions.get(str(order.decision_id))
    why = "" if cause is None else f", {_exit_reason(cause)}"
    return Step(kind=StepKind.SOLD, text=f"{quantity:f} at {price:.6g}{why}", at=order.completed_at)


def _exit_reason(cause: DecisionRow) -> str:
    fired = next((check for check in cause.risk_checks if check.verdict is CheckVerdict.FIRED), None)
    if fired is None:
        return cause.reason
    return f"{fired.name.replace('_', ' ')}: {_short(fired.value)}, the plan says {_short(fired.limit)}"


def _short(text: str | None) -> str:
    """A number to six digits; other text as it is."""
    try:
        return plain(Decimal(f"{Decimal(text or ''):.6g}"))
    except InvalidOperation:
        return text or "nothing"


def _result(position: PositionRow) -> Step:
    dust = f"; {position.quantity:f} are less than one lot and stay as dust" if position.quantity else ""
    return Step(
        kind=StepKind.RESULT,
        text=f"{signed(position.realised_pnl)} after fees of {position.fees:.4f}{dust}",
        at=position.closed_at,
    )


def signed(amount: Decimal) -> str:
    """An amount with its sign, to the cent."""
    return f"{amount:+.2f}"
