"""The HTTP connection against a raw server: what is a whole answer, and what leaves an order unclear."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.venues.stub_server import Handler, Peer, StubServer, answer, answering
from tests.venue_examples import no_jitter

from signalbox.domain.errors import ConfigError
from signalbox.engine.clock import SystemClock
from signalbox.venues.http import AnswerUnclear, HttpResponse, RequestNotSent, header_block, parse_target
from signalbox.venues.http_pool import HttpPool, PoolLimits

GET = b"GET /x"


async def ask(*handlers: Handler, timeout_s: float = 2.0, max_body_bytes: int = 100_000) -> HttpResponse:
    """One request to a server that behaves like this."""
    async with StubServer(*handlers) as server:
        pool = pool_for(server.url, max_body_bytes=max_body_bytes)
        try:
            return await pool.request(GET + header_block(pool.target, {}), timeout_s=timeout_s)
        finally:
            await pool.close()


def pool_for(
    url: str, *, keep_warm: int = 0, most: int = 2, max_body_bytes: int = 100_000, connect_timeout_s: float = 2.0
) -> HttpPool:
    limits = PoolLimits(
        keep_warm=keep_warm, most=most, connect_timeout_s=connect_timeout_s, max_body_bytes=max_body_bytes
    )
    return HttpPool(parse_target(url), SystemClock(), limits=limits, jitter=no_jitter)


async def test_an_answer_with_a_length() -> None:
    response = await ask(answering(answer(b'{"a":1}', headers="X-Thing: Value\r\n")))
    assert (response.status, response.body) == (200, b'{"a":1}')
    assert response.headers["x-thing"] == "Value"
    assert response.received_ns >= response.sent_ns > 0


@pytest.mark.parametrize("piece", [1, 2, 7, 64])
async def test_an_answer_in_pieces(piece: int) -> None:
    whole = answer(b"x" * 100)
    pieces = [whole[i : i + piece] for i in range(0, len(whole), piece)]

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(*pieces)
        await peer.until_client_closes()

    assert (await ask(handle)).body == b"x" * 100


async def test_a_chunked_answer() -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    assert (await ask(answering(data))).body == b"hello world"


async def test_an_informational_answer_is_only_a_prelude() -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(b"real")
    response = await ask(answering(data))
    assert (response.status, response.body) == (200, b"real")
    assert "link" not in response.headers


async def test_an_answer_that_ends_with_the_connection() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\n\r\n<html>blocked</html>")
        peer.close()

    response = await ask(handle)
    assert (response.status, response.body) == (403, b"<html>blocked</html>")


async def _close_in_the_body(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort")
    peer.close()


async def _close_in_a_chunk(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    peer.close()


async def _close_in_the_head(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    peer.close()


async def _close_without_a_word(peer: Peer) -> None:
    await peer.request()
    peer.close()


async def _reset(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def _no_http(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"what do you mean?\r\n\r\n")
    await peer.until_client_closes()


async def _switch_protocols(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    await peer.until_client_closes()


async def _endless_head(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        await peer.send(b"X-%d: %s\r\n" % (number, b"y" * 10_000))
    await peer.until_client_closes()


async def _large_body(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", b"z" * 900_000)
    await peer.until_client_closes()


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_close_in_the_body, "ended before the whole answer"),
        (_close_in_a_chunk, "ended before the whole answer"),
        (_close_in_the_head, "ended before the whole answer"),
        (_close_without_a_word, "ended before the whole answer"),
        (_reset, "ended before the whole answer"),
        (_no_http, "not usable HTTP"),
        (_switch_protocols, "not usable HTTP"),
        (_endless_head, "head of the answer is larger"),
        (_large_body, "larger than 100000 bytes"),
    ],
)
async def test_anything_but_a_whole_answer_is_unclear(handler: Handler, reason: str) -> None:
    with pytest.raises(AnswerUnclear, match=reason):
        await ask(handler)


async def test_silence_is_unclear_after_the_timeout() -> None:
    with pytest.raises(AnswerUnclear, match="no whole answer within"):
        await ask(answering(), timeout_s=0.05)


async def test_nobody_listening_means_not_sent() -> None:
    async with StubServer(answering()) as server:
        url = server.url
    pool = pool_for(url)
    with pytest.raises(RequestNotSent, match="no connection to"):
        await pool.request(GET, timeout_s=1)
    await pool.close()


async def test_tls_to_a_server_without_it_means_not_sent() -> None:
    async with StubServer(answering()) as server:
        pool = pool_for(server.url.replace("http://", "https://"), connect_timeout_s=0.2)
        with pytest.raises(RequestNotSent, match="no connection to"):
            await pool.request(GET, timeout_s=1)
        await pool.close()


async def test_a_name_that_cannot_be_a_hosts_means_not_sent() -> None:
    pool = pool_for("http://" + "a" * 70 + ".example")
    with pytest.raises(RequestNotSent):
        await pool.request(GET, timeout_s=1)
    await pool.close()


@pytest.fixture
async def two_answers() -> AsyncIterator[StubServer]:
    async with StubServer(answering(answer(b"one"), answer(b"two"))) as server:
        yield server


async def test_a_connection_is_used_again(two_answers: StubServer) -> None:
    pool = pool_for(two_answers.url)
    request = GET + header_block(pool.target, {})
    assert (await pool.request(request, timeout_s=2)).body == b"one"
    assert (await pool.request(request, timeout_s=2)).body == b"two"
    assert two_answers.connections == 1
    await pool.close()


async def test_the_bytes_are_written_before_the_first_suspension(two_answers: StubServer) -> None:
    pool = pool_for(two_answers.url, keep_warm=1)
    await pool.warm()
    sent: list[int] = []
    request = GET + header_block(pool.target, {})
    coroutine = pool.request(request, timeout_s=2, on_sent=sent.append)
    coroutine.send(None)  # runs to the first suspension
    assert len(sent) == 1
    coroutine.close()
    await pool.close()


async def test_what_follows_an_answer_uninvited_ends_the_connection() -> None:
    async with StubServer(answering(answer(b"one") + answer(b"never asked for")), answering(answer(b"two"))) as server:
        pool = pool_for(server.url)
        request = GET + header_block(pool.target, {})
        assert (await pool.request(request, timeout_s=2)).body == b"one"
        assert (await pool.request(request, timeout_s=2)).body == b"two"
        assert server.connections == 2
        await pool.close()


async def test_a_cancelled_request_takes_its_connection_with_it() -> None:
    """Its answer, coming late, would be taken for the next request's."""
    asked = asyncio.Event()

    async def late(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.until_client_closes()

    async with StubServer(late, answering(answer(b"fresh"))) as server:
        pool = pool_for(server.url)
        request = GET + header_block(pool.target, {})
        task = asyncio.create_task(pool.request(request, timeout_s=5))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await pool.request(request, timeout_s=2)).body == b"fresh"
        await pool.close()


@pytest.mark.parametrize(
    ("url", "authority", "port", "prefix"),
    [
        ("https://api.example", "api.example", 443, ""),
        ("http://127.0.0.1:8080/base/", "127.0.0.1:8080", 8080, "/base"),
        ("http://[::1]:81", "[::1]:81", 81, ""),
    ],
)
def test_addresses(url: str, authority: str, port: int, prefix: str) -> None:
    target = parse_target(url)
    assert (target.authority, target.port, target.prefix) == (authority, port, prefix)


@pytest.mark.parametrize(
    "url", ["api.example", "ftp://x", "https://", "https://u:p@x", "http://x:99999", "http://x?a=b"]
)
def test_an_unusable_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        parse_target(url)


@pytest.mark.parametrize("value", ["key\r\nX-Evil: 1", "ключ", "a\tb"])
def test_a_header_value_cannot_smuggle(value: str) -> None:
    with pytest.raises(ConfigError, match="X-KEY"):
        header_block(parse_target("http://x"), {"X-KEY": value})
