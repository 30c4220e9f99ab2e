"""Screens on listings: the race board, what was missed, and the story of one listing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from signalbox.cli.output import BAD, FAINT, GOOD, NOTHING, WARN, cell, latency, local_time
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.control.listing_boards import MissedBoard, MissedListing, MissSum, RaceBoard, SourceResult
from signalbox.control.listing_stories import ListingEvent, ListingStory
from signalbox.domain.listing_records import MARKS_MIN, ListingOutcome
from signalbox.domain.listings import Eligibility
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Mode
from signalbox.domain.signals import DetectionSource
from signalbox.ledger.queries.listing_records import RecordRow, ScheduleRow

_SOURCE_WORDS = {
    DetectionSource.CALENDAR: "calendar",
    DetectionSource.TICKER_DIFF: "ticker",
    DetectionSource.WEBSOCKET: "websocket",
    DetectionSource.TEST_INJECTION: "injected",
}


def why(code: str | None, limit: str | None) -> str:
    """Why a listing was missed, in a word: the guardrail's name where one stopped it, else the code."""
    return limit or code or NOTHING


def outcome_cell(outcome: ListingOutcome | None, code: str | None, limit: str | None, mode: Mode | None = None) -> Text:
    """What became of a listing, in two words."""
    match outcome:
        case ListingOutcome.TRADED:
            return Text("bought" if mode is not Mode.SIMULATION else "bought (simulated)", style=GOOD)
        case ListingOutcome.MISSED:
            return Text(why(code, limit), style=WARN)
        case ListingOutcome.PENDING:
            return Text("pending", style=FAINT)
        case None:
            return Text(NOTHING, style=FAINT)


_RACE = "Race of the sources: how far behind the first one"
_NO_RACE = (
    "No running bot has seen a listing: 'signalbox run start' starts one, 'signalbox run status' shows what runs."
)
_TESTS = "Injected test listings"
_NO_TESTS = "No test listing was taken up: a run has to be active when one is injected."


def race_screen(board: RaceBoard, *, tests: bool) -> Group:
    """Listing by listing: how far behind the first source each was, what we made of it, and the sum."""
    sources = [source for source in _SOURCE_WORDS if any(_lag(row, source) is not None for row in board.listings)]
    columns = [
        Column("symbol"),
        times("seen"),
        *(Column(_SOURCE_WORDS[source]) for source in sources),
        Column("we,\non the wire"),
        prose("why not", extra=True),
        Column("account", extra=True),
    ]
    rows = [
        [
            row.symbol,
            row.first_seen_at,
            *(_lag_cell(_lag(row, source)) for source in sources),
            _we(row),
            None if row.reason_code is None else why(row.reason_code, row.reason_limit),
            row.account,
        ]
        for row in board.listings
    ]
    title, empty = (_TESTS, _NO_TESTS) if tests else (_RACE, _NO_RACE)
    made = table(title, columns, rows, empty=empty)
    return Group(made, *([] if tests or not board.sources else [_sources(board)]))


def _lag_cell(lag_ms: Decimal | None) -> Text:
    if lag_ms is None:
        return Text(NOTHING, style=FAINT)
    return Text(f"+{duration(lag_ms)}") if lag_ms else Text("first", style=GOOD)


def duration(milliseconds: Decimal) -> str:
    """A short time in the unit that fits."""
    if milliseconds < 1000:
        return f"{milliseconds:.1f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _we(row: RecordRow) -> Text:
    """What we made of it, and how fast the first order was on the wire."""
    words = {
        ListingOutcome.TRADED: ("bought" if row.mode is not Mode.SIMULATION else "paper", GOOD),
        ListingOutcome.MISSED: ("missed", WARN),
        ListingOutcome.PENDING: ("pending", FAINT),
    }
    word = Text(*words[row.outcome])
    if row.latency_ms is None:
        return word
    return Text.assemble(word, " " if row.due_at is None else " due +", latency(row.latency_ms))


