"""HTTP/1.1 over one warm connection: what orders and reads travel on.

The one question that matters for an order is whether the venue can have seen it. So there are exactly two errors:
`RequestNotSent` (no byte left this machine: safe to repeat) and `AnswerUnclear` (at least one byte was handed to the
socket and no whole, well-formed answer came back: only the venue can tell).
"""

import asyncio
import select
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools
from msgspec import Struct

from signalbox.domain.errors import ConfigError, VenueUnavailable
from signalbox.domain.ports import Clock

MAX_HEAD_BYTES = 512 * 1024
"""Bound for what arrives before the end of the headers is known; one read brings up to 256 KiB, body included."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


class RequestNotSent(VenueUnavailable):
    """Surely nothing of the request left this machine."""


class AnswerUnclear(VenueUnavailable):
    """The request, or a part of it, went out, and no whole answer came back."""


class HttpResponse(Struct, frozen=True, kw_only=True):
    """A whole answer. Header names are lower-case. Monotonic: `begun_ns` right before the request was handed to the
    socket, `sent_ns` right after that, `received_ns` when the last bytes of the answer were in our hands. Between
    `begun_ns` and `received_ns` the venue has answered, for sure."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent_ns: int
    received_ns: int
    begun_ns: int | None = None


class HttpTarget(Struct, frozen=True, kw_only=True):
    """Where requests go. `prefix` is the path of the base URL without a trailing slash."""

    host: str
    port: int
    tls: bool
    authority: str
    prefix: str

    @property
    def base_url(self) -> str:
        """The base URL again, as a person would write it."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.prefix}"


def parse_target(url: str) -> HttpTarget:
    """Read an http:// or https:// base URL. Raises ConfigError for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"not a usable URL: {url!r} ({error})") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigError(f"a venue's address must look like https://host[:port][/path], got {url!r}")
    default = _DEFAULT_PORTS[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return HttpTarget(
        host=parts.hostname,
        port=port or default,
        tls=parts.scheme == "https",
        authority=host if port in (None, default) else f"{host}:{port}",
        prefix=parts.path.rstrip("/"),
    )


def header_block(target: HttpTarget, headers: Mapping[str, str]) -> bytes:
    """Everything after the request line of a request without a body, ready to be appended.

    Raises ConfigError when a value cannot stand in a header (a pasted line break in an API key).
    """
    lines = [f"Host: {target.authority}", *(f"{name}: {value}" for name, value in headers.items())]
    for line in lines:
        if not line.isascii() or not line.isprintable():
            raise ConfigError(f"the value of the header {line.split(':')[0]} has characters that cannot be sent")
    return ("\r\n".join([" HTTP/1.1", *lines]) + "\r\n\r\n").encode("ascii")


class HttpConnection(asyncio.Protocol):
    """One connection, used by one request at a time. `on_closed` is called once, when it ends for whatever reason."""

    def __init__(self, clock: Clock, *, max_body_bytes: int, on_closed: "Callable[[HttpConnection], None]") -> None:
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._waiter: asyncio.Future[HttpResponse] | None = None
        self._begun_ns = 0
        self._sent_ns = 0
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._headers_done = False

    @property
    def is_idle(self) -> bool:
        """True when a request may be written now: open, nobody waiting, and the peer has not hung up."""
        transport = self._transport
        if transport is None or self._waiter is not None or transport.is_closing():
            return False
        return self._poll is None or not self._poll.poll(0)

    @property
    def is_closed(self) -> bool:
        """True when the connection is gone for good."""
        return self._transport is None or self._transport.is_closing()

    async def exchange(
        self, request: bytes, *, timeout_s: float, on_sent: Callable[[int], None] | None = None
    ) -> HttpResponse:
        """Write the request at once, in one write, and wait for its answer.

        The write happens before the first suspension. `on_sent` gets the monotonic time right after it.
        Raises RequestNotSent when the connection was not usable, AnswerUnclear for everything after the write. The
        connection is closed whenever its state is not certain, also when the caller is cancelled.
        """
        transport = self._transport
        if transport is None or self._waiter is not None or transport.is_closing():
            raise RequestNotSent("the connection was closed before the request was written")
        self._waiter = asyncio.get_running_loop().create_future()
        self._begun_ns = self._clock.monotonic_ns()
        transport.write(request)
        self._sent_ns = self._clock.monotonic_ns()
        if on_sent is not None:
            on_sent(self._sent_ns)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._waiter
        except TimeoutError:
            raise AnswerUnclear(f"no whole answer within {timeout_s:g} s") from None
        finally:
            if self._waiter is not None:
                self._waiter = None
                self.abort()

    def abort(self) -> None:
        """Close at once, without waiting for anything."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; small requests leave at once, a dead idle peer is found by TCP keep-alive."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports have the methods, not the type
        raw = transport.get_extra_info("socket")
        if raw is not None:
            _tune(raw)
            self._poll = select.poll()
            self._poll.register(raw.fileno(), _HUNG_UP)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; anything that nobody asked for, or that is no HTTP, ends the connection."""
        if self._waiter is None:
            self._fail("the venue sent data that nobody asked for")
            return
        if not self._headers_done:
            self._size += len(data)
            if self._size > MAX_HEAD_BYTES:
                self._fail(f"the head of the answer is larger than {MAX_HEAD_BYTES} bytes")
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, _TooLarge) as error:
            cause = error.__context__ if isinstance(error.__context__, _TooLarge) else error
            self._fail(f"the answer is not usable HTTP: {cause}")

    def eof_received(self) -> bool | None:
        """The peer closes: the transport closes too."""
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer that is delimited by the end of the connection is whole now; any other is unclear."""
        self._poll = None
        self._transport = None
        if self._waiter is not None and exc is None and self._headers_done and self._ends_with_connection():
            self._deliver()
        self._fail(f"the connection ended before the whole answer was there ({exc or 'closed by the venue'})")
        self._on_closed(self)

    def _ends_with_connection(self) -> bool:
        return "content-length" not in self._headers and "transfer-encoding" not in self._headers

    def _fail(self, reason: str) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(AnswerUnclear(reason))
        self._waiter = None
        self.abort()

    def _deliver(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            self.abort()
            return
        waiter.set_result(
            HttpResponse(
                status=self._parser.get_status_code(),
                headers=self._headers,
                body=b"".join(self._body),
                sent_ns=self._sent_ns,
                received_ns=self._clock.monotonic_ns(),
                begun_ns=self._begun_ns,
            )
        )

    # httptools callbacks

    def on_message_begin(self) -> None:
        """A further message in one read was never asked for: nobody is waiting any more."""
        if self._waiter is None:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The body follows."""
        self._headers_done = True
        self._size = 0

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body, within bounds."""
        self._size += len(body)
        if self._size > self._max_body_bytes:
            raise _TooLarge(f"the body is larger than {self._max_body_bytes} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Deliver; informational answers (1xx) are only a prelude."""
        if self._parser.get_status_code() < 200:
            self._headers, self._body, self._headers_done = {}, [], False
            return
        keep = self._parser.should_keep_alive()
        self._deliver()
        self._headers, self._body, self._size, self._headers_done = {}, [], 0, False
        if not keep:
            self.abort()


class _TooLarge(Exception):
    pass


def _tune(raw: socket.socket) -> None:
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)


async def connect(
    target: HttpTarget,
    clock: Clock,
    *,
    tls: ssl.SSLContext | None,
    timeout_s: float,
    max_body_bytes: int,
    on_closed: Callable[[HttpConnection], None],
) -> HttpConnection:
    """Open a connection. Raises RequestNotSent when that fails or takes too long."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            _, connection = await loop.create_connection(
                lambda: HttpConnection(clock, max_body_bytes=max_body_bytes, on_closed=on_closed),
                target.host,
                target.port,
                ssl=tls,
            )
    except TimeoutError:
        raise RequestNotSent(f"no connection to {target.authority} within {timeout_s:g} s") from None
    except (OSError, UnicodeError) as error:  # TLS errors are OSErrors; UnicodeError: a name that cannot be a host's
        raise RequestNotSent(f"no connection to {target.authority}: {error}") from None
    if connection.is_closed:
        raise RequestNotSent(f"{target.authority} closed the connection at once")
    return connection
