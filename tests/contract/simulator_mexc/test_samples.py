"""M90: the simulated MEXC answers with the fields and types of the payload samples."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.contract.simulator_mexc.conftest import Venue
from tests.contract.simulator_mexc.raw_client import Answer

DATA = Path(__file__).parents[2] / "data" / "mexc"
BUY = "symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=25&newClientOrderId=sb-0001"
LIMIT = "symbol=ABCUSDT&side=BUY&type=LIMIT&quantity=100&price=0.45"
PUBLIC_SAMPLES = {
    "http_get_time": "time",
    "http_get_default_symbols": "defaultSymbols",
    "http_get_exchange_info": "exchangeInfo?symbol=ABCUSDT",
    "http_get_ticker_price": "ticker/price?symbol=ABCUSDT",
    "http_get_ticker_price_all": "ticker/price",
    "http_get_ticker_book_ticker": "ticker/bookTicker?symbol=ABCUSDT",
    "http_get_ticker_24hr": "ticker/24hr?symbol=ABCUSDT",
    "http_get_depth": "depth?symbol=ABCUSDT",
    "http_get_trades": "trades?symbol=ABCUSDT",
    "http_get_agg_trades": "aggTrades?symbol=ABCUSDT",
    "http_get_klines": "klines?symbol=ABCUSDT&interval=1m",
    "http_get_avg_price": "avgPrice?symbol=ABCUSDT",
}


def sample(name: str) -> Any:
    """The sample of this name."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def shape(value: Any) -> Any:
    """Field names and types; of a list of alike things only the first."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        kinds = [shape(inner) for inner in value]
        return kinds if kinds and not all(kind == kinds[0] for kind in kinds) else kinds[:1]
    return type(value).__name__


def first_of_lists(value: Any) -> Any:
    """The sample with every list of objects cut to its first, as one answer need not have all variants."""
    if isinstance(value, dict):
        return {name: first_of_lists(inner) for name, inner in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [first_of_lists(value[0])]
    return value


@pytest.mark.parametrize("name", PUBLIC_SAMPLES)
async def test_m90_public_answers(venue: Venue, name: str) -> None:
    """M90: public answers."""
    path, _, query = PUBLIC_SAMPLES[name].partition("?")
    answer = await venue.client.get(f"/api/v3/{path}", query)
    body, expected = first_of_lists(answer.body), first_of_lists(sample(name))
    if name == "http_get_exchange_info":
        for side in (body, expected):
            for descriptive in ("conceptPlateIds", "conceptPlates"):
                side["symbols"][0][descriptive] = []
    assert shape(body) == shape(expected)


async def test_m91_signed_answers(venue: Venue) -> None:
    """M91: signed answers, from the acknowledgement to the fee."""
    client = venue.client
    by_client_id = "symbol=ABCUSDT&origClientOrderId=sb-0001"
    answers: dict[str, Answer] = {
        "http_post_order_test": await client.signed("POST", "/api/v3/order/test", BUY),
        "http_post_order": await client.order(BUY),
        "http_get_order_filled": await client.signed("GET", "/api/v3/order", by_client_id),
        "http_post_user_data_stream": await client.signed("POST", "/api/v3/userDataStream"),
        "http_get_user_data_stream": await client.signed("GET", "/api/v3/userDataStream"),
        "http_get_account": await client.signed("GET", "/api/v3/account"),
        "http_get_self_symbols": await client.signed("GET", "/api/v3/selfSymbols"),
        "http_get_trade_fee": await client.signed("GET", "/api/v3/tradeFee", "symbol=ABCUSDT"),
        "http_get_api_key_info": await client.signed("GET", "/api/v3/apiKeyInfo", f"accessKey={client.api_key}"),
    }
    rested = (await client.order(LIMIT)).body["orderId"]
    by_id = f"symbol=ABCUSDT&orderId={rested}"
    answers["http_get_order_new"] = await client.signed("GET", "/api/v3/order", by_id)
    await client.order(LIMIT + "&newClientOrderId=sb-0002")
    by_client_id = "symbol=ABCUSDT&origClientOrderId=sb-0002"
    answers["http_delete_order"] = await client.signed("DELETE", "/api/v3/order", by_client_id)
    answers["http_delete_order_all"] = await client.signed("DELETE", "/api/v3/order/all")
    venue.advance(20)
    answers["http_get_my_trades"] = await client.signed("GET", "/api/v3/myTrades", "symbol=ABCUSDT")
    for name, answer in answers.items():
        assert answer.status == 200, (name, answer)
        assert shape(first_of_lists(answer.body)) == shape(first_of_lists(sample(name))), name


async def test_m92_calendar(venue: Venue) -> None:
    """M92: the calendar, with and without the zone."""
    plain = (await venue.client.get("/api/operation/new_coin_calendar")).body
    expected = sample("http_get_calendar")
    assert shape(first_of_lists(plain["data"])) == shape(first_of_lists(expected["data"]))
    await venue.client.control("settings", {"calendar_zone": True})
    zoned = (await venue.client.get("/api/operation/new_coin_calendar")).body
    assert shape(first_of_lists(zoned)) == shape(first_of_lists(sample("http_get_calendar_with_zone")))


async def test_m93_error_texts(venue: Venue) -> None:
    """M93: errors carry the sampled code and text; `_extend` and string codes are switches."""
    texts = {entry["body"]["code"]: entry["body"]["msg"] for entry in sample("http_errors")}
    oversold = await venue.client.order("symbol=ABCUSDT&side=SELL&type=MARKET&quantity=5")
    assert oversold.body == {"code": 30004, "msg": texts[30004]}
    await venue.client.control("settings", {"error_extend": True, "error_code_as_string": True})
    odd = await venue.client.order("symbol=ABCUSDT&side=SELL&type=MARKET&quantity=5")
    assert odd.body == {"code": "30004", "msg": texts[30004], "_extend": None}
    await venue.client.control("settings", {"chinese_texts": True, "error_extend": False})
    poor = await venue.client.order("symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=20000")
    assert poor.body == {"code": "10101", "msg": texts["10101"]}
