"""Check of signed requests (MEXC spot docs, "SIGNED Endpoint security").

The signature covers the raw query string as received, without `signature`, immediately followed by the raw body.
Nothing is parsed and rebuilt: a client may order, double or encode its parameters as it likes, as long as it signs
what it sends.
"""

import hashlib
import hmac
from typing import Literal

from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.errors import Refusal

DEFAULT_RECV_WINDOW_MS = 5_000
MAX_RECV_WINDOW_MS = 60_000
FUTURE_TOLERANCE_MS = 1_000

MixedSigning = Literal["concatenate", "ampersand", "either"]


def sign(secret: str, total_params: str) -> str:
    """Lower-case hex HMAC-SHA256 of the raw parameters."""
    payload = total_params.encode("utf-8", "surrogateescape")
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def without_signature(raw: str) -> tuple[str, str | None]:
    """The raw string without its `signature` parameter, wherever it stood, and the signature itself (or None)."""
    signature: str | None = None
    kept: list[str] = []
    for part in raw.split("&"):
        if part.startswith("signature="):
            signature = part.removeprefix("signature=")
        else:
            kept.append(part)
    return "&".join(kept), signature


def check_signature(
    secret: str, raw_query: str, raw_body: str, *, mixed: MixedSigning, accept_upper_case: bool
) -> None:
    """Raise `Refusal` 700004 when there is no signature and 700002 when it is wrong."""
    query, in_query = without_signature(raw_query)
    body, in_body = without_signature(raw_body)
    received = in_query if in_query is not None else in_body
    if not received:
        raise Refusal(errors.PARAMETER_MISSING, "signature")
    if accept_upper_case:
        received = received.lower()
    candidates = [query + body]
    if query and body and mixed != "concatenate":
        joined = f"{query}&{body}"
        candidates = [joined] if mixed == "ampersand" else [query + body, joined]
    if not any(_same(sign(secret, candidate), received) for candidate in candidates):
        raise Refusal(errors.SIGNATURE_INVALID)


def _same(expected: str, received: str) -> bool:
    return hmac.compare_digest(expected.encode(), received.encode("utf-8", "surrogateescape"))


def check_time(timestamp: str | None, recv_window: str | None, server_ms: int) -> None:
    """Accept iff `timestamp < server + 1000` and `server - timestamp <= recvWindow`; raise `Refusal` otherwise.

    The two sides differ: a request from the future is tolerated for one second, one from the past for recvWindow.
    """
    if not timestamp:
        raise Refusal(errors.PARAMETER_MISSING, "timestamp")
    window = DEFAULT_RECV_WINDOW_MS if not recv_window else _whole(recv_window, "recvWindow")
    if window > MAX_RECV_WINDOW_MS:
        raise Refusal(errors.RECV_WINDOW_TOO_LARGE)
    sent = _whole(timestamp, "timestamp")
    if not (sent < server_ms + FUTURE_TOLERANCE_MS and server_ms - sent <= window):
        raise Refusal(errors.TIMESTAMP_OUTSIDE_WINDOW)


def _whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise Refusal(errors.ILLEGAL_CHARACTERS, name)
    return int(text)
