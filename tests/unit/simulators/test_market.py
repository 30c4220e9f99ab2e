"""The order book and the seeded price process."""

from decimal import Decimal

from signalbox.simulators.market import OrderBook, PriceProcess, Resting, Seeds, Shape, Side, ladder

D = Decimal


def order(side: Side, price: str, quantity: str, owner: str | None = "us") -> Resting[str]:
    """A resting order."""
    return Resting(side, D(price), D(quantity), owner)


def book_with(*orders: Resting[str]) -> OrderBook[str]:
    """A book with these orders, in this order."""
    book: OrderBook[str] = OrderBook()
    for resting in orders:
        book.rest(resting)
    return book


def walk(process: PriceProcess, steps: int) -> list[Decimal]:
    """The prices of the next steps."""
    prices = []
    for _ in range(steps):
        process.advance()
        prices.append(process.price)
    return prices


def test_best_price_first_then_oldest_first() -> None:
    """Price-time priority; the maker's price counts; never worse than the limit."""
    first, second = order(Side.SELL, "1.1", "5", "first"), order(Side.SELL, "1.1", "5", "second")
    book = book_with(order(Side.SELL, "1.2", "5", "dear"), first, second)
    matches = book.take(Side.BUY, D(7), D("1.15"))
    assert [(match.maker.owner, match.price, match.quantity) for match in matches] == [
        ("first", D("1.1"), D(5)),
        ("second", D("1.1"), D(2)),
    ]
    assert book.take(Side.BUY, D(10), D("1.15"))[0].quantity == D(3)
    assert book.take(Side.BUY, D(10), D("1.15")) == []
    assert book.best(Side.SELL) == (D("1.2"), D(5))


def test_selling_takes_the_highest_bid() -> None:
    """Bids are best when high."""
    book = book_with(order(Side.BUY, "0.9", "1", "low"), order(Side.BUY, "1.0", "1", "high"))
    assert [match.maker.owner for match in book.take(Side.SELL, D(2), D("0.95"))] == ["high"]
    assert book.levels(Side.BUY, 5) == [(D("0.9"), D(1))]


def test_remove_only_once() -> None:
    """A removed order is gone, its level too."""
    resting = order(Side.BUY, "1", "1")
    book = book_with(resting)
    assert book.remove(resting)
    assert not book.remove(resting)
    assert book.best(Side.BUY) is None


def test_house_quotes_run_into_resting_orders() -> None:
    """New quotes of the house fill the orders they cross; the house's old quotes are gone."""
    ours = order(Side.BUY, "1.00", "3")
    book = book_with(ours, order(Side.SELL, "1.05", "9", None))
    matches = book.quote_house([Resting(Side.SELL, D("0.98"), D(2)), Resting(Side.SELL, D("1.02"), D(4))])
    assert [(match.maker.owner, match.price, match.quantity) for match in matches] == [("us", D("1.00"), D(2))]
    assert ours.remaining == D(1)
    assert book.levels(Side.SELL, 5) == [(D("1.02"), D(4))]


def test_available_and_cross() -> None:
    """What a taker could get at a limit."""
    book = book_with(order(Side.SELL, "1.1", "5"), order(Side.SELL, "1.2", "5"))
    assert book.available(Side.BUY, D("1.15")) == D(5)
    assert book.available(Side.BUY, D("1.2")) == D(10)
    assert book.would_cross(Side.BUY, D("1.1"))
    assert not book.would_cross(Side.BUY, D("1.09"))


def test_ladder_surrounds_the_price() -> None:
    """Quotes stand on ticks and lots, bids below and asks above."""
    quotes: list[Resting[str]] = ladder(
        Seeds(1).source("x"), D("0.5"), tick=D("0.001"), lot=D("0.1"), depth=5, spread_ppm=4000, notional=D(100)
    )
    assert {quote.side for quote in quotes} == {Side.BUY, Side.SELL}
    for quote in quotes:
        assert (quote.price < D("0.5")) is (quote.side is Side.BUY)
        assert quote.price % D("0.001") == 0
        assert quote.remaining % D("0.1") == 0
        assert quote.remaining > 0


def test_ladder_at_the_smallest_price_has_no_bid_at_zero() -> None:
    """At one tick there is nothing below."""
    quotes: list[Resting[str]] = ladder(
        Seeds(1).source("x"), D("0.001"), tick=D("0.001"), lot=D(1), depth=3, spread_ppm=4000, notional=D(100)
    )
    assert all(quote.price > 0 for quote in quotes)


def test_same_seed_same_path() -> None:
    """A path is a function of seed and purpose."""

    def path(seed: int, purpose: str) -> list[Decimal]:
        process = PriceProcess(Seeds(seed).source(purpose), D("0.5"), step_ms=250, noise_ppm=4000, shape=Shape())
        return walk(process, 50)

    assert path(1, "a") == path(1, "a")
    assert path(1, "a") != path(2, "a")
    assert path(1, "a") != path(1, "b")


def test_listing_spikes_and_decays() -> None:
    """Without noise: up to the peak, then down towards the floor."""
    shape = Shape(peak_ppm=3_000_000, floor_ppm=500_000, rise_ms=10_000, decay_ms=60_000)
    process = PriceProcess(Seeds(1).source("x"), D(1), step_ms=1_000, noise_ppm=0, shape=shape)
    path = walk(process, 600)
    assert max(path) == path[9] == D(3)
    assert path[-1] < D("0.51")


def test_moved_price_holds() -> None:
    """A moved market stays where it was put."""
    process = PriceProcess(Seeds(1).source("x"), D(1), step_ms=250, noise_ppm=5_000, shape=Shape())
    process.advance()
    process.move_to(D("1.37"), hold=True)
    assert set(walk(process, 20)) == {D("1.37")}
