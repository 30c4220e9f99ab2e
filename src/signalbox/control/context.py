"""What every use case is given."""

from typing import Any, Protocol

from msgspec import Struct

from signalbox.domain.ports import Clock, IdSource
from signalbox.ledger.queries.events import NewEvent, insert_event
from signalbox.ledger.sessions import Sessions, WriteSession


class CredentialCheck(Protocol):
    """Tells whether an account's credentials are there, without showing them."""

    def missing(self, label: str) -> str | None:
        """What is missing and how to give it, None when nothing is."""


class Control(Struct, frozen=True, kw_only=True):
    """The parts that use cases need, and who acts through them. `actor` is written beside every command."""

    sessions: Sessions
    clock: Clock
    ids: IdSource
    credentials: CredentialCheck
    actor: str
    code_version: str

    async def record(
        self, session: WriteSession, category: str, message: str, *, level: str = "info", **details: Any
    ) -> None:
        """Write a command into system_events, in the same transaction as its effect."""
        await insert_event(
            session,
            NewEvent(
                id=self.ids.new_id(),
                at=self.clock.now(),
                level=level,
                category=category,
                message=message,
                actor=self.actor,
                details=details,
            ),
        )
