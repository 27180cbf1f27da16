"""`minutehand models`: the model versions."""

from __future__ import annotations

from dataclasses import asdict
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.lake import lake_of, registry_of
from cli.options import AsJson
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.registry.overview import Model

COLUMNS = 80
SAID = {"passed": "passed the gate as a challenger"}


def models(
    version: Annotated[str | None, typer.Argument(help="A version, for all that is known of it", show_default=False)] = None,
    with_minutes: Annotated[bool, typer.Option("--all", help="Also the versions of minutes that are not live")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the model versions: aliases, age, snapshot, held-out figures, and what the gate said."""
    from datetime import UTC, datetime

    from cli.environment import set_defaults
    from models.errors import UserError
    from settings import load

    settings = load()
    lake_of(settings)  # refuses where there is no home
    set_defaults(settings)
    from tasks.registry import overview

    registry, clock = registry_of(settings), datetime.now(UTC).replace(tzinfo=None)
    if version is not None:
        _tell(overview.find_model(registry, version), clock, as_json=as_json)
        return
    found = overview.models(registry, with_minutes=with_minutes)
    if as_json:
        say_json([asdict(each) for each in found])
        return
    if not found:
        raise UserError("no model is registered yet; minutehand nightly trains one")
    show([_row(each, clock) for each in found], as_json=False)
    for each in found:
        if each.changes:
            say(_wrapped(f"version {each.version} has {_changed(each)}"))
    newest = next((each for each in found if each.gate), None)
    if newest is not None:
        say(_wrapped(f"version {newest.version} {SAID.get(str(newest.gate), f'was {newest.gate}')}: {newest.reason}"))
    say("more of one version: minutehand models VERSION; two of them: minutehand diff")


def _row(each: Model, clock: datetime) -> dict[str, Any]:
    lead = each.figures.get("ndcg_at_10_served", each.figures.get("ndcg_at_10"))
    figures = {"ndcg": lead, "hit": each.figures.get("hr_at_10"), "items": each.figures.get("coverage_at_10")}
    return {
        "version": int(each.version),
        "alias": ", ".join(each.aliases),
        "age": _age(each.made_at, clock),
        "snapshot": each.snapshot,
        **{name: "" if value is None else f"{value:.4f}" for name, value in figures.items()},
        "gate": "damaged" if each.is_damaged else each.gate or each.cadence,
    }


def _age(moment: datetime, clock: datetime) -> str:
    """The age in the largest unit that fits, in few letters."""
    minutes = max(int((clock - moment).total_seconds() // 60), 0)
    unit, length = next(((unit, length) for unit, length in (("d", 1440), ("h", 60)) if minutes >= length), ("min", 1))
    return f"{minutes // length}{unit}"


def _tell(each: Model, clock: datetime, *, as_json: bool) -> None:
    """All that is known of one version."""
    if as_json:
        say_json(asdict(each))
        return
    facts = {
        "alias": ", ".join(each.aliases) or None,
        "made": f"{each.made_at:%Y-%m-%d %H:%M:%S} UTC, {_age(each.made_at, clock)} old",
        "by a": "night" if each.champion == each.version else f"minute, from version {each.champion}",
        "snapshot": each.snapshot,
        "MLflow run": each.mlflow_run_id,
        **{name.replace("_at_", "@").replace("_", " "): f"{value:.4f}" for name, value in each.figures.items()},
        "changed settings": _changed(each) if each.changes else None,
        "plan": each.plan,
        "gate": each.gate,
        **{f"gate: {name}": text for name, text in each.checks.items()},
    }
    say(f"version {each.version}")
    for name, value in facts.items():
        if value is not None:
            say(_wrapped(f"{name}: {value}"))
    if each.reason and not each.checks:
        say(_wrapped(f"reason: {each.reason}"))


def _changed(each: Model) -> str:
    return " ".join(f"{name}={value}" for name, value in each.changes.items())


def _wrapped(text: str) -> str:
    return fill(text, COLUMNS, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
