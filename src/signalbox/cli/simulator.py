"""`signalbox simulator`."""

from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs

from signalbox.cli.errors import ExitCode
from signalbox.cli.groups import group
from signalbox.domain.errors import ConfigError
from signalbox.simulators.mexc.main import run
from signalbox.simulators.mexc.option_texts import fault_from_text, options_from_json, switched
from signalbox.simulators.mexc.options import BadOptions, ScheduleOptions, SimulatorOptions

app = group("Run a simulated exchange.")

PLAIN = SimulatorOptions(schedule=ScheduleOptions(count=20))
"""What runs without an options file: a listing every minute."""


@app.command()
def mexc(
    options: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Start from these; what is given besides replaces it."),
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0, the default, takes a free one.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same listings and prices.")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on, 127.0.0.1 by default.")] = None,
    listings: Annotated[int | None, typer.Option(min=0, help="How many listings the seeded schedule has: 20.")] = None,
    first_in: Annotated[int | None, typer.Option(min=0, help="Seconds until the first one: 20.")] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Seconds between them: 60.")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[:key=value,...]",
            help="A fault from the start on, such as error_before_accept:target=/api/v3/order,times=none; repeatable.",
        ),
    ] = None,
    switch: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A switch, such as market_orders_off=true; repeatable."),
    ] = None,
    exit_with_parent: Annotated[
        bool, typer.Option("--exit-with-parent", help="Stop when standard input ends.", hidden=True)
    ] = False,
) -> None:
    """Run a simulated MEXC spot exchange; prints one JSON line with its URLs and test credentials when ready."""
    chosen = PLAIN
    try:
        chosen = PLAIN if options is None else _read(options)
        chosen = structs.replace(
            chosen,
            switches=switched(chosen.switches, switch or []),
            faults=(*chosen.faults, *map(fault_from_text, fault or [])),
        )
        schedule = _given(count=listings, first_in_ms=_ms(first_in), every_ms=_ms(every))
        given = _given(seed=seed, host=host, port=port, exit_with_parent=exit_with_parent or None)
        chosen = structs.replace(chosen, schedule=structs.replace(chosen.schedule, **schedule), **given)
        run(chosen)
    except BadOptions as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        place = f"{chosen.host}:{chosen.port}"
        typer.echo(f"signalbox: cannot listen on {place}: {error.strerror or error}; choose another --port.", err=True)
        raise typer.Exit(ExitCode.UNAVAILABLE) from None


def _read(file: Path) -> SimulatorOptions:
    try:
        return options_from_json(file.read_bytes())
    except OSError as error:
        raise BadOptions(f"cannot read {file}: {error.strerror or error}") from error


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