def _lag(row: RecordRow, source: DetectionSource) -> Decimal | None:
    return next((sighting.lag_ms for sighting in row.sightings if sighting.source is source), None)


def _sources(board: RaceBoard) -> Group:
    count = len(board.listings)
    columns = [
        Column("source"),
        decimals("won"),
        decimals("seen"),
        Column("won share"),
        decimals("median lag ms", 1),
    ]
    rows = [_source_cells(result, count) for result in board.sources]
    made = table(f"Over {count} listing{'s' if count > 1 else ''}", columns, rows, empty="")
    medians = ((board.median_order_ms, "detection"), (board.median_due_ms, "they were due"))
    told = [
        Text.assemble(latency(median_ms), f" after {since}") for median_ms, since in medians if median_ms is not None
    ]
    if not told:
        return Group(made)
    return Group(made, Text.assemble("Our orders, in the median: on the wire ", Text(", ").join(told), "."))


def _source_cells(result: SourceResult, count: int) -> list[object]:
    share = f"{100 * result.won / count:.0f} %"
    return [_SOURCE_WORDS[result.source], result.won, result.seen, share, result.median_lag_ms]


def missed_screen(board: MissedBoard) -> Group:
    """Missed listings with their reason and what they would have brought, and the sum of it."""
    columns = [
        Column("symbol"),
        times("seen", extra=True),
        prose("why"),
        decimals("cost", 2),
        decimals("at", extra=True),
        *(decimals(f"{minutes} min", 2) for minutes in MARKS_MIN),
        Column("in words", wrap=True, extra=True),
    ]
    rows = [_missed_cells(one) for one in board.listings]
    empty = "Nothing was missed that anybody knows of. A run has to watch: 'signalbox run status'."
    made = table("Missed: the cost of each, and its worth after 1, 5 and 15 minutes", columns, rows, empty=empty)
    if not rows:
        return Group(made)
    counted = " · ".join(f"{name} {count}" for name, count in board.reasons.items())
    return Group(
        made,
        Text(f"Why: {counted}"),
        *(_sum_line(one) for one in board.sums),
        Text("The whole story of one: signalbox listings show SYMBOL", style=FAINT),
    )


def _missed_cells(one: MissedListing) -> list[object]:
    row = one.record
    worth = {mark.minutes: mark.worth for mark in one.worth}
    return [
        row.symbol,
        row.first_seen_at,
        Text(why(row.reason_code, row.reason_limit), style=WARN),
        row.book_spent,
        one.average_price,
        *(worth.get(minutes) for minutes in MARKS_MIN),
        row.reason,
    ]


def _sum_line(one: MissSum) -> Text:
    gained = one.worth - one.cost
    share = f" ({gained / one.cost:+.1%})" if one.cost > ZERO else ""
    text = (
        f"After {one.minutes} min: {one.listings} of them would have cost {one.cost:.2f} and been worth {one.worth:.2f}"
    )
    return Text.assemble(text, ", ", (f"{gained:+.2f}{share}", GOOD if gained >= ZERO else BAD))


def story_screen(story: ListingStory) -> Group:
    """One listing from its announcement to its end."""
    parts: list[RenderableType] = [_headline(story)]
    if story.schedule is not None:
        parts += _judged(story.schedule)
    parts += [Text(), _events(story), *_hindsight(story), *_orders(story)]
    if story.earlier:
        others = ", ".join(f"{row.account} {local_time(row.first_seen_at)} {row.outcome}" for row in story.earlier[:5])
        parts.append(Text(f"also: {others}", style=FAINT))
    ids = f"listing {story.record.listing_id}"
    if story.record.decision_id is not None:
        ids += f"  decision {story.record.decision_id}"
    return Group(*parts, Text(ids, style=FAINT))


