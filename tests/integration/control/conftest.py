"""The use cases on a real database, with a clock that tests move."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from signalbox.control.context import Control
from signalbox.engine.clock import TimeOrderedIds
from signalbox.ledger.connecting import fixed_url
from signalbox.ledger.sessions import Sessions

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class HandClock:
    """A clock that only moves when a test moves it."""

    def __init__(self) -> None:
        self.at_present = START

    def now(self) -> datetime:
        return self.at_present

    def monotonic_ns(self) -> int:
        return int((self.at_present - START).total_seconds() * 1e9)

    def at(self, monotonic_ns: int) -> datetime:
        return START + timedelta(microseconds=monotonic_ns // 1000)

    def move(self, seconds: float) -> None:
        self.at_present += timedelta(seconds=seconds)


class FakeCredentials:
    """Knows the labels whose credentials are there."""

    def __init__(self) -> None:
        self.labels: set[str] = set()

    def missing(self, label: str) -> str | None:
        return None if label in self.labels else f"Account {label!r} has no API key: set SIGNALBOX_ACCOUNT_..."


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def credentials() -> FakeCredentials:
    return FakeCredentials()


@pytest.fixture
async def control(database_url: str, clock: HandClock, credentials: FakeCredentials) -> AsyncIterator[Control]:
    sessions = Sessions(fixed_url(database_url))
    yield Control(
        sessions=sessions,
        clock=clock,
        ids=TimeOrderedIds(),
        credentials=credentials,
        actor="ada",
        code_version="test",
    )
    await sessions.close()


@pytest.fixture
def acting_as(control: Control) -> Callable[[str], Control]:
    """The same use cases for another operator."""
    return lambda actor: structs.replace(control, actor=actor)
