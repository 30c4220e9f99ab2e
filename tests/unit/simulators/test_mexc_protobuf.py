"""The simulator's encoder against wire samples, and against what a real protobuf library would do."""

import pytest

from signalbox.simulators.mexc.protobuf import Message, encode_element, encode_push

DEALS_CHANNEL = "spot@public.aggre.deals.v3.api.pb@100ms@ABCUSDT"
DEALS_HEX = (
    "0a2f73706f74407075626c69632e61676772652e6465616c732e76332e6170692e7062403130306d73404142435553445"
    "41a074142435553445430fbd0eab6b733d2133d0a120a03302e3512023230180120f8d0eab6b733122773706f74407075"
    "626c69632e61676772652e6465616c732e76332e6170692e7062403130306d73"
)
ORDERS_HEX = (
    "0a1d73706f7440707269766174652e6f72646572732e76332e6170692e70621a074142435553445430c8d1eab6b73382"
    "13680a174330325f5f393030303030303030303030303030303031120773622d303030311a05302e353235220534372e"
    "36312a01303203302e35380540015207312e31393032355a0130620534372e36316a0534372e3631720632332e383035"
    "7802800196d1eab6b733"
)


def test_public_deals_sample() -> None:
    """One buy of 20 at 0.5 in a push of aggre.deals."""
    deal: Message = {"price": "0.5", "quantity": "20", "tradeType": 1, "time": 1767225600120}
    body: Message = {"deals": [deal], "eventType": "spot@public.aggre.deals.v3.api.pb@100ms"}
    encoded = encode_push(DEALS_CHANNEL, "publicAggreDeals", body, symbol="ABCUSDT", sendTime=1767225600123)
    assert encoded.hex() == DEALS_HEX


def test_private_order_sample() -> None:
    """A MARKET buy, filled; false and empty fields are left out."""
    body: Message = {
        "id": "C02__900000000000000001",
        "clientId": "sb-0001",
        "price": "0.525",
        "quantity": "47.61",
        "amount": "0",
        "avgPrice": "0.5",
        "orderType": 5,
        "tradeType": 1,
        "isMaker": False,
        "remainAmount": "1.19025",
        "remainQuantity": "0",
        "lastDealQuantity": "47.61",
        "cumulativeQuantity": "47.61",
        "cumulativeAmount": "23.805",
        "status": 2,
        "createTime": 1767225600150,
    }
    encoded = encode_push(
        "spot@private.orders.v3.api.pb", "privateOrders", body, symbol="ABCUSDT", sendTime=1767225600200
    )
    assert encoded.hex() == ORDERS_HEX


@pytest.mark.parametrize(
    ("number", "expected"), [(1, "2001"), (127, "207f"), (128, "208001"), (300, "20ac02"), (-1, "20" + "ff" * 9 + "01")]
)
def test_varints(number: int, expected: str) -> None:
    """Seven bits per byte, least first; a negative number takes ten bytes."""
    assert encode_element("deals", {"time": number}).hex() == expected


def test_encoded_elements_may_stand_for_messages() -> None:
    """A line that was encoded before gives the same frame."""
    line: Message = {"symbol": "索拉拉USDT", "price": "0.5"}
    ready = encode_element("tickers", line)
    channel = "spot@public.miniTickers.v3.api.pb@UTC+8"
    assert encode_push(channel, "publicMiniTickers", {"tickers": [ready, ready]}) == encode_push(
        channel, "publicMiniTickers", {"tickers": [line, line]}
    )
