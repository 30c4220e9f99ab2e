"""The clock is compared all the time: steadily, densely before an opening, and what it shows is told."""

import asyncio
import itertools
from contextlib import suppress
from datetime import datetime, timedelta

from tests.unit.engine.virtual_time import virtual_time
from tests.venue_examples import NOON, RecordedEvents, no_jitter

from signalbox.domain.errors import VenueUnavailable
from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc.clock_offset import SAMPLES, ClockOffset
from signalbox.venues.mexc.clock_watch import DENSE_S, STEADY_S, ClockWatch


class LoopClock:
    """The event loop's (virtual) time; the wall clock may be set."""

    def __init__(self) -> None:
        self.wall = NOON

    def monotonic_ns(self) -> int:
        return round((asyncio.get_running_loop().time() - 1000.0) * 1_000_000_000)

    def now(self) -> datetime:
        return self.at(self.monotonic_ns())

    def at(self, monotonic_ns: int) -> datetime:
        return self.wall + timedelta(microseconds=monotonic_ns // 1000)


class World:
    """A venue whose clock is three seconds ahead, and a watch on it."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.events = RecordedEvents()
        self.ahead_ms = 3_000
        self.asked: list[float] = []
        self.error: VenueUnavailable | None = None
        self.opens_at: datetime | None = None
        self.measured = 0
        self.offset = ClockOffset(self.clock, self._ask)
        self.watch = ClockWatch(
            self.offset,
            clock=self.clock,
            events=self.events,
            jitter=no_jitter,
            next_opening=lambda: self.opens_at,
            on_measured=self._count,
        )

    def _count(self) -> None:
        self.measured += 1

    async def _ask(self) -> tuple[int, HttpResponse]:
        sent_ns = self.clock.monotonic_ns()
        self.asked.append(sent_ns / 1e9)
        await asyncio.sleep(0.005)
        if self.error is not None:
            raise self.error
        venue_ms = int(NOON.timestamp()) * 1000 + self.clock.monotonic_ns() // 1_000_000 + self.ahead_ms
        await asyncio.sleep(0.005)
        now_ns = self.clock.monotonic_ns()
        return venue_ms, HttpResponse(status=200, headers={}, body=b"", sent_ns=sent_ns, received_ns=now_ns)

    async def run_for(self, seconds: float) -> None:
        """Let the watch run for so long."""
        task = asyncio.create_task(self.watch.run())
        await asyncio.sleep(seconds)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@virtual_time
async def test_it_is_compared_every_few_seconds_and_densely_before_an_opening() -> None:
    world = World()
    world.opens_at = NOON + timedelta(seconds=63)  # by the venue's clock, so in 60 s by ours
    await world.run_for(59)
    steady = [at for at in world.asked if at < 51]
    dense = [at for at in world.asked if at > 52.5]
    assert len(steady) <= SAMPLES + 51 / STEADY_S + 1
    assert max(b - a for a, b in itertools.pairwise(steady)) <= STEADY_S + 0.02
    assert max(b - a for a, b in itertools.pairwise(dense)) <= DENSE_S + 0.02
    assert len([at for at in world.asked if at > 49]) <= 28, "weight 1 each, of 300 in ten seconds"
    assert world.measured == len(world.asked) - SAMPLES + 1
    figures = world.events.states["feed.clock"][1]
    assert abs(figures["offset_ms"] - 3_000) <= figures["error_ms"] < 6


@virtual_time
async def test_a_venue_that_does_not_tell_its_time_is_asked_less_often_and_said_so() -> None:
    world = World()
    await world.run_for(1)
    world.error = VenueUnavailable("503")
    asked = len(world.asked)
    await world.run_for(60)
    assert len(world.asked) - asked <= 12
    status, figures = world.events.states["feed.clock"]
    assert (status, figures["reason"], figures["samples"]) == ("degraded", "503", SAMPLES)
    world.error = None
    await world.run_for(1)
    assert world.events.status("feed.clock") == "running"


@virtual_time
async def test_steps_of_either_clock_are_told_once() -> None:
    world = World()
    await world.run_for(10)
    due_ns = world.offset.monotonic_ns_at(NOON + timedelta(minutes=1))
    world.clock.wall += timedelta(seconds=30)
    await world.run_for(10)
    assert [message for _, _, message in world.events.events if "was set by +30000 ms" in message]
    assert abs(world.offset.monotonic_ns_at(NOON + timedelta(minutes=1)) - due_ns) < 6_000_000
    world.ahead_ms += 10_000
    await world.run_for(10)
    assert world.events.told("the exchange's clock made a step")
    assert len(world.events.events) == 2
