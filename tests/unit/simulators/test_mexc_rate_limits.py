"""Request limits on a clock that the test moves."""

from signalbox.simulators.mexc.options import RateLimitOptions
from signalbox.simulators.mexc.rate_limits import RateLimits, Verdict


def test_window_slides() -> None:
    """Weight comes back when the request that used it leaves the window."""
    limits = RateLimits(RateLimitOptions(ip_weight=30, weight_window_ms=10_000))
    assert limits.by_ip("a", 25, 0) is None
    assert limits.by_ip("a", 5, 4_000) is None
    assert limits.by_ip("a", 1, 6_000) == Verdict(429, 4_000)
    assert limits.by_ip("b", 25, 6_000) is None
    assert limits.by_ip("a", 25, 10_000) is None


def test_bans_grow() -> None:
    """Each ban lasts twice as long as the one before."""
    limits = RateLimits(RateLimitOptions(ip_weight=1, violations_before_ban=2, first_ban_ms=1_000))
    now, bans = 0, []
    for _ in range(3):
        limits.by_ip("a", 1, now)
        verdicts = [limits.by_ip("a", 1, now), limits.by_ip("a", 1, now)]
        assert verdicts[0] is not None
        assert verdicts[1] is not None
        assert (verdicts[0].status, verdicts[1].status) == (429, 418)
        bans.append(verdicts[1].wait_ms)
        now += 20_000
    assert bans == [1_000, 2_000, 4_000]
    limits.forgive()
    assert limits.by_ip("a", 1, now) is None


def test_accounts_do_not_share_their_limits() -> None:
    """The order rate belongs to one account."""
    limits = RateLimits(RateLimitOptions(orders_per_window=2))
    assert [limits.order("1", 0) is None for _ in range(3)] == [True, True, False]
    assert limits.order("2", 0) is None
    assert limits.by_account("1", 500, 0) is None
    assert limits.by_account("1", 1, 0) == Verdict(429, 10_000)
