"""M10-M19: what the simulated MEXC demands of a signed request."""

import pytest
from tests.contract.simulator_mexc.conftest import StartVenue, Venue
from tests.contract.simulator_mexc.raw_client import sign

from signalbox.simulators.mexc.options import AccountOptions, SimulatorOptions, Switches

BUY = "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=25"
TEST_ORDER = "/api/v3/order/test"


async def test_m10_parameters_may_stand_in_any_order_and_be_doubled(venue: Venue) -> None:
    """M10: the signature covers the string as received, a doubled `&` included."""
    client = venue.client
    total = f"timestamp={client.now_ms()}&type=MARKET&&side=BUY&quoteOrderQty=25&symbol=BTCUSDT"
    answer = await client.raw("POST", TEST_ORDER, f"{total}&signature={sign(client.secret, total)}", client.headers())
    assert (answer.status, answer.body) == (200, {})


async def test_m11_signature_is_taken_out_wherever_it_stands(venue: Venue) -> None:
    """M11: `signature` in the middle of the query is accepted."""
    client = venue.client
    head, tail = "symbol=BTCUSDT&side=BUY", f"type=MARKET&quoteOrderQty=25&timestamp={client.now_ms()}"
    query = f"{head}&signature={sign(client.secret, f'{head}&{tail}')}&{tail}"
    answer = await client.raw("POST", TEST_ORDER, query, client.headers())
    assert answer.status == 200


async def test_m12_percent_encoded_values_are_signed_as_sent(venue: Venue) -> None:
    """M12: a non-ASCII symbol travels percent-encoded and is signed in that form."""
    answer = await venue.client.signed(
        "POST", TEST_ORDER, "symbol=%E7%B4%A2%E6%8B%89%E6%8B%89USDT&side=BUY&type=MARKET&quoteOrderQty=5"
    )
    assert (answer.status, answer.body) == (200, {})


async def test_m13_wrong_signature_is_refused(venue: Venue) -> None:
    """M13: 700002 as HTTP 400; 700004 when there is none."""
    client = venue.client
    query = f"{BUY}&timestamp={client.now_ms()}"
    wrong = await client.raw("POST", TEST_ORDER, f"{query}&signature={'0' * 64}", client.headers())
    assert (wrong.status, wrong.body) == (
        400,
        {"code": 700002, "msg": "Signature for this request is not valid."},
    )
    missing = await client.raw("POST", TEST_ORDER, query, client.headers())
    assert (missing.status, missing.code) == (400, 700004)


@pytest.mark.parametrize(
    ("offset_ms", "window", "code"),
    [(999, 1000, None), (1000, 1000, 700003), (-1000, 1000, None), (-1001, 1000, 700003), (0, 60_001, 700005)],
)
async def test_m14_time_window_is_asymmetric(venue: Venue, offset_ms: int, window: int, code: int | None) -> None:
    """M14: timestamp < server + 1000 and server - timestamp <= recvWindow; recvWindow at most 60000."""
    client = venue.client
    answer = await client.signed("POST", TEST_ORDER, BUY, timestamp=client.now_ms() + offset_ms, recv_window=window)
    assert answer.code == code
    assert answer.status == (200 if code is None else 400)


async def test_m15_key_must_exist_and_look_like_one(venue: Venue) -> None:
    """M15: no key, a malformed key and an unknown key have different codes."""
    client = venue.client
    query = f"{BUY}&timestamp={client.now_ms()}&signature=00"
    json_type = {"Content-Type": "application/json"}
    keys: tuple[dict[str, str], ...] = ({}, {"X-MEXC-APIKEY": "not a key!"}, {"X-MEXC-APIKEY": "mx0unknown"})
    codes = [(await client.raw("POST", TEST_ORDER, query, json_type | key)).code for key in keys]
    assert codes == [400, 700001, 10072]


async def test_m16_content_type_must_be_json(venue: Venue) -> None:
    """M16: 700013, unless the switch is off."""
    client = venue.client
    total = f"{BUY}&timestamp={client.now_ms()}"
    query = f"{total}&signature={sign(client.secret, total)}"
    headers = {"X-MEXC-APIKEY": client.api_key, "Content-Type": "text/plain"}
    assert (await client.raw("POST", TEST_ORDER, query, headers)).code == 700013
    await client.control("settings", {"require_json_content_type": False})
    assert (await client.raw("POST", TEST_ORDER, query, headers)).status == 200


@pytest.mark.parametrize(
    ("setting", "joined_by", "accepted"),
    [
        ("concatenate", "", True),
        ("concatenate", "&", False),
        ("ampersand", "&", True),
        ("ampersand", "", False),
        ("either", "", True),
        ("either", "&", True),
    ],
)
async def test_m17_mixed_query_and_body(start_venue: StartVenue, setting: str, joined_by: str, accepted: bool) -> None:
    """M17: query and body are signed one after the other; whether `&` stands between them is a switch."""
    venue = await start_venue(SimulatorOptions(switches=Switches(mixed_signing=setting)))  # type: ignore[arg-type]  # parametrised
    client = venue.client
    query, body = "symbol=BTCUSDT&side=BUY", f"type=MARKET&quoteOrderQty=25&timestamp={client.now_ms()}"
    signature = sign(client.secret, query + joined_by + body)
    answer = await client.raw("POST", TEST_ORDER, f"{query}&signature={signature}", client.headers(), body)
    assert (answer.status == 200) is accepted


async def test_m18_permissions_bound_pairs_and_addresses(start_venue: StartVenue) -> None:
    """M18: 700007 without the permission, 10007 for a pair the key is not bound to, 700006 for a wrong address."""
    options = SimulatorOptions(
        accounts=(
            AccountOptions(label="reader", permissions=("SPOT_ACCOUNT_READ",)),
            AccountOptions(label="bound", symbols=("ETHUSDT",)),
            AccountOptions(label="elsewhere", ip_whitelist=("203.0.113.9",)),
        )
    )
    venue = await start_venue(options)
    client, codes = venue.client, []
    for account in venue.simulator.accounts:
        client.use(account)
        codes.append((await client.order(BUY)).code)
    assert codes == [700007, 10007, 700006]
    client.use(venue.simulator.accounts[1])
    assert (await client.signed("GET", "/api/v3/selfSymbols")).body == {"code": 200, "data": ["ETHUSDT"], "msg": None}


async def test_m19_rotated_credentials(venue: Venue) -> None:
    """M19: after a rotation the old key is unknown and the new one works."""
    await venue.client.control("accounts", {"label": "trader", "api_key": "mx0new", "secret": "fresh"})
    assert (await venue.client.order(BUY)).code == 10072
    venue.client.use({"api_key": "mx0new", "secret": "fresh"})
    assert (await venue.client.order(BUY)).status == 200
