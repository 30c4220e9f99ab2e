"""Looks at everything that Signalbox needs and says what to do about what is missing."""

import asyncio
import os
import random
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from signalbox.app.database import OpenDatabase
from signalbox.app.operator import open_control
from signalbox.app.secrets import CredentialSource
from signalbox.app.settings import Settings
from signalbox.control import accounts, runs
from signalbox.control.context import Control
from signalbox.domain.errors import ConfigError, SignalboxError, VenueUnavailable
from signalbox.domain.orders import Mode
from signalbox.engine.clock import SystemClock
from signalbox.ledger import migrate
from signalbox.ledger.queries.accounts import AccountRow
from signalbox.venues.http import parse_target
from signalbox.venues.http_pool import HttpPool, PoolLimits
from signalbox.venues.mexc.calendar import HEADERS, MexcCalendar
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.limits import MexcLimits
from signalbox.venues.mexc.market import MexcMarket
from signalbox.venues.mexc.rest import RestReader

_PATIENCE_S: Final = 10.0
_FREE_BYTES_MIN: Final = 512 * 1024 * 1024
_WEIGHT: Final = 100
"""Request weight that a look may use: a few reads."""
_BOOKS_STALE_S: Final = 300
_OFFSET_WARN_MS: Final = 250
_OFFSET_FAIL_MS: Final = 900


class Verdict(StrEnum):
    """How a check ended. A warning does not keep anything from working."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(Struct, frozen=True, kw_only=True):
    """One check: what was found, and what to do when it is not well."""

    name: str
    verdict: Verdict
    found: str
    advice: str | None = None


def check_machine(settings: Settings) -> list[Finding]:
    """Python, the data directory and the settings themselves."""
    return [_python(), _data_directory(settings.data_dir), *_settings(settings)]


async def check_ledger(settings: Settings, database: OpenDatabase) -> list[Finding]:
    """The database, its schema, the engine, the kill switch, and the credentials of each account."""
    findings = [await _schema(database)]
    if findings[0].verdict is Verdict.FAILED:
        return findings
    async with open_control(settings, database) as control:
        findings += await _control_findings(settings, control)
    return findings


async def check_venue(settings: Settings) -> list[Finding]:
    """Whether each address of the exchange answers, and how far its clock is from ours."""
    return list(
        await asyncio.gather(
            _guarded("MEXC REST and clock", lambda: _rest(settings)),
            _guarded("MEXC websocket", lambda: _websocket(settings.mexc.ws_url)),
            _guarded("MEXC calendar", lambda: _calendar(settings), worst=Verdict.WARNING),
        )
    )


def unreachable_ledger(error: SignalboxError) -> Finding:
    """The finding for a database that cannot be opened."""
    return Finding(
        name="PostgreSQL",
        verdict=Verdict.FAILED,
        found=str(error),
        advice="start the server that SIGNALBOX_DATABASE_URL names, or unset it to use the private one",
    )


def _python() -> Finding:
    return Finding(name="Python", verdict=Verdict.OK, found=sys.version.split()[0])


def _data_directory(directory: Path) -> Finding:
    name, existing = "data directory", directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            name=name,
            verdict=Verdict.FAILED,
            found=f"{existing} is not writable",
            advice="make it writable for this user, or name another one with SIGNALBOX_DATA_DIR",
        )
    free = shutil.disk_usage(existing).free
    found = f"{directory}, {free // 1024**2} MiB free"
    if free < _FREE_BYTES_MIN:
        return Finding(name=name, verdict=Verdict.WARNING, found=found, advice="free some space: a full disk stops it")
    return Finding(name=name, verdict=Verdict.OK, found=found)


def _settings(settings: Settings) -> list[Finding]:
    return [
        Finding(name="settings", verdict=Verdict.WARNING, found=text, advice="set all addresses of one exchange")
        for text in settings.warnings
    ] or [Finding(name="settings", verdict=Verdict.OK, found="every SIGNALBOX_ name is known and valid")]


async def _schema(database: OpenDatabase) -> Finding:
    name = "PostgreSQL"
    try:
        revision = await asyncio.to_thread(migrate.current, database.url)
        newest = migrate.head()
    except SignalboxError as error:
        return unreachable_ledger(error)
    kind = "a server of its own" if database.server is None else f"private, in {database.server.data_directory}"
    if revision == newest:
        return Finding(name=name, verdict=Verdict.OK, found=f"{kind}, schema {revision}")
    return Finding(
        name=name,
        verdict=Verdict.FAILED,
        found=f"{kind}, schema {revision or 'empty'} instead of {newest}",
        advice="run 'signalbox db upgrade'",
    )


async def _control_findings(settings: Settings, control: Control) -> list[Finding]:
    shown = await runs.overview(control)
    findings = []
    if shown.engine_is_alive:
        findings.append(Finding(name="engine", verdict=Verdict.OK, found="running"))
    else:
        findings.append(
            Finding(name="engine", verdict=Verdict.WARNING, found="not running", advice="start it: 'signalbox up'")
        )
    if shown.system.kill_switch:
        findings.append(
            Finding(
                name="kill switch",
                verdict=Verdict.WARNING,
                found=f"on ({shown.system.kill_switch_mode}): {shown.system.kill_switch_reason}",
                advice="when it is safe: 'signalbox kill-switch off --reason ...'",
            )
        )
    source = CredentialSource(settings)
    rows = await accounts.list_accounts(control)
    findings += [_credentials(source, row.label, live=row.mode is Mode.LIVE and row.auto_trade) for row in rows]
    now = SystemClock().now()
    return findings + [_books(row, now, engine_runs=shown.engine_is_alive) for row in rows if row.compared_at]


def _books(row: AccountRow, now: datetime, *, engine_runs: bool) -> Finding:
    """The last comparison with the exchange's books: its age and its result."""
    name, seconds = f"books of {row.label}", (now - row.compared_at).total_seconds() if row.compared_at else 0
    age = f"compared {seconds:.0f} s ago"
    if not row.books_agree:
        advice = f"look at what differs: 'signalbox books list --account {row.label} --differing'"
        return Finding(name=name, verdict=Verdict.WARNING, found=f"{age}: they differ", advice=advice)
    if engine_runs and seconds > _BOOKS_STALE_S:
        advice = "look at the alerts and at the engine's log: the exchange may not answer"
        return Finding(name=name, verdict=Verdict.WARNING, found=f"{age}; once a minute is normal", advice=advice)
    return Finding(name=name, verdict=Verdict.OK, found=f"{age}: they agree with the exchange's")


