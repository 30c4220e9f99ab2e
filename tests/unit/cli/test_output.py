"""How results look: aligned decimals, ages that turn stale, JSON in UTC with every digit."""

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from msgspec import Struct
from rich.console import Console

from signalbox.cli.output import Banner, age, aged, banner, cell, latency, local_time, print_json, shown
from signalbox.cli.tables import Column, aligned, decimals, table, times
from signalbox.domain.orders import OrderStatus

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def printed(renderable: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200, force_terminal=False, no_color=True).print(renderable)
    return stream.getvalue()


def test_decimal_points_stand_in_one_line() -> None:
    texts = aligned([Decimal("1.5"), Decimal("12.345"), 7, None])
    assert texts == ["1.5  ", "12.345", "7    ", "–    "]
    assert {len(text) - text.index(".") for text in texts if "." in text} == {4}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12.50", "12.50"),
        ("1E+3", "1000"),
        ("0.0000000001", "0.0000000001"),
        ("0.3133259267551575243882936191", "0.3133259268"),
        ("22.409744820050000000", "22.40974482"),
        ("0.00000000012345678901234", "0.000000000123456789"),
        ("-0.3133259267551575243882936191", "-0.3133259268"),
    ],
)
def test_a_screen_cuts_long_quotients_only(value: str, text: str) -> None:
    assert shown(Decimal(value)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s ago"), (2.4, "2 s ago"), (119, "119 s ago"), (600, "10 min ago"), (7200, "2 h ago"), (-5, "in 5 s")],
)
def test_ages_are_in_one_unit(seconds: float, text: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == text


def test_an_age_beyond_what_is_allowed_is_stale() -> None:
    allowed = timedelta(seconds=5)
    assert aged(NOW - timedelta(seconds=5), NOW, allowed=allowed).plain == "5 s ago"
    assert aged(NOW - timedelta(seconds=9), NOW, allowed=allowed).plain == "9 s ago, STALE (allowed 5 s)"
    assert "never" in aged(None, NOW, allowed=allowed).plain


@pytest.mark.parametrize(
    ("ms", "style"), [("499.9", "green"), ("500", "yellow"), ("999", "yellow"), ("1000", "bold red")]
)
def test_latency_badges(ms: str, style: str) -> None:
    assert str(latency(Decimal(ms)).style) == style


def test_a_table_without_rows_says_what_that_means() -> None:
    assert printed(table("x", [Column("a")], [], empty="Nothing yet.")).strip() == "Nothing yet."


def test_a_table_has_no_color_codes_without_a_terminal() -> None:
    text = printed(table("x", [Column("a"), decimals("b"), times("c")], [["filled", Decimal("1.5"), NOW]], empty=""))
    assert "\x1b" not in text
    assert "filled" in text
    assert "c (" in text


def test_a_narrow_table_leaves_out_extra_columns_and_names_them() -> None:
    columns = [Column("symbol"), Column("account", extra=True), decimals("amount", 2), times("opened", extra=True)]
    rows = [["NEWUSDT", "main", Decimal("1.23456"), NOW]]
    wide = printed(table("x", columns, rows, empty="", width=100))
    assert "main" in wide
    assert "1.23 " in wide
    assert "not shown" not in wide
    narrow = " ".join(printed(table("x", columns, rows, empty="", width=30)).split())
    assert "main" in narrow
    assert "not shown: opened (widen the terminal, or --json)" in narrow
    assert "NEWUSDT" in printed(table("x", columns, rows, empty="", width=5))


def test_times_of_one_day_show_the_day_once() -> None:
    text = printed(table("x", [times("at")], [[NOW], [NOW + timedelta(milliseconds=5)]], empty=""))
    assert text.count(local_time(NOW)[:10]) == 1
    both = printed(table("x", [times("at")], [[NOW], [NOW - timedelta(days=2)]], empty=""))
    assert local_time(NOW) in both


def test_nothing_in_a_cell_is_read_as_markup() -> None:
    assert "[red]x[/red]" in printed(table("t", [Column("a")], [["[red]x[/red]"]], empty=""))


def test_every_kind_of_cell_is_written() -> None:
    assert [cell(value).plain for value in (None, True, OrderStatus.FILLED, 3)] == ["–", "yes", "filled", "3"]


@pytest.mark.parametrize("kind", list(Banner))
def test_the_banner_names_what_is_at_stake(kind: Banner) -> None:
    assert kind.value in banner(kind).plain


class _Row(Struct):
    id: UUID
    amount: Decimal
    at: datetime
    none: None = None


def test_json_keeps_every_digit_and_tells_utc(capsys: pytest.CaptureFixture[str]) -> None:
    east = timezone(timedelta(hours=5))
    print_json([_Row(id=UUID(int=1), amount=Decimal("1.100"), at=NOW.astimezone(east))])
    out = capsys.readouterr()
    assert json.loads(out.out) == [
        {
            "id": "00000000-0000-0000-0000-000000000001",
            "amount": "1.100",
            "at": "2026-11-21T12:00:00Z",
            "none": None,
        }
    ]
    assert out.err == ""


def test_a_table_without_room_folds_words_but_never_numbers_and_names() -> None:
    columns = [Column("id"), Column("symbol"), times("time"), decimals("amount"), Column("state")]
    at = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    rows = [["386dd8fc", "LUMKOLUMUSDT", at, Decimal("29.9150"), "not_applicable"]]
    console = Console(width=56, color_system=None)
    with console.capture() as captured:
        console.print(table("", columns, rows, empty="", width=56))
    text = captured.get()
    for whole in ("386dd8fc", "29.9150", local_time(at)[11:]):
        assert whole in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 56
