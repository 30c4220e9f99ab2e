"""Listen keys of the private websocket: valid for 60 minutes, at most 60 per account, five sockets per key."""

from dataclasses import dataclass

from signalbox.simulators.market import Seeds
from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.errors import Refusal

MAX_KEYS = 60
MAX_SOCKETS_PER_KEY = 5


@dataclass(slots=True)
class ListenKey:
    """One key and what it gives access to."""

    text: str
    account: Account
    expires_ms: int
    sockets: int = 0


class ListenKeys:
    """All living keys."""

    def __init__(self, seeds: Seeds, lifetime_ms: int) -> None:
        self._draw = seeds.source("listen keys")
        self._lifetime_ms = lifetime_ms
        self._keys: dict[str, ListenKey] = {}

    def create(self, account: Account, now_ms: int) -> str:
        """A new key; `Refusal` when the account has 60 already."""
        if len(self.of(account, now_ms)) >= MAX_KEYS:
            raise Refusal(errors.LISTEN_KEY_UNKNOWN, text=f"The listen keys of this account reached {MAX_KEYS}")
        text = f"pqia{self._draw.getrandbits(192):048x}"
        self._keys[text] = ListenKey(text, account, now_ms + self._lifetime_ms)
        return text

    def of(self, account: Account, now_ms: int) -> list[str]:
        """The living keys of an account."""
        self._forget_expired(now_ms)
        return [key.text for key in self._keys.values() if key.account is account]

    def extend(self, account: Account, text: str, now_ms: int) -> None:
        """Give a key its full lifetime again."""
        self._owned(account, text, now_ms).expires_ms = now_ms + self._lifetime_ms

    def delete(self, account: Account, text: str, now_ms: int) -> None:
        """End a key."""
        del self._keys[self._owned(account, text, now_ms).text]

    def find(self, text: str, now_ms: int) -> ListenKey | None:
        """A living key, or None."""
        self._forget_expired(now_ms)
        return self._keys.get(text)

    def _owned(self, account: Account, text: str, now_ms: int) -> ListenKey:
        key = self.find(text, now_ms)
        if key is None or key.account is not account:
            raise Refusal(errors.LISTEN_KEY_UNKNOWN)
        return key

    def _forget_expired(self, now_ms: int) -> None:
        for text in [text for text, key in self._keys.items() if key.expires_ms <= now_ms]:
            del self._keys[text]
