"""The `minutehand` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli import (
    backtest,
    diff,
    doctor,
    erase,
    erasures,
    experiment,
    export_person,
    graph,
    health,
    ingest,
    interests,
    keys,
    minute,
    models,
    move,
    nightly,
    opt_out,
    outcomes,
    promote,
    pseudonyms,
    recommend,
    replay,
    retention,
    scenarios,
    serve,
    similar,
    simulate,
    sql,
    status,
    what_was,
    why,
)
from cli.options import Command
from cli.output import say, traceback_shown
from cli.up import command as up
from models.errors import UserError


def print_version(is_wanted: bool) -> None:
    """Print the installed version and end."""
    from importlib.metadata import PackageNotFoundError, version

    if is_wanted:
        try:
            say(f"minutehand {version('minutehand')}")
        except PackageNotFoundError as error:
            raise UserError("minutehand is not installed as a package, so it has no version; install it: make setup") from error
        raise typer.Exit


app = typer.Typer(
    name="minutehand",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Recommendations that are retrained every night and updated every minute."""


app.add_typer(ingest.app, name="ingest")
app.add_typer(keys.app, name="keys")
app.add_typer(experiment.app, name="experiment")
app.add_typer(pseudonyms.app, name="pseudonyms")
for command in (
    *(up.up, doctor.doctor, simulate.simulate, nightly.nightly, minute.minute, backtest.backtest, replay.replay),
    *(recommend.recommend, scenarios.scenarios, serve.serve, why.why, interests.interests, similar.similar, graph.graph),
    *(
        status.status,
        models.models,
        diff.diff,
        promote.promote,
        promote.rollback,
        health.health,
        sql.sql,
        retention.retention,
        move.move,
        what_was.what_was,
        outcomes.outcomes,
        erase.erase,
        opt_out.opt_out,
        opt_out.opt_in,
        export_person.export_person,
    ),
):
    app.command(cls=Command)(command)


app.command("erasures", cls=Command)(erasures.list_erasures)


def main() -> None:
    """Run the command line; an error that the user can fix goes to stderr as one message."""
    sys.excepthook = traceback_shown
    try:
        app()
    except UserError as error:
        say(f"error: {error}", err=True)
        sys.exit(1)
