"""The way of one REST request: arrival time, limits, signature, endpoint, answer, and the faults in between."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

import msgspec
from aiohttp import web

from signalbox.simulators.faults import Fault
from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.calls import Call, Endpoint
from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.rate_limits import RateLimits, Verdict
from signalbox.simulators.mexc.signing import check_signature, check_time

KEPT_ORDER_REQUESTS = 100_000
CUT = 499
"""Status of an answer that nobody gets, because its connection was cut."""

CHALLENGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Access denied</body></html>"


@dataclass(slots=True)
class OrderRequestRecord:
    """One POST /order as it arrived, whatever became of it; `arrived_ns` is the monotonic time at which the request
    was complete, `code` the error that answered it (an HTTP status, or 0 when a fault cut the connection)."""

    arrived_ns: int
    arrived_utc_ms: int
    method: str
    path: str
    params: dict[str, str]
    account: str | None = None
    code: int = 0
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Raw:
    method: str
    path: str
    query: str
    body: str
    params: dict[str, str]
    key: str | None
    content_type: str
    address: str
    arrived_ns: int


class Dispatcher:
    """Answers everything below `/api/`."""

    def __init__(self, exchange: Exchange, limits: RateLimits, endpoints: Mapping[tuple[str, str], Endpoint]) -> None:
        self._exchange = exchange
        self._limits = limits
        self._endpoints = endpoints
        self.order_requests: deque[OrderRequestRecord] = deque(maxlen=KEPT_ORDER_REQUESTS)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request. The arrival time is taken before anything else, or after the body when there is one."""
        arrived_ns = self._exchange.clock.monotonic_ns()
        body = ""
        if request.body_exists:
            body = (await request.read()).decode("utf-8", "surrogateescape")
            arrived_ns = self._exchange.clock.monotonic_ns()
        path, _, query = request.raw_path.partition("?")
        raw = _Raw(
            method=request.method,
            path=path,
            query=query,
            body=body,
            params=parse_params(query, body),
            key=request.headers.get("X-MEXC-APIKEY"),
            content_type=request.headers.get("Content-Type", ""),
            address=request.remote or "",
            arrived_ns=arrived_ns,
        )
        record = self._record(raw)
        if self._exchange.faults.idle:
            return self._answer(raw, record)
        before = await self._fault_before(request, raw)
        if before is not None:
            if record is not None:
                record.code = before.status if before.status != CUT else 0
            return before
        answer = self._answer(raw, record)
        return await self._fault_after(request, raw, answer)

    def _record(self, raw: _Raw) -> OrderRequestRecord | None:
        if raw.method != "POST" or raw.path != "/api/v3/order":
            return None
        record = OrderRequestRecord(raw.arrived_ns, self._exchange.now_ms(), raw.method, raw.path, raw.params)
        self.order_requests.append(record)
        return record

    def _answer(self, raw: _Raw, record: OrderRequestRecord | None) -> web.Response:
        try:
            result = self._call(raw, record)
        except Refusal as refusal:
            if record is not None:
                record.code = refusal.code
            return self._refused(refusal)
        if isinstance(result, Verdict):
            if record is not None:
                record.code = result.status
            return self._turned_away(result)
        if record is not None and isinstance(result, dict):
            record.order_id = str(result.get("orderId"))
        return web.Response(body=msgspec.json.encode(result), content_type="application/json")

    def _call(self, raw: _Raw, record: OrderRequestRecord | None) -> object:
        endpoint = self._endpoints.get((raw.method, raw.path))
        now_ms = self._exchange.now_ms()
        if endpoint is None:
            if any(path == raw.path for _, path in self._endpoints):
                raise Refusal(405, status=405, text=f"Request method '{raw.method}' not supported")
            raise Refusal(404, status=404, text="Not Found")
        verdict = self._limits.by_ip(raw.address, endpoint.weight, now_ms, path=raw.path)
        if verdict is not None:
            return verdict
        account = None
        if endpoint.permission is not None:
            account = self._authenticate(raw, endpoint.permission, now_ms)
            if record is not None:
                record.account = account.label
            verdict = self._limits.by_account(account.uid, endpoint.weight, now_ms)
            if verdict is None and endpoint.per_order:
                verdict = self._limits.order(account.uid, now_ms)
            if verdict is None and raw.path == "/api/v3/account":
                verdict = self._limits.account_read(account.uid, now_ms)
            if verdict is not None:
                return verdict
        return endpoint.handler(Call(self._exchange, raw.params, now_ms, raw.arrived_ns, account))

    def _authenticate(self, raw: _Raw, permission: str, now_ms: int) -> Account:
        switches = self._exchange.switches
        if not raw.key:
            raise Refusal(errors.API_KEY_REQUIRED)
        if not raw.key.isascii() or not raw.key.isalnum():
            raise Refusal(errors.API_KEY_FORMAT)
        if switches.require_json_content_type and raw.method == "POST":
            content_type = raw.content_type.partition(";")[0].strip().lower()
            if content_type != "application/json":
                raise Refusal(errors.CONTENT_TYPE_INVALID)
        account = self._exchange.accounts.by_key(raw.key)
        if account is None:
            raise Refusal(errors.ACCESS_KEY_UNKNOWN)
        if account.ip_whitelist and raw.address not in account.ip_whitelist:
            raise Refusal(errors.IP_NOT_ALLOWED, raw.address)
        check_time(raw.params.get("timestamp"), raw.params.get("recvWindow"), now_ms)
        check_signature(
            account.secret,
            raw.query,
            raw.body,
            mixed=switches.mixed_signing,
            accept_upper_case=switches.accept_upper_case_signature,
        )
        if permission not in account.permissions:
            raise Refusal(errors.PERMISSION_MISSING)
        return account

    def _refused(self, refusal: Refusal) -> web.Response:
        switches = self._exchange.switches
        code: object = str(refusal.code) if switches.error_code_as_string else refusal.code
        text = errors.CHINESE_TEXTS.get(refusal.code, refusal.text) if switches.chinese_texts else refusal.text
        text = f"Rejected ({refusal.code}): {text} [ref 1f9a]" if switches.altered_texts else text
        body: dict[str, object] = {"msg": text, "code": code}
        if switches.error_extend:
            body["_extend"] = None
        return _json(body, refusal.status)

    def _turned_away(self, verdict: Verdict) -> web.Response:
        options = self._limits.options
        headers = {"Retry-After": str(-(-verdict.wait_ms // 1000))} if options.retry_after else {}
        text = "Too many requests" if verdict.status == 429 else "IP banned"
        if options.body == "json":
            return _json({"code": verdict.status, "msg": text}, verdict.status, headers)
        body = text if options.body == "text" else ""
        return web.Response(text=body, status=verdict.status, headers=headers)

    async def _fault_before(self, request: web.Request, raw: _Raw) -> web.StreamResponse | None:
        """The answer of a fault that strikes on the way in; None lets the request through."""
        faults, about = self._exchange.faults, self._about(raw)
        if (fault := faults.take("latency", raw.path, raw.method, about)) is not None:
            await asyncio.sleep(faults.wait_ms(fault) / 1000)
        if faults.take("refuse_connection", raw.path, raw.method, about) is not None:
            return cut(request)
        if (fault := faults.take("rate_limited", raw.path, raw.method, about)) is not None:
            return _rate_limited(fault)
        if faults.take("challenge_page", raw.path, raw.method, about) is not None:
            return web.Response(body=CHALLENGE, status=403, content_type="text/html")
        if (fault := faults.take("error_before_accept", raw.path, raw.method, about)) is not None:
            return server_error(fault)
        return None

    async def _fault_after(self, request: web.Request, raw: _Raw, answer: web.Response) -> web.StreamResponse:
        """The answer, or what a fault on the way out makes of it; the request has had its effect."""
        faults, about = self._exchange.faults, self._about(raw)
        if (fault := faults.take("answer_late", raw.path, raw.method, about)) is not None:
            await asyncio.sleep(faults.wait_ms(fault) / 1000)
        if faults.take("answer_lost_after_accept", raw.path, raw.method, about) is not None:
            return cut(request)
        if (fault := faults.take("error_after_accept", raw.path, raw.method, about)) is not None:
            return server_error(fault)
        if faults.take("malformed_answer", raw.path, raw.method, about) is not None:
            return web.Response(body=b'{"symbol":"\xff\xfe', status=200, content_type="application/json")
        if faults.take("truncated_answer", raw.path, raw.method, about) is not None:
            whole = answer.body if isinstance(answer.body, bytes) else b""
            return web.Response(body=whole[: len(whole) // 2], content_type="application/json")
        return answer

    def _about(self, raw: _Raw) -> Mapping[str, str]:
        """What faults may be narrowed down to: the parameters, and the side of the order that is asked for."""
        order_id, client_id = raw.params.get("orderId"), raw.params.get("origClientOrderId")
        if not order_id and not client_id:
            return raw.params
        order = self._exchange.orders.anybodys(order_id=order_id, client_id=client_id)
        return raw.params if order is None else raw.params | order.about


def parse_params(query: str, body: str) -> dict[str, str]:
    """Decoded parameters; the query wins over the body. Only for reading: the signature covers the raw text."""
    params: dict[str, str] = {}
    for raw in (body, query):
        for part in raw.split("&"):
            name, separator, value = part.partition("=")
            if separator:
                params[unquote_plus(name)] = unquote_plus(value)
    return params


def _json(body: object, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json")


def _rate_limited(fault: Fault) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return _json({"code": 429, "msg": "Too many requests"}, 429, headers)


def server_error(fault: Fault) -> web.Response:
    """HTTP `status`, as text or with one of the venue's own codes."""
    if fault.code is not None:
        return _json({"code": fault.code, "msg": "Server error"}, fault.status)
    return web.Response(text=f"{fault.status} Server Error", status=fault.status)


def cut(request: web.Request) -> web.StreamResponse:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=CUT)
