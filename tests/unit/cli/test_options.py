"""Option values: ages, times and amounts, refused with the option's name when they are none."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from signalbox.cli.options import amount, amount_or_unlimited, moment
from signalbox.domain.errors import ConfigError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("30s", timedelta(seconds=30)),
        ("15min", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7 d", timedelta(days=7)),
    ],
)
def test_an_age_counts_back_from_now(text: str, before: timedelta) -> None:
    assert moment(text, "--since", NOW) == NOW - before


def test_an_iso_time_may_name_its_zone() -> None:
    assert moment("2026-11-21T10:00:00+02:00", "--since", NOW) == datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def test_an_iso_time_without_a_zone_is_local() -> None:
    assert moment("2026-11-21T10:00", "--since", NOW) == datetime(2026, 11, 21, 10, 0).astimezone()


@pytest.mark.parametrize("text", ["yesterday", "5 weeks", "", "12:61", "-5s"])
def test_what_is_no_time_is_refused_with_the_options_name(text: str) -> None:
    with pytest.raises(ConfigError, match="--since must be an age"):
        moment(text, "--since", NOW)


def test_amounts() -> None:
    assert amount(None, "x") is None
    assert amount("12.50", "x") == Decimal("12.50")
    assert amount_or_unlimited("none", "x") is None
    with pytest.raises(ConfigError, match="max_price must be a decimal number, got 'NaN'"):
        amount("NaN", "max_price")
