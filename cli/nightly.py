"""`minutehand nightly`: the nightly flow, in this process."""

from __future__ import annotations

from typing import Annotated

import typer


def nightly(
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", help="Training budget in minutes; MINUTEHAND_TRAIN__MINUTES if not given", show_default=False),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan",
            metavar="RUN",
            help="Repeat the plan of an earlier night (epochs, loss, seed, workers) on today's data: version, MLflow run or plan.json",
            show_default=False,
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting for this night, such as model.dim=64; repeatable"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", help="Number of processes that train together; MINUTEHAND_TRAIN__WORKERS if not given", show_default=False
        ),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="challenger", help="Judge and register the version, but leave the live lists as they are", show_default=False
        ),
    ] = None,
) -> None:
    """Retrain the model from scratch, evaluate and register it, and publish a list for every user."""
    from cli.environment import prepare
    from models.errors import UserError

    if minutes is not None and plan is not None:
        raise UserError("--plan fixes the number of epochs, so --minutes has nothing to decide; leave one of them out")
    if role not in (None, "challenger"):
        raise UserError(f"--as {role}: a night can be asked for a challenger only, as the gate makes the champion; write --as challenger")
    from cli.up.temporary import find_api
    from settings import of_night

    settings = of_night(minutes, plan, changes or (), workers)  # refuses before Prefect starts, which takes half a minute
    prepare(settings)
    demand_api = find_api(settings)

    from flows.nightly import nightly as flow  # imports prefect and torch, while the server starts

    demand_api()
    version = flow(minutes, plan, changes, role is not None, workers)
    if role is None:
        typer.echo(f"version {version} is live; next: minutehand status, minutehand recommend USER")
    else:
        typer.echo(f"version {version} is still live; next: minutehand models, minutehand diff {version} CHALLENGER")
