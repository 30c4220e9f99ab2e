"""MEXC's signed account payloads become domain values. Pure, like `parse`."""

from decimal import Decimal

import msgspec

from signalbox.domain.orders import Side
from signalbox.domain.venue_records import AccountUpdate, Balance, BalanceUpdate, OrderUpdate, VenueOrder
from signalbox.venues.mexc import wire
from signalbox.venues.mexc.errors import MalformedAnswer, excerpt
from signalbox.venues.mexc.parse import amount, decode, each, evidence_of, instant
from signalbox.venues.mexc.push_pb2 import Push

_balances = msgspec.json.Decoder(wire.AccountBalances)
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_listed_order = msgspec.json.Decoder(wire.ListedOrder)
_listen_key = msgspec.json.Decoder(wire.ListenKey)

_BY_ORDER = ("ENTRUST", "TRADE_FEE")
"""How the `type` of a balance push begins when an order moved it (MEXC spot docs, "Spot Account Update")."""


def balances(body: bytes) -> list[Balance]:
    """What the account holds. One asset that cannot be understood spoils the answer: a missing asset would read as an
    empty one."""
    found = decode(_balances, body, "the balances")
    try:
        return [
            Balance(asset=entry.asset, free=amount(entry.free), locked=amount(entry.locked)) for entry in found.balances
        ]
    except ValueError as error:
        raise MalformedAnswer(f"the balances are malformed ({error}): {excerpt(body)}") from None


def listed_orders(body: bytes) -> tuple[list[VenueOrder], list[str]]:
    """The orders of a list, and descriptions of those that could not be understood."""
    raws: list[msgspec.Raw] = decode(_raw_list, body, "the list of orders")
    return each(raws, _venue_order)


def _venue_order(raw: msgspec.Raw) -> VenueOrder:
    entry = _listed_order.decode(raw)
    if entry.side not in {"BUY", "SELL"}:
        raise ValueError(f"an order has the unknown side {entry.side[:40]!r}")
    return VenueOrder(
        exchange_order_id=str(entry.order_id),
        client_order_id=entry.client_order_id or None,
        symbol=entry.symbol,
        side=Side(entry.side.lower()),
        kind=entry.type,
        status=entry.status,
        evidence=evidence_of(entry, msgspec.json.decode(raw)),
        price=amount(entry.price) if entry.price is not None else None,
        quantity=amount(entry.orig_qty),
        placed_at=instant(entry.time),
    )


def listen_key(body: bytes) -> str:
    """The key to the account's stream."""
    found = decode(_listen_key, body, "the listen key").listen_key
    if not found.isascii() or not found.isalnum():
        raise MalformedAnswer(f"the listen key is malformed: {excerpt(body)}")
    return found


def account_update(push: Push) -> AccountUpdate | None:
    """The hint in a private push; None for one that says nothing usable."""
    match push.WhichOneof("body"):
        case "private_orders":
            order = push.private_orders
            return _order_update(push.symbol or order.market, order.client_id, order.id, order.cumulative_quantity)
        case "private_deals":
            deal = push.private_deals
            return _order_update(push.symbol, deal.client_order_id, deal.order_id)
        case "private_account":
            account = push.private_account
            return BalanceUpdate(asset=account.vcoin_name, by_order=account.type.startswith(_BY_ORDER))
        case _:
            return None


def _order_update(symbol: str, client_order_id: str, exchange_order_id: str, executed: str = "") -> OrderUpdate | None:
    if not symbol or not exchange_order_id:
        return None
    return OrderUpdate(
        symbol=symbol,
        client_order_id=client_order_id or None,
        exchange_order_id=exchange_order_id,
        executed_quantity=_quantity(executed),
    )


def _quantity(text: str) -> Decimal | None:
    try:
        return amount(Decimal(text))
    except (ArithmeticError, ValueError):
        return None
