"""Whatever the venue answers, an order's outcome is one of three, and a refusal is never made out of nothing."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from signalbox.domain.orders import Accepted, Rejected, Unknown
from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc.errors import error_of
from signalbox.venues.mexc.orders import _outcome

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["code", "msg", "orderId", "data", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)
BODIES = st.binary(max_size=200) | JSON.map(json.encode)


@given(st.sampled_from([200, 201, 302, 400, 401, 403, 404, 408, 418, 429, 451, 500, 502, 503]), BODIES)
def test_every_answer_has_exactly_one_meaning(status: int, body: bytes) -> None:
    response = HttpResponse(status=status, headers={}, body=body, sent_ns=0, received_ns=0)
    outcome = _outcome(response, "ABCUSDT")
    code = error_of(response)
    match outcome:
        case Accepted():
            assert status == 200
            assert code is None
            assert outcome.exchange_order_id
        case Rejected():
            assert status < 500
            assert code is not None or status in (403, 418, 429, 451)
        case Unknown():
            assert outcome.reason
