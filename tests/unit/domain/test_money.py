"""Money is exact: what is read, summed, rounded and written."""

from decimal import Decimal, localcontext

import pytest

from signalbox.domain.errors import ConfigError
from signalbox.domain.money import parse_amount, plain, product, round_down, round_up, share, step_of, total


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("25", Decimal(25)),
        (" 0.10 ", Decimal("0.10")),
        ("-1.5", Decimal("-1.5")),
        ("+.5", Decimal("0.5")),
        ("5.", Decimal(5)),
        ("1e-8", Decimal("0.00000001")),
        ("0", Decimal(0)),
    ],
)
def test_a_decimal_number_is_read_as_it_is_written(text: str, value: Decimal) -> None:
    assert parse_amount(text, field="quote_amount") == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "abc",
        "NaN",
        "sNaN",
        "Infinity",
        "-inf",
        "1,5",
        "1_000",
        "1 000",
        "0x10",
        "٣",
        "--1",
        "1e",
        None,
        5,
        b"5",
    ],
)
def test_anything_else_is_refused_with_its_field_and_value(text: object) -> None:
    with pytest.raises(ConfigError, match="quote_amount") as caught:
        parse_amount(text, field="quote_amount")
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["1e40", "1e9999", "1e-41", "1e-9999", "9" * 41, "0." + "0" * 40 + "1"])
def test_a_number_that_no_amount_can_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="price must have at most 40 digits"):
        parse_amount(text, field="price")


def test_the_message_about_a_long_text_is_short() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_amount("x" * 100_000, field="price")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("value", "step", "down", "up"),
    [
        ("5.129", "0.01", "5.12", "5.13"),
        ("5.12", "0.01", "5.12", "5.12"),
        ("0.009", "0.01", "0", "0.01"),
        ("7", "5", "5", "10"),
        ("0.7", "0.25", "0.5", "0.75"),
        ("-0.7", "0.25", "-0.75", "-0.5"),
        ("0", "0.01", "0", "0"),
    ],
)
def test_rounding_to_a_step(value: str, step: str, down: str, up: str) -> None:
    assert round_down(Decimal(value), Decimal(step)) == Decimal(down)
    assert round_up(Decimal(value), Decimal(step)) == Decimal(up)


def test_a_quotient_that_28_digits_would_round_up_is_still_rounded_down() -> None:
    # 28 nines / 0.3 is 2.99…97 with more digits than the default context keeps: it would become 3.
    just_below = Decimal("0.8999999999999999999999999999")
    assert round_down(just_below, Decimal("0.3")) == Decimal("0.6")


def test_sums_and_products_ignore_the_ambient_precision() -> None:
    with localcontext() as context:
        context.prec = 3
        assert total([Decimal("1234.5678"), Decimal("0.0001")]) == Decimal("1234.5679")
        assert product(Decimal("1.2345"), Decimal(2)) == Decimal("2.4690")
        assert round_down(Decimal("1234.5678"), Decimal("0.001")) == Decimal("1234.567")


def test_the_sum_of_nothing_is_zero() -> None:
    assert total([]) == 0


def test_a_share_is_rounded_down_to_the_step() -> None:
    assert share(Decimal(10), Decimal(1), Decimal(3), step=Decimal("0.01")) == Decimal("3.33")
    assert share(Decimal(10), Decimal(3), Decimal(3), step=Decimal("0.01")) == Decimal(10)


@pytest.mark.parametrize(("decimals", "step"), [(0, "1"), (2, "0.01"), (8, "0.00000001"), (-1, "10")])
def test_step_of_a_number_of_decimals(decimals: int, step: str) -> None:
    assert step_of(decimals) == Decimal(step)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("25", "25"),
        ("25.00", "25"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("1E-8", "0.00000001"),
        ("0.10", "0.1"),
        ("-0.50", "-0.5"),
        ("0E-10", "0"),
        ("-0.00", "0"),
    ],
)
def test_plain_text_has_no_exponent_no_trailing_zeros_and_no_minus_zero(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text
