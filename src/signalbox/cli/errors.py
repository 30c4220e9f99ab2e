"""Exit codes, and how an error becomes one sentence."""

from enum import IntEnum

from signalbox.domain.errors import (
    InvariantError,
    LedgerUnavailable,
    SignalboxError,
    VenueUnavailable,
)


class ExitCode(IntEnum):
    """What the shell is told."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNAVAILABLE = 3
    INTERRUPTED = 130


def exit_code(error: SignalboxError) -> ExitCode:
    """3 when trying again later may help, 1 when something must be changed first."""
    return ExitCode.UNAVAILABLE if isinstance(error, LedgerUnavailable | VenueUnavailable) else ExitCode.REFUSED


def sentence(error: SignalboxError) -> str:
    """The error on one line, with what to do where the error itself cannot know it."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, InvariantError):
        return f"{text}. This is a fault of Signalbox: please report it with the log"
    if type(error) is LedgerUnavailable and "SIGNALBOX_" not in text:
        return f"{text.rstrip('.')}. Check it with 'signalbox doctor'"
    return text
