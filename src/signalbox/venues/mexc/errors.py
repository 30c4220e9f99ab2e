"""What MEXC's refusals mean: for an order, which reaction they allow; for a read, which error they are.

Codes and texts: MEXC spot docs, "Error Code", and observed answers. What is not in the table is terminal.
"""

import re
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import structs

from signalbox.domain.errors import CredentialsRefused, SignalboxError, VenueRefused, VenueThrottled, VenueUnavailable
from signalbox.domain.orders import RefusalKind, Rejected, SubmitOutcome, Unknown
from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc import wire
from signalbox.venues.mexc.brakes import Throttle

NOT_SENT: Final = "NOT_SENT"
UNKNOWN_ORDER: Final = frozenset({"-2013", "-2011"})
EXCERPT_LENGTH: Final = 200
UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding JSON of a stranger can raise; the last one for absurdly nested payloads."""

BAN_PAUSE_S: Final = 120.0
"""After a 418 that names no time: the shortest ban (MEXC spot docs, "LIMITS"); who goes on is banned for longer."""

_LONGEST_RETRY_AFTER_S = 3 * 86_400
_LONGEST_ERROR_BODY = 16_384
_LONGEST_CODE = 20
_TOO_SMALL = "30002"
_LONGEST_MESSAGE = 500

_KINDS: Final[dict[RefusalKind, tuple[int, ...]]] = {
    RefusalKind.NOT_OPEN_YET: (30001, 30016, 30000),
    RefusalKind.NOT_LISTED: (10007, -1121),
    RefusalKind.NO_OPPOSITE: (30025,),
    RefusalKind.PRICE: (30010, 30087),
    RefusalKind.ORDER_TYPE: (30019, 30051, 30041, 26, 30018),
    RefusalKind.CLOCK: (700003, 10073),
    RefusalKind.THROTTLED: (429, 418, 403),
    RefusalKind.CREDENTIALS: (400, 401, 602, 10072, 700001, 700002, 700006, 700007),
    RefusalKind.BALANCE: (10101, 30004, 30005),
}
KIND_OF_CODE: Final[dict[str, RefusalKind]] = {str(code): kind for kind, codes in _KINDS.items() for code in codes}
_ADVICE: Final = {
    "700001": "the API key is not written as the exchange gave it",
    "10072": "the exchange does not know the API key: it was deleted, has expired, or is another one's",
    "700002": "the secret does not belong to the API key",
    "602": "the secret does not belong to the API key",
    "700006": "add this machine's address to the key's IP white list, or take the list away",
    "700007": "grant the key SPOT_ACCOUNT_READ, SPOT_DEAL_READ and SPOT_DEAL_WRITE in the exchange's API management",
}
UNKNOWN_CODES: Final = frozenset({"500", "503", "504", "10203"})
"""Server errors told as a code: whether the order was executed is unknown."""

_NUMBER_BEFORE_ASSET = re.compile(r"([0-9][0-9,]*(?:\.[0-9]+)?)\s*([A-Z][A-Z0-9]{1,9})\b")
_error_body = msgspec.json.Decoder(wire.ErrorBody)


class MalformedAnswer(VenueUnavailable):
    """The venue's answer is not what its documentation promises. The message carries a bounded excerpt."""


def excerpt(body: bytes | memoryview) -> str:
    """The beginning of a payload, printable, for logs."""
    text = bytes(body[: EXCERPT_LENGTH + 1]).decode("utf-8", "backslashreplace")
    printable = "".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in text[:EXCERPT_LENGTH])
    return printable + ("…" if len(text) > EXCERPT_LENGTH else "")


def error_of(response: HttpResponse) -> tuple[str, str] | None:
    """(code, message) of the error body of an answer, None when it has none. Code 0 and 200 mean success. An error is
    short: a large good answer is not looked through."""
    if response.status == 200 and len(response.body) > _LONGEST_ERROR_BODY:
        return None
    try:
        body = _error_body.decode(response.body)
    except UNDECODABLE:
        return None
    if body.code is None or str(body.code) in {"0", "200"}:
        return None
    return str(body.code)[:_LONGEST_CODE], (body.msg or body.message or "")[:_LONGEST_MESSAGE]


def retry_after_s(response: HttpResponse) -> float | None:
    """The pause that the venue asks for, in whole seconds; None when it says nothing usable."""
    text = response.headers.get("retry-after", "").strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return None
    return float(min(int(text), _LONGEST_RETRY_AFTER_S))


def pause_s(response: HttpResponse) -> float | None:
    """The pause that an answer asks for; a ban asks for one without words."""
    return retry_after_s(response) or (BAN_PAUSE_S if response.status == 418 else None)


