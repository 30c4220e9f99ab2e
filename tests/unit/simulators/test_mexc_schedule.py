"""The seeded schedule of listings."""

from signalbox.simulators.market import Seeds
from signalbox.simulators.mexc.options import ScheduleOptions
from signalbox.simulators.mexc.schedule import seeded_listings


def test_schedule_has_every_kind_of_listing() -> None:
    """Announced, moved, cancelled, surprising, late and never tradable ones, with distinct symbols."""
    listings = seeded_listings(Seeds(11), ScheduleOptions(count=200))
    assert len({listing.symbol for listing in listings}) == 200
    cancelled = [listing for listing in listings if any(new is None for _, new in listing.moves)]
    moved = [listing for listing in listings if any(new is not None for _, new in listing.moves)]
    surprises = [listing for listing in listings if not listing.announced]
    late = [listing for listing in listings if listing.late_ms]
    closed = [listing for listing in listings if not listing.api_tradable]
    assert all(len(kind) >= 3 for kind in (cancelled, moved, surprises, late, closed))
    assert not any(listing.moves for listing in surprises)
    assert all(0 < at < listing.open_in_ms for listing in cancelled + moved for at, _ in listing.moves)


def test_probabilities_of_zero_give_a_plain_schedule() -> None:
    """All announced, none moved."""
    options = ScheduleOptions(
        count=30,
        surprise_percent=0,
        move_percent=0,
        cancel_percent=0,
        late_percent=0,
        never_tradable_percent=0,
        hidden_percent=0,
    )
    for listing in seeded_listings(Seeds(3), options):
        assert listing.announced
        assert listing.visible_before_open
        assert listing.api_tradable
        assert (listing.late_ms, listing.moves) == (0, ())
