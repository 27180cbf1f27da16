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
            help="Repeat the plan of an earlier night (epochs, loss, seed, threads) on today's data: version, MLflow run or plan.json",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Retrain the model from scratch, evaluate and register it, and publish a list for every user."""
    from cli.environment import prepare
    from models.errors import UserError

    if minutes is not None and plan is not None:
        raise UserError("--plan fixes the number of epochs, so --minutes has nothing to decide; leave one of them out")
    from cli.up.temporary import find_api
    from settings import load

    settings = load() if minutes is None else load().with_minutes(minutes)  # refuses before Prefect starts, which takes half a minute
    prepare(settings)
    demand_api = find_api(settings)

    from flows.nightly import nightly as flow  # imports prefect and torch, while the server starts

    demand_api()
    version = flow(minutes, plan)
    typer.echo(f"version {version} is live; next: minutehand status, minutehand recommend USER")