def _credentials(source: CredentialSource, label: str, *, live: bool) -> Finding:
    name = f"credentials of {label}"
    try:
        missing = source.missing(label)
        if missing is None:
            return Finding(name=name, verdict=Verdict.OK, found=f"from {source.find(label).api_secret_from}")
    except ConfigError as error:
        return Finding(name=name, verdict=Verdict.FAILED, found=str(error), advice="correct or remove it")
    if live:
        return Finding(name=name, verdict=Verdict.FAILED, found="missing, and the account allows live", advice=missing)
    return Finding(name=name, verdict=Verdict.OK, found="missing; simulation needs none")


async def _guarded(name: str, check: Callable[[], Awaitable[Finding]], *, worst: Verdict = Verdict.FAILED) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await check()
    except (SignalboxError, OSError) as error:  # TimeoutError is an OSError
        text = str(error) or f"no answer within {_PATIENCE_S:.0f} s"
        advice = "check the network, a firewall and the address (SIGNALBOX_MEXC_...); a simulator must be running"
        return Finding(name=name, verdict=worst, found=text, advice=advice)


async def _rest(settings: Settings) -> Finding:
    async with _reader(settings.mexc.rest_url, {"Accept": "application/json", "User-Agent": "signalbox"}) as reads:
        clock = SystemClock()
        offset = ClockOffset(clock, MexcMarket(reads, clock=clock, events=_Silent()).server_time)
        await offset.measure()
    reading = offset.reading()
    if reading is None:
        raise VenueUnavailable("the exchange does not tell its time")
    milliseconds, error_ms = (value / timedelta(milliseconds=1) for value in (reading.offset, reading.error))
    found = f"{settings.mexc.rest_url} answers; its clock is {milliseconds:+.1f} ms from ours (± {error_ms:.1f} ms)"
    if abs(milliseconds) < _OFFSET_WARN_MS:
        return Finding(name="MEXC REST and clock", verdict=Verdict.OK, found=found)
    return Finding(
        name="MEXC REST and clock",
        verdict=Verdict.FAILED if abs(milliseconds) > _OFFSET_FAIL_MS else Verdict.WARNING,
        found=found,
        advice="synchronise this machine's clock (NTP): orders carry a time that must be within 1 s",
    )


async def _calendar(settings: Settings) -> Finding:
    async with _reader(settings.mexc.calendar_url, HEADERS) as reads:
        entries, faults = await MexcCalendar(reads).listings(int(SystemClock().now().timestamp() * 1000))
    text = f"{len(entries)} entries" + (f", {len(faults)} not understood" if faults else "")
    return Finding(name="MEXC calendar", verdict=Verdict.WARNING if faults else Verdict.OK, found=text)


async def _websocket(url: str) -> Finding:
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    _, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if secure else 80), ssl=secure or None)
    writer.close()
    await writer.wait_closed()
    return Finding(name="MEXC websocket", verdict=Verdict.OK, found=f"{parts.hostname} accepts connections")


@asynccontextmanager
async def _reader(url: str, headers: dict[str, str]) -> AsyncIterator[RestReader]:
    clock = SystemClock()
    limits = PoolLimits(keep_warm=0, most=1)
    pool = HttpPool(parse_target(url), clock, limits=limits, jitter=random.SystemRandom().random)
    try:
        lane = MexcLimits(clock, _Silent()).address(pool.target, weight=_WEIGHT).reads
        yield RestReader(pool, clock, lane, headers=headers)
    finally:
        await pool.close()


class _Silent:
    """Nothing is recorded while looking."""

    def event(self, level: str, category: str, message: str, **details: Any) -> None:
        """Not kept."""

    def health(self, component: str, status: str, **details: Any) -> None:
        """Not kept."""

    def alert(self, kind: str, subject: str, message: str, *, severity: str = "warning", **details: Any) -> None:
        """Not kept."""

    def resolve(self, kind: str, subject: str, reason: str) -> None:
        """Not kept."""
