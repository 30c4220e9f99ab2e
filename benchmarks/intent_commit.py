"""What one intent costs: a durable commit through the hot path, beside the cheapest durable INSERT.

    python -m benchmarks.intent_commit [--commits N] [--url POSTGRESQL_URL]

Without --url a private PostgreSQL with fsync on is used. The two are interleaved, so that both see the same machine.
The database of --url must be empty; tables are created in it.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from tests.integration.ledger.world import entry, open_world

from signalbox.ledger import databases, migrate
from signalbox.ledger.connecting import fixed_url
from signalbox.ledger.embedded import open_embedded
from signalbox.ledger.hot_connection import HotConnection
from signalbox.ledger.writer import IntentCommitter

WARM_UP = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=2000)
    parser.add_argument("--url")
    options = parser.parse_args()
    with _database(options.url) as url:
        migrate.upgrade(url)
        uvloop.run(_measure(url, options.commits))


@contextmanager
def _database(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as directory:
        Path(directory).chmod(0o711)
        with open_embedded(Path(directory)) as server:
            databases.create_database(server.url("postgres"), "bench")
            yield server.url("bench")


async def _measure(url: str, commits: int) -> None:
    await open_world(url)
    hot = HotConnection(fixed_url(url))
    await hot.open()
    writer = IntentCommitter(hot)
    await hot.connection.execute("CREATE TABLE floor (id bigint PRIMARY KEY, note text)")
    intents: list[float] = []
    inserts: list[float] = []
    for n in range(commits + WARM_UP):
        intents.append(await _timed(writer.commit(entry(f"S{n}USDT"))))
        inserts.append(await _timed(hot.connection.execute("INSERT INTO floor VALUES ($1, $2)", n, "x" * 200)))
    _report("one intent (signal, decision, order, reservation)", intents[WARM_UP:])
    _report("one INSERT of one small row", inserts[WARM_UP:])
    burst = [entry(f"B{n}USDT") for n in range(commits)]
    before, started = writer.statements, time.perf_counter()
    await asyncio.gather(*(writer.commit(intent) for intent in burst))
    seconds = time.perf_counter() - started
    print(f"{commits} at once: {commits / seconds:.0f} intents/s in {writer.statements - before} commits")
    await writer.close()
    await hot.close()


async def _timed(work: Awaitable[Any]) -> float:
    started = time.perf_counter_ns()
    await work
    return (time.perf_counter_ns() - started) / 1000


def _report(what: str, microseconds: list[float]) -> None:
    ordered = sorted(microseconds)
    p50, p90, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.9, 0.99))
    print(f"{what}: p50 {p50:.0f} µs, p90 {p90:.0f}, p99 {p99:.0f}")


if __name__ == "__main__":
    main()