def throttle_of(response: HttpResponse) -> Throttle | None:
    """The silence that an answer asks for, None when it asks for none.

    A 429 is about this kind of request. A ban (418), the web firewall (403) and a region that is not served (451) are
    about the whole address, whatever is asked; a 403 with one of the venue's own codes about a key is none of these.
    """
    status, found = response.status, error_of(response)
    kind = KIND_OF_CODE.get(found[0]) if found else None
    if status in (403, 418, 429, 451):
        if kind not in (None, RefusalKind.THROTTLED):
            return None
    elif kind is RefusalKind.THROTTLED and found is not None:
        status = int(found[0])
    else:
        return None
    asked_s = retry_after_s(response)
    return Throttle(status=status, text=_reason(status), pause_s=asked_s, whole_address=status != 429)


def price_cap(message: str, symbol: str) -> Decimal | None:
    """The highest price that a 30010 or 30087 names: the last number right before the quote asset of the pair.

    The sentence around it differs ("Order price cannot exceed 5USDT", "... can not be higher than 5 USDT"), so only
    the number and the asset are read. None when there is no such number.
    """
    caps = [number for number, asset in _NUMBER_BEFORE_ASSET.findall(message) if symbol.endswith(asset)]
    return Decimal(caps[-1].replace(",", "")) if caps else None


def refused_order(response: HttpResponse, symbol: str) -> SubmitOutcome:
    """The outcome of an order that was not acknowledged: a definite refusal, or nobody knows.

    429, 418 and 403 stand in front of the matching: the order was not taken. 451 is a region that the venue does not
    serve. Any other answer without a code of the venue's own proves nothing, a 5xx least of all.
    """
    status, found = response.status, error_of(response)
    if status in (429, 418, 403):
        code, message = found or (f"HTTP_{status}", _status_text(response))
        kind = KIND_OF_CODE.get(code, RefusalKind.THROTTLED)
        return _rejected(response, code, message, kind=kind)
    if status == 451:
        return _rejected(response, "HTTP_451", _status_text(response), kind=RefusalKind.TERMINAL)
    if status >= 500 or found is None or found[0] in UNKNOWN_CODES:
        code = f" code {found[0]}" if found else ""
        return Unknown(reason=f"HTTP {status}{code} after sending: {excerpt(response.body)}")
    code, message = found
    cap = price_cap(message, symbol) if KIND_OF_CODE.get(code) is RefusalKind.PRICE else None
    kind = KIND_OF_CODE.get(code, RefusalKind.TERMINAL)
    refusal = _rejected(response, code, message, kind=kind, cap=cap)
    if code == _TOO_SMALL:
        return structs.replace(refusal, least_notional=price_cap(message, symbol))
    return refusal


def _rejected(
    response: HttpResponse, code: str, message: str, *, kind: RefusalKind, cap: Decimal | None = None
) -> Rejected:
    return Rejected(
        code=code,
        message=message,
        kind=kind,
        response=response_record(response),
        price_cap=cap,
        retry_after_s=pause_s(response) if kind is RefusalKind.THROTTLED else None,
    )


def response_record(response: HttpResponse) -> dict[str, Any]:
    """The answer as it is kept with the order: its JSON object, or status and excerpt when it is none."""
    try:
        body = msgspec.json.decode(response.body)
    except UNDECODABLE:
        body = None
    if isinstance(body, dict):
        return body if response.status == 200 else {"http_status": response.status, **body}
    return {"http_status": response.status, "body": excerpt(response.body)}


def read_error(response: HttpResponse, what: str) -> SignalboxError | None:
    """The error that a read's answer means, None when it is a good one."""
    status, found = response.status, error_of(response)
    if status == 200 and found is None:
        return None
    code, message = found or (f"HTTP_{status}", _status_text(response))
    kind = KIND_OF_CODE.get(code)
    text = f"{what}: the venue answered {code} {message}".rstrip()
    if throttle_of(response) is not None:
        return VenueThrottled(text, retry_after_s=pause_s(response))
    if status == 401 and found is None:
        return CredentialsRefused(credentials_text(what, code, message), code=code)
    if found is None or status >= 500 or code in UNKNOWN_CODES:
        return VenueUnavailable(text)
    if kind is RefusalKind.CREDENTIALS:
        return CredentialsRefused(credentials_text(what, code, message), code=code)
    return VenueRefused(text, code=code)


def credentials_text(what: str, code: str, message: str) -> str:
    """A refusal of the credentials with what to do about it."""
    advice = _ADVICE.get(code, "look at the key in the exchange's API management")
    return f"{what}: the venue answered {code} {message}".rstrip().rstrip(".") + f"; {advice}"


def _status_text(response: HttpResponse) -> str:
    return f"{_reason(response.status)}: {excerpt(response.body)}"


def _reason(status: int) -> str:
    match status:
        case 401:
            reason = "not authorised"
        case 403:
            reason = "blocked by the venue's web firewall, or not served in this region"
        case 418:
            reason = "this address is banned for a while"
        case 429:
            reason = "too many requests"
        case 451:
            reason = "the venue does not serve the region of this machine's address"
        case _:
            reason = "no usable answer"
    return f"HTTP {status} {reason}"
