"""Numbered cases of the market stream itself: W0x."""

import asyncio
from contextlib import suppress

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server
from tests.contract.venue_mexc.venue import ConnectedVenue
from tests.venue_examples import RecordedEvents, no_jitter

from signalbox.engine.clock import SystemClock
from signalbox.venues.mexc.push_pb2 import Push
from signalbox.venues.mexc.source_health import SourceHealth
from signalbox.venues.mexc.ws import MarketStream


def stream_to(url: str, channel: str, events: RecordedEvents) -> MarketStream:
    clock = SystemClock()
    health = SourceHealth("stream", events, clock)
    return MarketStream(url, [channel], clock=clock, jitter=no_jitter, health=health)


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_w01_a_refused_subscription_has_code_0_and_is_still_a_refusal(venue: ConnectedVenue) -> None:
    events = RecordedEvents()
    without_zone = "spot@public.miniTickers.v3.api.pb"
    task = asyncio.create_task(stream_to(venue.simulator.ws_url, without_zone, events).run(lambda *_: None))
    await events.until(lambda: events.status("stream") is not None)
    status, details = events.states["stream"]
    assert status == "degraded"
    assert "Not Subscribed successfully" in details["reason"]
    await stop(task)


class _Fragmenting(WSListener):
    """Acknowledges, then sends one push in three frames."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if b"SUBSCRIPTION" not in frame.get_payload_as_bytes():
            return
        transport.send(WSMsgType.TEXT, b'{"id":1,"code":0,"msg":"a@channel"}')
        whole = Push(channel="a@channel", symbol="ABCUSDT", send_time=7).SerializeToString()
        transport.send(WSMsgType.BINARY, whole[:4], fin=False)
        transport.send(WSMsgType.CONTINUATION, whole[4:9], fin=False)
        transport.send(WSMsgType.CONTINUATION, whole[9:], fin=True)


async def test_w02_a_push_in_several_frames_is_one_push() -> None:
    server = await ws_create_server(lambda _: _Fragmenting(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    events = RecordedEvents()
    arrived: asyncio.Future[Push] = asyncio.get_running_loop().create_future()
    stream = stream_to(f"ws://{host}:{port}/", "a@channel", events)
    task = asyncio.create_task(stream.run(lambda push, _: arrived.set_result(push)))
    async with asyncio.timeout(5):
        push = await arrived
    assert (push.symbol, push.send_time) == ("ABCUSDT", 7)
    await events.until(lambda: events.status("stream") == "running")
    await stop(task)
    server.close()
