"""A raw TCP server whose every byte the test decides."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

Handler = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """The head of the next request; asyncio.IncompleteReadError when the client closes."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def send(self, *pieces: bytes) -> None:
        """Send each piece on its own."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)

    def close(self) -> None:
        """End the connection in the ordinary way."""
        self._writer.close()

    def reset(self) -> None:
        """End the connection without a goodbye."""
        self._writer.transport.abort()

    async def until_client_closes(self) -> None:
        """Wait for the client's end."""
        while await self._reader.read(4096):
            pass


class StubServer:
    """Runs the handler for each connection; the n-th connection gets the n-th handler, the last one for ever."""

    def __init__(self, *handlers: Handler) -> None:
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepted = asyncio.Condition()
        self.connections = 0
        self.requests: list[bytes] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The base URL."""
        if self._server is None:
            raise RuntimeError("the stub server does not run")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def until_connections(self, number: int) -> None:
        """Wait until that many connections were accepted."""
        async with asyncio.timeout(5), self._accepted:
            await self._accepted.wait_for(lambda: self.connections >= number)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = self._handlers[min(self.connections, len(self._handlers) - 1)]
        task = asyncio.create_task(self._serve(handler, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._accepted:
            self.connections += 1
            self._accepted.notify_all()
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await handler(Peer(reader, writer))
        finally:
            writer.transport.abort()


def answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole HTTP answer with its length."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answering(*answers: bytes) -> Handler:
    """Answers one request after the other, then waits for the client to close."""

    async def handle(peer: Peer) -> None:
        for data in answers:
            await peer.request()
            await peer.send(data)
        await peer.until_client_closes()

    return handle
