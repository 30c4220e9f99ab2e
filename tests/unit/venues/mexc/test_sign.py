"""Signatures against vectors, the venue's own one included."""

import pytest

from signalbox.domain.credentials import Secret
from signalbox.venues.mexc.sign import Signer, encode, query_string

OURS = "demoSecret123"
OFFICIAL = "45d0b3c26f2644f19bfb98b07741b2f5"
VECTORS = [
    (
        OURS,
        "symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=25&newClientOrderId=sb-0001&recvWindow=1000&timestamp=1767225600000",
        "640428be960ed4c709834ce5db3168acf0151f6fcb142f454bb6039e66d222c8",
    ),
    (
        OURS,
        "symbol=ABCUSDT&side=BUY&type=LIMIT&quantity=10&price=0.5&newClientOrderId=sb-0002&timestamp=1767225600000&recvWindow=1000",
        "15ffe28ce44d5b0fe00a27cd80e72ce65afe7c46679c89a2e18c5a9e76f8ae8d",
    ),
    (
        OURS,
        "symbol=%E7%B4%A2%E6%8B%89USDT&side=SELL&type=MARKET&quantity=3&timestamp=1767225600000",
        "bb28f8673370c13d8a29f4a1722d45fba58d0142692c873d4e780611e7ee2f6c",
    ),
    (
        OFFICIAL,
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=11&recvWindow=5000&timestamp=1644489390087",
        "fd3e4e8543c5188531eb7279d68ae7d26a573d0fc5ab0d18eb692451654d837a",
    ),
]


@pytest.mark.parametrize(("secret", "query", "signature"), VECTORS)
def test_vectors(secret: str, query: str, signature: str) -> None:
    signer = Signer(Secret(secret))
    assert signer.sign(query) == signature
    assert signer.sign(query) == signature, "the prepared key must not be changed by signing"
    assert signer.signed(query) == f"{query}&signature={signature}"


def test_values_are_percent_encoded_with_upper_case_digits() -> None:
    assert encode("索拉USDT") == "%E7%B4%A2%E6%8B%89USDT"
    assert encode("GOLD(PAXG)USDT") == "GOLD%28PAXG%29USDT"
    assert encode("a b/c&d=e+f") == "a%20b%2Fc%26d%3De%2Bf"
    assert encode("sb-Aa_9.~") == "sb-Aa_9.~"


def test_parameters_keep_their_order() -> None:
    assert query_string([("b", "2"), ("a", "1 1")]) == "b=2&a=1%201"
    assert query_string([]) == ""
