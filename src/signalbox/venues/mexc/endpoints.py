"""Where MEXC answers. All three addresses come from settings; these are the public ones."""

from msgspec import Struct


class MexcEndpoints(Struct, frozen=True, kw_only=True):
    """`rest_url` http(s) base of the API, `ws_url` ws(s) address of the market stream, `calendar_url` the full http(s)
    address of the web site's listing calendar."""

    rest_url: str
    ws_url: str
    calendar_url: str


LIVE_ENDPOINTS = MexcEndpoints(
    rest_url="https://api.mexc.com",
    ws_url="wss://wbs-api.mexc.com/ws",
    calendar_url="https://www.mexc.com/api/operation/new_coin_calendar",
)
"""MEXC spot docs, "Base endpoint" and "Websocket Market Streams"; the calendar as observed, it is not documented."""
