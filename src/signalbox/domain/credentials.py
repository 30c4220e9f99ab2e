"""Credentials of an account. A secret never shows itself: not in a repr, not in a log line, not in a traceback."""

from typing import Final, final

from msgspec import Struct

_MASK: Final = "***"


@final
class Secret:
    """A value that prints as `***`. Only `reveal` gives it away, and only adapters that sign call it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. Never store, log or format what this returns."""
        return self._value

    def __repr__(self) -> str:
        return _MASK

    def __str__(self) -> str:
        return _MASK

    def __format__(self, format_spec: str) -> str:
        return _MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled or copied out of the process")


class Credentials(Struct, frozen=True, kw_only=True):
    """What signs the requests of one account. `api_key` is public to the venue, yet masked in reprs as well."""

    api_key: str
    api_secret: Secret

    def __repr__(self) -> str:
        return f"Credentials(api_key={_MASK}, api_secret={_MASK})"
