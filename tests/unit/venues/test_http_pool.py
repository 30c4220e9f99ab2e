"""The pool keeps connections warm and never waits for ever."""

import asyncio

import pytest
from tests.unit.venues.stub_server import Peer, StubServer, answer, answering
from tests.venue_examples import no_jitter

from signalbox.engine.clock import SystemClock
from signalbox.venues.http import AnswerUnclear, RequestNotSent, header_block, parse_target
from signalbox.venues.http_pool import HttpPool, PoolLimits


def pool_for(url: str, *, keep_warm: int = 1, most: int = 2) -> HttpPool:
    limits = PoolLimits(keep_warm=keep_warm, most=most, connect_timeout_s=2.0)
    return HttpPool(parse_target(url), SystemClock(), limits=limits, jitter=no_jitter)


async def test_a_keep_alive_close_is_repaired_before_the_next_order() -> None:
    close_now = asyncio.Event()

    async def close_when_told(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"one"))
        await close_now.wait()
        peer.close()

    async with StubServer(close_when_told, answering(answer(b"two"))) as server:
        pool = pool_for(server.url)
        request = b"GET /" + header_block(pool.target, {})
        assert (await pool.request(request, timeout_s=2)).body == b"one"
        close_now.set()
        await server.until_connections(2)
        assert (await pool.request(request, timeout_s=2)).body == b"two"
        assert server.connections == 2
        await pool.close()


async def test_a_hang_up_that_the_loop_has_not_seen_yet_is_noticed_before_writing() -> None:
    """The server's close is in the kernel, our loop has not run since: the poll before the write sees it."""
    closed = asyncio.Event()

    async def close_at_once(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"one"))
        peer.close()
        closed.set()

    async with StubServer(close_at_once, answering(answer(b"two"))) as server:
        pool = pool_for(server.url, keep_warm=0)
        request = b"GET /" + header_block(pool.target, {})
        assert (await pool.request(request, timeout_s=2)).body == b"one"
        await closed.wait()
        assert (await pool.request(request, timeout_s=2)).body == b"two"
        await pool.close()


async def test_a_pool_that_is_busy_says_not_sent() -> None:
    async with StubServer(answering()) as server:
        pool = pool_for(server.url, most=1)
        request = b"GET /" + header_block(pool.target, {})
        first = asyncio.create_task(pool.request(request, timeout_s=5))
        await server.until_connections(1)
        with pytest.raises(RequestNotSent, match="all 1 connections were busy"):
            await pool.request(request, timeout_s=0.05)
        await pool.close()
        with pytest.raises(AnswerUnclear):
            await first


async def test_a_second_request_gets_a_connection_of_its_own() -> None:
    release = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.request()
        await release.wait()
        await peer.send(answer(b"slow"))
        await peer.until_client_closes()

    async with StubServer(slow, answering(answer(b"quick"))) as server:
        pool = pool_for(server.url)
        request = b"GET /" + header_block(pool.target, {})
        first = asyncio.create_task(pool.request(request, timeout_s=5))
        await server.until_connections(1)
        assert (await pool.request(request, timeout_s=2)).body == b"quick"
        release.set()
        assert (await first).body == b"slow"
        await pool.close()


async def test_warm_opens_what_it_promises_and_close_ends_it() -> None:
    async with StubServer(answering()) as server:
        pool = pool_for(server.url, keep_warm=2, most=4)
        await pool.warm()
        assert pool.idle_connections == 2
        await pool.close()
        assert pool.idle_connections == 0
        with pytest.raises(RequestNotSent, match="closed"):
            await pool.request(b"", timeout_s=1)


async def test_an_unreachable_venue_fails_warm() -> None:
    async with StubServer(answering()) as server:
        url = server.url
    pool = pool_for(url)
    with pytest.raises(RequestNotSent):
        await pool.warm()
    await pool.close()


async def test_the_keeper_does_not_hammer_a_server_that_closes_at_once() -> None:
    async def slam(peer: Peer) -> None:
        peer.close()

    async with StubServer(answering(), slam) as server:
        pool = pool_for(server.url, keep_warm=2, most=4)
        await pool.warm()
        await server.until_connections(3)
        assert server.connections <= 4
        await pool.close()
