"""Identifiers. Each is a UUID under a name of its own, so that one cannot be passed for another."""

import base64
import hashlib
from datetime import UTC, datetime
from typing import NewType
from uuid import UUID

AccountId = NewType("AccountId", UUID)
ConfigurationId = NewType("ConfigurationId", UUID)
RunId = NewType("RunId", UUID)
SignalId = NewType("SignalId", UUID)
DecisionId = NewType("DecisionId", UUID)
OrderId = NewType("OrderId", UUID)
PositionId = NewType("PositionId", UUID)
ClientOrderId = NewType("ClientOrderId", str)

_SIGNALS = UUID("6f1d0c1e-1e55-5b0e-9d8c-6a2f4d9f5a10")
_SIGNALS_HASHED = hashlib.sha1(_SIGNALS.bytes, usedforsecurity=False)
"""Copying a hash that was begun costs a fraction of beginning one; an order waits for it."""


def listing_signal_id(symbol: str, listed_at: datetime) -> SignalId:
    """The id of a listing, the same whichever source saw it first: UUID version 5 of (symbol, listing instant)."""
    name = _SIGNALS_HASHED.copy()
    name.update(f"{symbol}|{listed_at.astimezone(UTC).isoformat(timespec='milliseconds')}".encode())
    return SignalId(UUID(bytes=name.digest()[:16], version=5))


def client_order_id(order_id: OrderId) -> ClientOrderId:
    """The id under which the venue knows our order, derived from ours: 25 characters of [A-Za-z0-9_-].

    MEXC documents no rule for newClientOrderId; clients in use keep to 32 characters of this alphabet.
    """
    return ClientOrderId("sb-" + base64.urlsafe_b64encode(order_id.bytes).decode().rstrip("="))
