"""Orders refuse what no venue could understand, and their states move along the allowed edges only."""

from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from tests.unit.domain import examples

from signalbox.domain.errors import InvariantError
from signalbox.domain.orders import (
    EvidenceState,
    OrderEvidence,
    OrderResult,
    OrderStatus,
    OrderType,
    check_order_transition,
)

ALLOWED = {
    ("pending", "submitted"),
    ("pending", "failed"),
    ("submitted", "filled"),
    ("submitted", "rejected"),
}


@pytest.mark.parametrize(("old", "new"), list(product(OrderStatus, OrderStatus)))
def test_order_states_move_along_the_allowed_edges_only(old: OrderStatus, new: OrderStatus) -> None:
    if (old.value, new.value) in ALLOWED:
        check_order_transition(old, new)
    else:
        with pytest.raises(InvariantError, match=f"an order cannot go from {old} to {new}"):
            check_order_transition(old, new)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quote_amount": None}, "exactly one of"),
        ({"quantity": Decimal(1)}, "exactly one of"),
        ({"quote_amount": Decimal(0)}, "size must be above zero, got 0"),
        ({"quote_amount": Decimal(-1)}, "size must be above zero, got -1"),
        ({"quote_amount": Decimal("NaN")}, "size must be above zero, got NaN"),
        ({"quote_amount": Decimal("Infinity")}, "size must be above zero, got Infinity"),
        ({"quote_amount": None, "quantity": Decimal(0)}, "size must be above zero, got 0"),
        ({"order_type": OrderType.LIMIT}, "a limit order needs a limit_price"),
        ({"order_type": OrderType.LIMIT, "limit_price": Decimal(0)}, "limit_price must be above zero, got 0"),
        ({"order_type": OrderType.LIMIT, "limit_price": Decimal("NaN")}, "limit_price must be above zero, got NaN"),
        ({"recv_window_ms": 1001}, "recv_window_ms must be 1 to 1000, got 1001"),
        ({"recv_window_ms": 0}, "recv_window_ms must be 1 to 1000, got 0"),
    ],
)
def test_an_order_that_no_venue_could_understand_cannot_be_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvariantError, match=message):
        examples.order(**changes)


def test_orders_by_spend_and_by_quantity_can_be_made() -> None:
    assert examples.order().quantity is None
    by_quantity = examples.order(
        quote_amount=None, quantity=Decimal(3), order_type=OrderType.LIMIT, limit_price=Decimal("0.5")
    )
    assert by_quantity.quote_amount is None


@pytest.mark.parametrize(
    ("state", "final"),
    [
        (EvidenceState.OPEN, False),
        (EvidenceState.NOT_FOUND, False),
        (EvidenceState.FILLED, True),
        (EvidenceState.PARTIALLY_CANCELLED, True),
        (EvidenceState.CANCELLED, True),
    ],
)
def test_only_what_the_venue_will_not_change_any_more_is_final(state: EvidenceState, final: bool) -> None:
    assert OrderEvidence(state=state).is_final is final


def test_two_pieces_of_evidence_do_not_share_their_response() -> None:
    first, second = (OrderEvidence(state=EvidenceState.OPEN) for _ in range(2))
    assert first.response is not second.response


def test_the_average_price_of_a_result() -> None:
    result = OrderResult(
        status=OrderStatus.FILLED,
        completed_at=examples.NOW,
        executed_quantity=Decimal(40),
        executed_quote=Decimal(10),
    )
    assert result.executed_price == Decimal("0.25")
    assert OrderResult(status=OrderStatus.REJECTED, completed_at=examples.NOW).executed_price is None
