"""Signatures of MEXC's signed endpoints (MEXC spot docs, "SIGNED Endpoint security").

The venue hashes the raw query string as received, without `signature`. So what is signed is exactly what is sent:
everything in the query string, an empty body, `signature` last, lower-case hex.
"""

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import quote

from signalbox.domain.credentials import Secret

_UNRESERVED = "-_.~"


class Signer:
    """Signs query strings with a key that was prepared once: copying the keyed state saves half of the hashing."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: Secret) -> None:
        self.use(secret)

    def use(self, secret: Secret) -> None:
        """Sign with this secret from now on."""
        self._keyed = hmac.new(secret.reveal().encode(), digestmod=hashlib.sha256)

    def sign(self, query: str) -> str:
        """The signature of a query string, 64 lower-case hex digits."""
        mac = self._keyed.copy()
        mac.update(query.encode())
        return mac.hexdigest()

    def signed(self, query: str) -> str:
        """The query string with its signature appended."""
        return f"{query}&signature={self.sign(query)}"


def encode(value: str) -> str:
    """Percent-encode one value: UTF-8, upper-case hex digits, a space becomes %20."""
    return quote(value, safe=_UNRESERVED)


def query_string(parameters: Sequence[tuple[str, str]]) -> str:
    """The query string of these parameters, in this order."""
    return "&".join(f"{name}={encode(value)}" for name, value in parameters)
