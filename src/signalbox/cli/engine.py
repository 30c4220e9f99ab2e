"""`signalbox engine`."""

from typing import Annotated

import typer

from signalbox.app.engine_process import run_engine
from signalbox.app.settings import load_settings

app = typer.Typer(add_completion=False)


@app.command()
def engine(
    exit_with_parent: Annotated[
        bool, typer.Option("--exit-with-parent", help="Stop when standard input ends.", hidden=True)
    ] = False,
) -> None:
    """Run the engine alone, in the foreground, until Ctrl-C or SIGTERM."""
    raise typer.Exit(run_engine(load_settings(), exit_with_parent=exit_with_parent))
