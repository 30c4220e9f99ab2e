"""The error tree, sorted by who must act.

An order that a guardrail blocks is not an error: it is a value (a rejected order with a code).
"""


class SignalboxError(Exception):
    """Root of every error that Signalbox raises on purpose."""


class ConfigError(SignalboxError):
    """The operator must change something: a setting, a configuration, a credential. Says field, value and rule."""


class NotFoundError(ConfigError):
    """The operator named something that does not exist. Says what was looked for and where to see what exists."""


class ConflictError(ConfigError):
    """The request contradicts the present state (a second active run, a duplicate listing, an older version)."""


class VenueUnavailable(SignalboxError):
    """The venue could not be asked (network, 5xx, malformed answer). Reads may be repeated after a back-off."""


class VenueThrottled(VenueUnavailable):
    """The venue told us to slow down (HTTP 429 or 418). `retry_after_s` is its wish, or None when it said nothing."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class VenueRefused(SignalboxError):
    """The venue answered a read with a definite refusal. `code` is the venue's own code as text."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class CredentialsRefused(VenueRefused):
    """The venue refused the credentials themselves: the operator must validate or rotate them."""


class LedgerUnavailable(SignalboxError):
    """The ledger cannot be reached or did not confirm. No new order may be sent until it answers again."""


class FencedOut(SignalboxError):
    """Another engine owns this account now; this one must stop acting for it."""


class InvariantError(SignalboxError):
    """Something that can never be true is true. The run stops and an operator looks."""
