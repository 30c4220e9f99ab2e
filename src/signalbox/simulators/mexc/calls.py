"""What an endpoint gets and how endpoints are listed."""

from collections.abc import Callable
from dataclasses import dataclass

from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `params` are decoded, the query winning over the body; times are the exchange's own."""

    exchange: Exchange
    params: dict[str, str]
    now_ms: int
    arrived_ns: int
    signed_by: Account | None = None

    @property
    def account(self) -> Account:
        """The account that signed the request."""
        if self.signed_by is None:
            raise Refusal(errors.NO_AUTHORITY)
        return self.signed_by

    def whole(self, name: str) -> int | None:
        """A whole number parameter, None when it is absent; `Refusal` 700008 when it is none."""
        text = self.params.get(name)
        if not text:
            return None
        if not text.isascii() or not text.isdigit():
            raise Refusal(errors.ILLEGAL_CHARACTERS, name)
        return int(text)

    def limit(self, default: int, maximum: int) -> int:
        """The `limit` parameter, cut to what the endpoint allows."""
        limit = self.whole("limit")
        return default if limit is None else max(1, min(limit, maximum))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. `permission` None means public; `per_order` counts against the order rate."""

    handler: Callable[[Call], object]
    weight: int = 1
    permission: str | None = None
    per_order: bool = False


READ_ACCOUNT = "SPOT_ACCOUNT_READ"
READ_ORDERS = "SPOT_DEAL_READ"
WRITE_ORDERS = "SPOT_DEAL_WRITE"
