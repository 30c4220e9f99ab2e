"""What each refusal of the venue allows, and which answers prove nothing."""

from decimal import Decimal

import msgspec
import pytest
from tests.unit.venues.mexc.payloads import payload, response

from signalbox.domain.errors import CredentialsRefused, VenueRefused, VenueThrottled, VenueUnavailable
from signalbox.domain.orders import RefusalKind, Rejected, Unknown
from signalbox.venues.mexc.errors import excerpt, price_cap, read_error, refused_order

KINDS = {
    30001: RefusalKind.NOT_OPEN_YET,
    30016: RefusalKind.NOT_OPEN_YET,
    30000: RefusalKind.NOT_OPEN_YET,
    30025: RefusalKind.NO_OPPOSITE,
    10007: RefusalKind.NOT_LISTED,
    -1121: RefusalKind.NOT_LISTED,
    30010: RefusalKind.PRICE,
    30087: RefusalKind.PRICE,
    30019: RefusalKind.ORDER_TYPE,
    30051: RefusalKind.ORDER_TYPE,
    30041: RefusalKind.ORDER_TYPE,
    26: RefusalKind.ORDER_TYPE,
    700003: RefusalKind.CLOCK,
    700001: RefusalKind.CREDENTIALS,
    700002: RefusalKind.CREDENTIALS,
    700006: RefusalKind.CREDENTIALS,
    700007: RefusalKind.CREDENTIALS,
    10072: RefusalKind.CREDENTIALS,
    10101: RefusalKind.BALANCE,
    30004: RefusalKind.BALANCE,
    30005: RefusalKind.BALANCE,
    30002: RefusalKind.TERMINAL,
    30014: RefusalKind.TERMINAL,
    30020: RefusalKind.TERMINAL,
    70011: RefusalKind.TERMINAL,
    700008: RefusalKind.TERMINAL,
    123456: RefusalKind.TERMINAL,
}


@pytest.mark.parametrize(("code", "kind"), KINDS.items())
@pytest.mark.parametrize("form", ['{{"code":{code},"msg":"x"}}', '{{"msg":"x","_extend":null,"code":"{code}"}}'])
def test_every_code_as_number_and_as_string(code: int, kind: RefusalKind, form: str) -> None:
    outcome = refused_order(response(form.format(code=code), 400), "ABCUSDT")
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.kind, outcome.message) == (str(code), kind, "x")
    assert outcome.response["http_status"] == 400


def test_recorded_refusals_are_definite_and_keep_code_and_text() -> None:
    for sample in msgspec.json.decode(payload("http_errors.json")):
        outcome = refused_order(response(msgspec.json.encode(sample["body"]), sample["status"]), "ABCUSDT")
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.message) == (str(sample["body"]["code"]), sample["body"]["msg"])


def test_a_refusal_with_status_200_and_a_foreign_text() -> None:
    outcome = refused_order(response('{"code":10101,"msg":"资金不足"}'), "ABCUSDT")
    assert isinstance(outcome, Rejected)
    assert (outcome.kind, outcome.message) == (RefusalKind.BALANCE, "资金不足")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, '{"code":500,"msg":"internal"}'),
        (503, ""),
        (504, "<html>gateway</html>"),
        (502, '{"code":30001,"msg":"even a code proves nothing with a 5xx"}'),
        (400, '{"code":10203,"msg":"order processing error"}'),
        (400, "<html>400 Bad Request</html>"),
        (400, ""),
        (408, "request timeout"),
        (404, '{"code":0,"msg":"success"}'),
        (302, ""),
        (200, '{"symbol":"ABCUSDT"'),
    ],
)
def test_what_proves_nothing_is_unknown(status: int, body: str) -> None:
    outcome = refused_order(response(body, status), "ABCUSDT")
    assert isinstance(outcome, Unknown)
    assert str(status) in outcome.reason