def _headline(story: ListingStory) -> Text:
    row = story.record
    text = Text.assemble((row.symbol, "bold"), f"  on {row.account}, listed {local_time(row.listed_at)}  ")
    if row.is_test:
        text.append("injected test  ", style=FAINT)
    text.append_text(outcome_cell(row.outcome, row.reason_code, row.reason_limit, row.mode))
    if row.reason is not None:
        text.append(f"\n{row.reason}")
    return text


_VERDICT_STYLES = {Eligibility.ELIGIBLE: GOOD, Eligibility.INELIGIBLE: BAD, Eligibility.UNCERTAIN: WARN}


def _judged(schedule: ScheduleRow) -> list[RenderableType]:
    if schedule.verdict is None:
        return []
    messages: dict[str, list[str]] = {}
    for reason in schedule.reasons:
        if reason.ok is not True:
            messages.setdefault(reason.message, []).append(reason.name)
    words = "; ".join(f"{', '.join(names)}: {message}" for message, names in messages.items())
    return [
        Text.assemble(
            "Judged before the opening: ",
            (schedule.verdict, _VERDICT_STYLES[schedule.verdict]),
            f" ({words})" if words else "",
        )
    ]


_STYLES = {
    "seen": "cyan",
    "decided": "cyan",
    "sent": WARN,
    "bought": GOOD,
    "refused": BAD,
    "sold": GOOD,
}


def _events(story: ListingStory) -> Table | Text:
    start = story.record.first_seen_at
    columns = [times("time"), Column("after first\nsight"), Column("what"), prose("in words")]
    rows = [[e.at, _gap(e, start), Text(e.kind, style=_STYLES.get(e.kind, "")), e.text] for e in story.events]
    return table("", columns, rows, empty="")


def _gap(event: ListingEvent, start: datetime) -> str | None:
    if event.at is None:
        return None
    gap = event.at - start
    sign = "-" if gap < timedelta(0) else "+"
    return sign + duration(Decimal(abs(gap) // timedelta(microseconds=1)) / 1000)


def _hindsight(story: ListingStory) -> list[Text]:
    row, one = story.record, story.hindsight
    if row.book_read_at is None or row.book_spent is None or row.quote_amount is None:
        return []
    text = f"First book, {_delay(row)}: best ask {row.best_ask or ZERO:f}; {row.quote_amount:f} would have "
    if one.average_price is None:
        return [Text(text + "bought nothing there.")]
    text += f"bought {row.book_quantity or ZERO:f} for {row.book_spent:.2f}, {one.average_price:.8g} each."
    marks = Text("Worth at the best bid:")
    for mark in one.worth:
        gained = mark.worth - row.book_spent
        marks.append(f"  {mark.minutes} min {mark.worth:.2f} ")
        marks.append(f"{gained / row.book_spent:+.1%}", style=GOOD if gained >= ZERO else BAD)
    return [Text(text), marks] if one.worth else [Text(text)]


def _delay(row: RecordRow) -> str:
    seconds = ((row.book_read_at or row.first_seen_at) - row.first_seen_at).total_seconds()
    return f"{seconds:.1f} s after it was first seen" if seconds < 120 else f"{seconds / 60:.0f} min after"


_MOST_ORDERS = 6


def _orders(story: ListingStory) -> Sequence[RenderableType]:
    if not story.orders:
        return []
    columns = [
        Column("order"),
        Column("side"),
        Column("type"),
        Column("mode"),
        Column("status"),
        decimals("amount", 4),
        Column("latency", extra=True),
        prose("answer", extra=True),
    ]
    rows = [
        [
            str(order.id)[-8:],
            order.side,
            order.order_type,
            order.mode,
            cell(order.status),
            order.executed_quote,
            latency(order.latency_ms),
            " ".join(part for part in (order.error_code, order.error_reason) if part) or None,
        ]
        for order in story.orders[-_MOST_ORDERS:]
    ]
    earlier = len(story.orders) - len(rows)
    title = f"Orders{f', without {earlier} earlier ones' if earlier else ''}: signalbox trades show ID"
    return [Text(), table(title, columns, rows, empty="")]
