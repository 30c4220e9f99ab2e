"""Signature and time rule against the vectors of the exchange's documentation and our own."""

import pytest

from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.signing import check_signature, check_time, sign, without_signature

OWN = "demoSecret123"
VECTORS = [
    (
        OWN,
        "symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=25&newClientOrderId=sb-0001&recvWindow=1000&timestamp=1767225600000",
        "640428be960ed4c709834ce5db3168acf0151f6fcb142f454bb6039e66d222c8",
    ),
    (
        OWN,
        "symbol=ABCUSDT&side=BUY&type=LIMIT&quantity=10&price=0.5&newClientOrderId=sb-0002&timestamp=1767225600000&recvWindow=1000",
        "15ffe28ce44d5b0fe00a27cd80e72ce65afe7c46679c89a2e18c5a9e76f8ae8d",
    ),
    (
        OWN,
        "symbol=%E7%B4%A2%E6%8B%89USDT&side=SELL&type=MARKET&quantity=3&timestamp=1767225600000",
        "bb28f8673370c13d8a29f4a1722d45fba58d0142692c873d4e780611e7ee2f6c",
    ),
    (
        "45d0b3c26f2644f19bfb98b07741b2f5",
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=11&recvWindow=5000&timestamp=1644489390087",
        "fd3e4e8543c5188531eb7279d68ae7d26a573d0fc5ab0d18eb692451654d837a",
    ),
]


@pytest.mark.parametrize(("secret", "total", "signature"), VECTORS)
def test_vectors(secret: str, total: str, signature: str) -> None:
    """The documented algorithm gives the documented signatures, upper case accepted by switch."""
    assert sign(secret, total) == signature
    check_signature(secret, f"{total}&signature={signature}", "", mixed="concatenate", accept_upper_case=False)
    upper = f"{total}&signature={signature.upper()}"
    check_signature(secret, upper, "", mixed="concatenate", accept_upper_case=True)
    with pytest.raises(Refusal, match="700002"):
        check_signature(secret, upper, "", mixed="concatenate", accept_upper_case=False)


@pytest.mark.parametrize(
    ("raw", "rest", "signature"),
    [
        ("a=1&signature=ff&b=2", "a=1&b=2", "ff"),
        ("signature=ff&a=1", "a=1", "ff"),
        ("a=1&&b=2&signature=ff", "a=1&&b=2", "ff"),
        ("a=1", "a=1", None),
        ("", "", None),
    ],
)
def test_signature_is_cut_out(raw: str, rest: str, signature: str | None) -> None:
    """Everything else stays as it was."""
    assert without_signature(raw) == (rest, signature)


@pytest.mark.parametrize(
    ("timestamp", "window", "code"),
    [
        ("1000999", "1000", None),
        ("1001000", "1000", 700003),
        ("995000", None, None),
        ("994999", None, 700003),
        ("940000", "60000", None),
        ("1000000", "60001", 700005),
        (None, "1000", 700004),
        ("soon", "1000", 700008),
    ],
)
def test_time_rule(timestamp: str | None, window: str | None, code: int | None) -> None:
    """At server time 1000000: less than one second ahead, at most recvWindow (5000 by default) behind."""
    if code is None:
        check_time(timestamp, window, 1_000_000)
        return
    with pytest.raises(Refusal) as refusal:
        check_time(timestamp, window, 1_000_000)
    assert refusal.value.code == code