@pytest.mark.parametrize(
    ("status", "body", "headers", "pause"),
    [
        (429, '{"code":429,"msg":"Too many requests"}', {"retry_after": "7"}, 7.0),
        (429, "", {}, None),
        (418, "banned", {"retry_after": "999999999"}, 259_200.0),
        (429, "", {"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        (403, "<html>Access Denied</html>", {}, None),
    ],
)
def test_a_throttle_was_surely_not_taken(status: int, body: str, headers: dict[str, str], pause: float | None) -> None:
    outcome = refused_order(response(body, status, **headers), "ABCUSDT")
    assert isinstance(outcome, Rejected)
    assert (outcome.kind, outcome.retry_after_s) == (RefusalKind.THROTTLED, pause)


@pytest.mark.parametrize(
    ("message", "least"),
    [
        ("The minimum transaction volume cannot be less than:1USDT", Decimal(1)),
        ("The minimum transaction volume cannot be less than: 5.5 USDT", Decimal("5.5")),
        ("too small", None),
    ],
)
def test_a_size_that_is_too_small_tells_the_smallest(message: str, least: Decimal | None) -> None:
    outcome = refused_order(response(f'{{"code":30002,"msg":"{message}"}}'), "ABCUSDT")
    assert isinstance(outcome, Rejected)
    assert (outcome.kind, outcome.least_notional, outcome.price_cap) == (RefusalKind.TERMINAL, least, None)


def test_a_region_that_is_not_served_is_terminal() -> None:
    outcome = refused_order(response("<html>restricted</html>", 451), "ABCUSDT")
    assert isinstance(outcome, Rejected)
    assert outcome.kind is RefusalKind.TERMINAL
    assert "region" in outcome.message


@pytest.mark.parametrize(
    ("message", "symbol", "cap"),
    [
        ("Order price cannot exceed 5USDT", "ABCUSDT", Decimal(5)),
        ("The order price can not be higher than 0.00125 USDT", "ABCUSDT", Decimal("0.00125")),
        ("Order price cannot exceed 1,250.5USDC", "ABCUSDC", Decimal("1250.5")),
        ("4USDT: order price cannot exceed 0.5USDT", "4USDT", Decimal("0.5")),
        ("价格不能超过 5USDT", "ABCUSDT", Decimal(5)),
        ("no valid trade price", "ABCUSDT", None),
        ("Order price cannot exceed 5EUR", "ABCUSDT", None),
    ],
)
def test_price_caps(message: str, symbol: str, cap: Decimal | None) -> None:
    assert price_cap(message, symbol) == cap
    outcome = refused_order(response(f'{{"code":30010,"msg":"{message}"}}', 400), symbol)
    assert isinstance(outcome, Rejected)
    assert (outcome.kind, outcome.price_cap) == (RefusalKind.PRICE, cap)


def test_a_hostile_message_is_bounded() -> None:
    outcome = refused_order(response(f'{{"code":30010,"msg":"{"9" * 100_000}"}}', 400), "ABCUSDT")
    assert isinstance(outcome, Rejected)
    assert len(outcome.message) <= 500


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, '{"code":700002,"msg":"x"}', CredentialsRefused),
        (400, '{"code":-2013,"msg":"Order does not exist."}', VenueRefused),
        (429, "", VenueThrottled),
        (418, "", VenueThrottled),
        (403, "<html></html>", VenueThrottled),
        (403, '{"code":700006,"msg":"IP not in the white list"}', CredentialsRefused),
        (401, "", CredentialsRefused),
        (451, "<html></html>", VenueThrottled),
        (500, '{"code":700002,"msg":"x"}', VenueUnavailable),
        (200, '{"code":30001,"msg":"x"}', VenueRefused),
        (200, '{"code":429,"msg":"x"}', VenueThrottled),
    ],
)
def test_reads(status: int, body: str, kind: type[Exception]) -> None:
    assert type(read_error(response(body, status), "GET /x")) is kind


@pytest.mark.parametrize("body", ['{"code":0,"data":[]}', '{"code":200,"data":[]}', "[]", '{"symbols":[]}', "<html>"])
def test_a_good_read_is_no_error(body: str) -> None:
    assert read_error(response(body), "GET /x") is None


def test_excerpts_are_short_and_printable() -> None:
    assert excerpt(payload("http_get_calendar_challenge.html")).startswith("<!DOCTYPE html>")
    assert len(excerpt(b"x" * 10_000)) == 201
    assert excerpt(b"a\x00\n\xffb").isprintable()
