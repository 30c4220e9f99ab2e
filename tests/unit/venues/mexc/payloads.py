"""The payloads under tests/data/mexc, and answers made of them."""

from pathlib import Path

import msgspec

from signalbox.venues.http import HttpResponse

_DATA = Path(__file__).parents[3] / "data" / "mexc"


def payload(name: str) -> bytes:
    """The bytes of a payload file."""
    return (_DATA / name).read_bytes()


def frame(name: str) -> bytes:
    """The binary frame of a ws_push file."""
    return bytes.fromhex(msgspec.json.decode(payload(name))["frame_hex"])


def response(body: bytes | str, status: int = 200, **headers: str) -> HttpResponse:
    """An answer of the venue. Header names are given with underscores."""
    return HttpResponse(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body.encode() if isinstance(body, str) else body,
        sent_ns=1_000_000,
        received_ns=3_000_000,
    )
