"""The live view: what happened last, and every number, stay readable however small the terminal is."""

from typing import Any

import pytest
from rich.console import Console
from tests.unit.control.test_stories import LATER, ms, position, told, trade

from signalbox.cli.demo_view import DemoScreen, frame
from signalbox.control.runs import Overview
from signalbox.domain.orders import Purpose, Side
from signalbox.ledger.queries.status import StatusRow

QUIET: dict[str, Any] = dict.fromkeys(StatusRow.__struct_fields__)


def lines(width: int, height: int) -> list[str]:
    """A frame with one listing that was bought and sold."""
    sale = trade(purpose=Purpose.EXIT, side=Side.SELL, completed_at=ms(5_000))
    screen = DemoScreen(
        at=LATER,
        exchange="http://127.0.0.1:41627",
        overview=Overview(
            at=LATER, system=StatusRow(**(QUIET | {"kill_switch": False, "mexc_connected": True})), health=[], runs=[]
        ),
        upcoming=[],
        stories=[told(exits=[sale], position=position(status="closed", closed_at=ms(5_000)))],
        audit=[],
    )
    console = Console(width=width, height=height, force_terminal=False, color_system=None)
    with console.capture() as captured:
        console.print(frame(screen, width=width, height=height), height=height)
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 34), (200, 50)])
def test_the_latest_steps_and_every_number_are_whole(width: int, height: int) -> None:
    shown = lines(width, height)
    assert len(shown) == height
    assert max(map(len, shown)) <= width
    assert shown[0].startswith(" SIMULATED EXCHANGE ")
    text = "\n".join(shown)
    for station in ("SENT", "BOUGHT", "SOLD", "RESULT"):
        assert station in text
    assert "to the wire" in text
    assert "95.00" in text
    assert "…" not in text


def test_a_step_that_lost_its_beginning_is_not_shown() -> None:
    """At 80 columns not every step has room: the oldest go, each as a whole."""
    shown = lines(80, 24)
    now = shown.index(next(line for line in shown if " now " in line))
    assert "NEWUSDT" in shown[now + 1]
    assert shown[now + 2].lstrip("│ ").split()[0].isupper()
