"""Symbol patterns: what the exchange may list must be nameable."""

import re
import string

from hypothesis import given
from hypothesis import strategies as st
from tests.property.domain.generators import quick
from tests.unit.domain.examples import configuration

from signalbox.domain.configuration import check_configuration, symbol_matches

symbols = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="," + string.ascii_lowercase),
    min_size=1,
    max_size=15,
)


@quick
@given(symbol=symbols, other=symbols)
def test_every_symbol_is_usable_as_an_exact_pair(symbol: str, other: str) -> None:
    check_configuration(configuration(symbols=(symbol,)))
    assert symbol_matches(symbol, (symbol,)) == symbol
    if not {"*", "?"} & set(symbol):
        assert (symbol_matches(other, (symbol,)) is not None) == (other == symbol)


@quick
@given(pattern=st.text("AB*?[]!(-.^$\\", min_size=1, max_size=8), symbol=st.text("AB[]!(-.^$\\", max_size=8))
def test_a_pattern_matches_like_its_regular_expression(pattern: str, symbol: str) -> None:
    wanted = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    assert (symbol_matches(symbol, (pattern,)) is not None) == bool(re.fullmatch(wanted, symbol, re.DOTALL))
