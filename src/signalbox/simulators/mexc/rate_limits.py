"""Request limits: weight per IP address, weight per account, and orders plus cancels per second.

Numbers from the newer MEXC spot docs (300 weight per 10 s and IP, 500 per account, 12 orders and cancels per second;
the older ones gave each endpoint a pool of its own).
Who goes on after HTTP 429 is banned with 418, each time twice as long, up to three days.
"""

from collections import deque
from dataclasses import dataclass, field

from signalbox.simulators.mexc.options import RateLimitOptions

MAX_BAN_MS = 3 * 86_400_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a request is turned away: HTTP `status` 429 or 418 and the milliseconds to wait."""

    status: int
    wait_ms: int


@dataclass(slots=True)
class _Window:
    """The weight used within the last `length_ms`."""

    length_ms: int
    used: int = 0
    entries: deque[tuple[int, int]] = field(default_factory=deque)

    def wait_ms(self, now_ms: int, weight: int, limit: int) -> int:
        while self.entries and self.entries[0][0] <= now_ms - self.length_ms:
            self.used -= self.entries.popleft()[1]
        if self.used + weight <= limit:
            return 0
        return self.entries[0][0] + self.length_ms - now_ms if self.entries else self.length_ms

    def count(self, now_ms: int, weight: int) -> None:
        self.used += weight
        self.entries.append((now_ms, weight))


@dataclass(slots=True)
class _Offender:
    violations: int = 0
    bans: int = 0
    banned_until_ms: int = 0


class RateLimits:
    """All windows. `options` may be replaced while running."""

    def __init__(self, options: RateLimitOptions) -> None:
        self.options = options
        self._windows: dict[str, _Window] = {}
        self._offenders: dict[str, _Offender] = {}

    def by_ip(self, address: str, weight: int, now_ms: int, *, path: str = "") -> Verdict | None:
        """Count a request of an address; a verdict when it is too much, then it is not counted."""
        if not self.options.enforced:
            return None
        offender = self._offenders.setdefault(address, _Offender())
        if now_ms < offender.banned_until_ms:
            return Verdict(418, offender.banned_until_ms - now_ms)
        pool = f"ip/{address}/{path}" if self.options.ip_pool == "per_endpoint" else f"ip/{address}"
        wait = self._use(pool, weight, now_ms, self.options.ip_weight, self.options.weight_window_ms)
        if wait == 0:
            return None
        return self._violation(offender, wait, now_ms)

    def by_account(self, uid: str, weight: int, now_ms: int) -> Verdict | None:
        """Count a signed request of an account."""
        if not self.options.enforced:
            return None
        wait = self._use(f"uid/{uid}", weight, now_ms, self.options.uid_weight, self.options.weight_window_ms)
        return Verdict(429, wait) if wait else None

    def account_read(self, uid: str, now_ms: int) -> Verdict | None:
        """Count a GET /account, which has a limit of its own."""
        if not self.options.enforced or not self.options.account_per_s:
            return None
        wait = self._use(f"account/{uid}", 1, now_ms, self.options.account_per_s, 1_000)
        return Verdict(429, wait) if wait else None

    def order(self, uid: str, now_ms: int, count: int = 1) -> Verdict | None:
        """Count an order or a cancel of an account."""
        if not self.options.enforced:
            return None
        limit, length_ms = self.options.orders_per_window, self.options.order_window_ms
        wait = self._use(f"orders/{uid}", count, now_ms, limit, length_ms)
        return Verdict(429, wait) if wait else None

    def forgive(self) -> None:
        """Forget everything that was counted, bans included."""
        self._windows.clear()
        self._offenders.clear()

    def _use(self, name: str, weight: int, now_ms: int, limit: int, length_ms: int) -> int:
        window = self._windows.get(name)
        if window is None or window.length_ms != length_ms:
            window = self._windows[name] = _Window(length_ms)
        wait = window.wait_ms(now_ms, weight, limit)
        if wait == 0:
            window.count(now_ms, weight)
        return wait

    def _violation(self, offender: _Offender, wait_ms: int, now_ms: int) -> Verdict:
        offender.violations += 1
        if offender.violations < self.options.violations_before_ban:
            return Verdict(429, wait_ms)
        offender.violations = 0
        ban_ms = min(self.options.first_ban_ms * 2**offender.bans, MAX_BAN_MS)
        offender.bans += 1
        offender.banned_until_ms = now_ms + ban_ms
        return Verdict(418, ban_ms)
