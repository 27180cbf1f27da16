"""The `minutehand` command."""

from __future__ import annotations

import sys

import typer

from cli import backtest, doctor, ingest, minute, nightly, recommend, replay, similar, simulate, sql, status
from cli.options import Command
from cli.up import command as up
from models.errors import UserError

app = typer.Typer(
    name="minutehand",
    help="Recommendations that keep up with the minute hand.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(ingest.app, name="ingest")
for command in (
    *(up.up, doctor.doctor, simulate.simulate, nightly.nightly, minute.minute, backtest.backtest, replay.replay),
    *(recommend.recommend, similar.similar, status.status, sql.sql),
):
    app.command(cls=Command)(command)


def main() -> None:
    """Run the command line; what the user can mend goes to stderr as one message."""
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
