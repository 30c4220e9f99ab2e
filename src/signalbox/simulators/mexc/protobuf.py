"""A small encoder for the venue's protobuf pushes, driven by a table of field numbers.

Schema facts: the public repository mexcdevelop/websocket-proto (June 2026). proto3, no package, one message per
binary frame. This is an encoder only and shares nothing with the decoder of the adapter.
"""

from collections.abc import Mapping, Sequence
from typing import Union

Value = Union[str, int, bool, "Message", Sequence[Union["Message", bytes]]]
Message = Mapping[str, Value]

_VARINT, _LENGTH = 0, 2

_WRAPPER = {"channel": 1, "symbol": 3, "symbolId": 4, "createTime": 5, "sendTime": 6}
_BODIES = {
    "publicDeals": 301,
    "publicLimitDepths": 303,
    "privateOrders": 304,
    "privateDeals": 306,
    "privateAccount": 307,
    "publicSpotKline": 308,
    "publicMiniTicker": 309,
    "publicMiniTickers": 310,
    "publicBookTickerBatch": 311,
    "publicAggreDepths": 313,
    "publicAggreDeals": 314,
    "publicAggreBookTicker": 315,
}
_MINI_TICKER = {
    "symbol": 1,
    "price": 2,
    "rate": 3,
    "zonedRate": 4,
    "high": 5,
    "low": 6,
    "volume": 7,
    "quantity": 8,
    "lastCloseRate": 9,
    "lastCloseZonedRate": 10,
    "lastCloseHigh": 11,
    "lastCloseLow": 12,
}
_BOOK_TICKER = {
    "bidPrice": 1,
    "bidQuantity": 2,
    "askPrice": 3,
    "askQuantity": 4,
    "version": 5,
    "lastOrderCreateTime": 6,
}
_FIELDS: dict[str, dict[str, int]] = {
    "publicAggreDeals": {"deals": 1, "eventType": 2},
    "publicDeals": {"deals": 1, "eventType": 2},
    "deals": {"price": 1, "quantity": 2, "tradeType": 3, "time": 4, "tradeId": 5},
    "publicAggreBookTicker": _BOOK_TICKER,
    "publicBookTickerBatch": {"items": 1, "version": 2, "lastOrderCreateTime": 3},
    "items": _BOOK_TICKER,
    "publicAggreDepths": {
        "asks": 1,
        "bids": 2,
        "eventType": 3,
        "fromVersion": 4,
        "toVersion": 5,
        "lastOrderCreateTime": 6,
    },
    "publicLimitDepths": {"asks": 1, "bids": 2, "eventType": 3, "version": 4, "lastOrderCreateTime": 5},
    "asks": {"price": 1, "quantity": 2},
    "bids": {"price": 1, "quantity": 2},
    "publicMiniTicker": _MINI_TICKER,
    "publicMiniTickers": {"tickers": 1},
    "tickers": _MINI_TICKER,
    "publicSpotKline": {
        "interval": 1,
        "windowStart": 2,
        "openingPrice": 3,
        "closingPrice": 4,
        "highestPrice": 5,
        "lowestPrice": 6,
        "volume": 7,
        "amount": 8,
        "windowEnd": 9,
    },
    "privateAccount": {
        "vcoinName": 1,
        "coinId": 2,
        "balanceAmount": 3,
        "balanceAmountChange": 4,
        "frozenAmount": 5,
        "frozenAmountChange": 6,
        "type": 7,
        "time": 8,
    },
    "privateDeals": {
        "price": 1,
        "quantity": 2,
        "amount": 3,
        "tradeType": 4,
        "isMaker": 5,
        "isSelfTrade": 6,
        "tradeId": 7,
        "clientOrderId": 8,
        "orderId": 9,
        "feeAmount": 10,
        "feeCurrency": 11,
        "time": 12,
    },
    "privateOrders": {
        "id": 1,
        "clientId": 2,
        "price": 3,
        "quantity": 4,
        "amount": 5,
        "avgPrice": 6,
        "orderType": 7,
        "tradeType": 8,
        "isMaker": 9,
        "remainAmount": 10,
        "remainQuantity": 11,
        "lastDealQuantity": 12,
        "cumulativeQuantity": 13,
        "cumulativeAmount": 14,
        "status": 15,
        "createTime": 16,
    },
}


def encode_push(channel: str, body_name: str, body: Message, **wrapper: str | int) -> bytes:
    """One push frame. `body_name` is the wrapper's field, `wrapper` its optional fields (symbol, sendTime, ...).

    Empty strings, zeros and false are left out, as proto3 does.
    """
    head: Message = {"channel": channel, **wrapper}
    payload = _encode(body, _FIELDS[body_name])
    return _encode(head, _WRAPPER) + _tag(_BODIES[body_name], _LENGTH) + _varint(len(payload)) + payload


def encode_element(name: str, message: Message) -> bytes:
    """One element of the repeated field `name`, for use in place of its message (encoded once, sent often)."""
    return _encode(message, _FIELDS[name])


def _encode(message: Message, numbers: Mapping[str, int]) -> bytes:
    parts = []
    for name, number in sorted(numbers.items(), key=lambda item: item[1]):
        value = message.get(name)
        if isinstance(value, str):
            if value:
                parts.append(_block(number, value.encode()))
        elif isinstance(value, int):
            if value:
                parts.append(_tag(number, _VARINT) + _varint(value))
        elif isinstance(value, Mapping):
            parts.append(_block(number, _encode(value, _FIELDS[name])))
        elif value is not None:
            for element in value:
                encoded = element if isinstance(element, bytes) else _encode(element, _FIELDS[name])
                parts.append(_block(number, encoded))
    return b"".join(parts)


def _block(number: int, payload: bytes) -> bytes:
    return _tag(number, _LENGTH) + _varint(len(payload)) + payload


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF  # negative numbers take ten bytes, as protobuf has it
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
