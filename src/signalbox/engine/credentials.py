"""The credentials of one account while it trades: proven at the start, watched, and proven anew when they fail.

Credentials that the venue refuses block new entries at once. Exits go on being tried, because they only reduce risk.
"""

import asyncio
from contextlib import suppress

from signalbox.domain.backoff import backoff
from signalbox.domain.configuration import live_allowed
from signalbox.domain.errors import (
    ConfigError,
    CredentialsRefused,
    LedgerUnavailable,
    SignalboxError,
    VenueRefused,
    VenueUnavailable,
)
from signalbox.domain.orders import Mode
from signalbox.domain.ports import Clock, EventSink, Ledger, OrderVenue
from signalbox.engine.asking import asked
from signalbox.engine.desk import Desk
from signalbox.engine.parts import AccountVenues, ProvenKeys

CREDENTIALS = "credentials"
"""Name of the check that blocks, and kind of the alert."""

LOOK_S = 5.0
"""How often the places that hold secrets are looked at."""

EVERY_S = 300.0
"""How often credentials that work are proven again."""

AGAIN_S = 60.0
"""First pause before credentials that were refused are tried again: what is put right at the venue shows nowhere else.
Doubled each time, up to `EVERY_S`."""

PROOF_LIMIT_S = 15.0
_NS = 1_000_000_000


class CredentialGate:
    """Knows whether the venue takes the credentials of one account, and shuts the desk's entries while it does not."""

    def __init__(self, desk: Desk, ledger: Ledger, venues: AccountVenues, *, clock: Clock, journal: EventSink) -> None:
        self._desk = desk
        self._ledger = ledger
        self._venues = venues
        self._clock = clock
        self._journal = journal
        self._label = desk.rules.account.label
        self._wake = asyncio.Event()
        self._asked = False
        self._unwritten = False
        self._turn = asyncio.Lock()
        self._delays = backoff(AGAIN_S, EVERY_S)
        self._due_ns = clock.monotonic_ns() + int(EVERY_S * _NS)
        if venues.keys is not None:
            venues.keys.when_refused(self.refused)

    def refused(self, reason: str) -> None:
        """The venue refused the credentials: no entry from now on, and somebody has to look."""
        if self._block(reason):
            self._unwritten = True
            self._due_in(next(self._delays))
            self._wake.set()

    def ask(self) -> None:
        """An operator wants them proven now."""
        self._asked = True
        self._wake.set()

    async def prove(self) -> OrderVenue:
        """Read the credentials anew and have the venue confirm that they may trade; the venue to trade on.

        Raises ConfigError when they are missing, CredentialsRefused, VenueRefused or VenueUnavailable.
        """
        async with self._turn:
            self._due_in(EVERY_S)
            try:
                proven = await asked(self._proof(), what="the check of the credentials", within_s=PROOF_LIMIT_S)
            except (ConfigError, CredentialsRefused) as error:
                if Mode.LIVE in self._venues.orders:
                    self._block(str(error))  # else there is nothing to block: no order can be signed
                self._due_in(next(self._delays))
                await self._write(str(error))
                raise
            self._venues.orders[Mode.LIVE] = proven.orders
            self._accepted(proven.remark)
            await self._write(proven.remark, valid=True)
            return proven.orders

    async def keep(self) -> None:
        """Prove them when somebody asks, when the secret changed, and now and then, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            if self._unwritten and self._desk.credentials_refusal is not None:
                await self._write(self._desk.credentials_refusal)
            if self._asked or (self._needed() and (self._is_due() or self._changed())):
                await self._prove_again()

    async def _prove_again(self) -> None:
        was_asked, self._asked = self._asked, False
        try:
            await self.prove()
        except (VenueUnavailable, VenueRefused) as error:  # of the first kind nothing is known now
            if not isinstance(error, CredentialsRefused):
                self._due_in(next(self._delays))
                if was_asked:
                    await self._write(f"could not be checked: {error}")
        except ConfigError:
            return  # told by `prove`

    async def _proof(self) -> ProvenKeys:
        keys, live = self._venues.keys, self._venues.orders.get(Mode.LIVE)
        if keys is not None:
            return await keys.prove()
        if live is None:
            raise ConfigError(self._venues.live_refusal or "this account has no credentials for live orders")
        await live.check_credentials()
        return ProvenKeys(orders=live)

    def _block(self, reason: str) -> bool:
        """Shut the gate; True when it was open."""
        before, self._desk.credentials_refusal = self._desk.credentials_refusal, reason
        if before is None:
            self._tell(reason)
        return before is None

    def _accepted(self, remark: str | None) -> None:
        was_refused, self._desk.credentials_refusal = self._desk.credentials_refusal, None
        self._delays = backoff(AGAIN_S, EVERY_S)
        if remark is not None:
            self._journal.health(f"{CREDENTIALS}:{self._label}", "degraded", reason=remark)
            self._journal.alert(CREDENTIALS, self._label, f"account {self._label}: {remark}")
            return
        self._journal.health(f"{CREDENTIALS}:{self._label}", "running")
        self._journal.resolve(CREDENTIALS, self._label, "the venue takes them")
        if was_refused is not None:
            text = f"account {self._label}: the credentials work again, entries are allowed"
            self._journal.event("info", "config", text, account=self._label)

    def _tell(self, reason: str) -> None:
        advice = f"put it right, then: signalbox account validate {self._label}"
        self._journal.health(f"{CREDENTIALS}:{self._label}", "degraded", reason=reason)
        self._journal.alert(
            CREDENTIALS,
            self._label,
            f"account {self._label} buys nothing: {reason}. To go on, {advice}",
            severity="critical",
            account=self._label,
        )

    async def _write(self, error: str | None, *, valid: bool = False) -> None:
        """Write the result beside the account. A ledger that is away gets it later: it is only for people."""
        now = self._clock.now()
        try:
            await self._ledger.record_validation(self._desk.rules.account.id, at=now, valid=valid, error=error)
        except LedgerUnavailable:
            self._unwritten = True
        except SignalboxError as refusal:
            self._journal.event("error", "system", f"the check of {self._label} was not stored: {refusal}")
        else:
            self._unwritten = False

    def _needed(self) -> bool:
        """Simulation sends nothing, so nothing is signed for it either."""
        return live_allowed(self._desk.settings) or any(
            position.mode is Mode.LIVE for position in self._desk.positions.values()
        )

    def _changed(self) -> bool:
        return self._venues.keys is not None and self._venues.keys.changed()

    def _is_due(self) -> bool:
        return self._clock.monotonic_ns() >= self._due_ns

    def _due_in(self, seconds: float) -> None:
        self._due_ns = self._clock.monotonic_ns() + int(seconds * _NS)
