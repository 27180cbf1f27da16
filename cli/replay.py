"""`minutehand replay`: runs past events through the same code with a simulated clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import (
    Columns,
    EventFiles,
    EventsWhere,
    EventType,
    ItemFiles,
    Map,
    MapItems,
    NoQuotes,
    NullWords,
    ResultAsJson,
    Seed,
    Set,
    Split,
    TimeFormat,
    TimeZone,
    mapping_of,
    settings_of,
)
from cli.output import say, say_json
from models.errors import UserError, without_secrets

if TYPE_CHECKING:
    from settings import Settings
    from tasks.figures import Curves
    from tasks.registry.versions import Registry

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def replay(
    events: EventFiles,
    items: ItemFiles = None,
    since: Annotated[
        str, typer.Option("--from", help="Share of the events before the replay starts; the first night trains on them")
    ] = "70%",
    until: Annotated[str, typer.Option("--until", help="Share of the events at which the replay ends")] = "100%",
    step: Annotated[str, typer.Option("--step", help="Time between updates, such as 60s, 15m, 1h")] = "1h",
    night: Annotated[str, typer.Option("--night", help="Time between nights, each of which retrains in full")] = "1d",
    delay: Annotated[str, typer.Option("--delay", help="Age of a list when its user opens it, for policies that keep lists fresh")] = "60s",
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", help="Minutes of training in each night; MINUTEHAND_TRAIN__MINUTES if not given", show_default=False),
    ] = None,
    policies: Annotated[
        str | None,
        typer.Option(
            "--policies",
            help="Policies to compare, separated by commas. Default: never_updated, nightly_tables, nightly_fresh_lists, "
            "nightly_and_increments, recent_popular. Further ones: nightly_and_popularity, retrained_each_step",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write all figures to this JSON file, and the curves to a PNG of the same name", show_default=False),
    ] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Log the curves to the MLflow store of this home")] = False,
    seed: Seed = None,
    map_: Map = None,
    set_: Set = None,
    event_type: EventType = None,
    where: EventsWhere = None,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
    columns: Columns = None,
    no_quotes: NoQuotes = False,
    null_words_as_ids: NullWords = False,
    map_items: MapItems = None,
    split: Split = None,
    as_json: ResultAsJson = False,
) -> None:
    """Replay past events and compare update policies: what would each have recommended before it learnt the next events?"""
    from cli.environment import set_defaults
    from settings import load

    settings = load() if minutes is None else load().with_minutes(minutes)
    set_defaults(settings)

    from tasks.offline import replay as replays
    from tasks.offline.files import Files
    from tasks.offline.results import check_writable, picture_path
    from tasks.process import use_threads

    use_threads(settings.threads)
    mapping = mapping_of(
        map_,
        set_,
        event_type=event_type,
        where=where,
        time_format=time_format,
        time_zone=time_zone,
        columns_of_file=columns,
        no_quotes=no_quotes,
        null_words_as_ids=null_words_as_ids,
    )
    files = Files(events, items, mapping, mapping_of(map_items, split=split, option="--map-items"))
    names = replays.DEFAULT if policies is None else tuple(name.strip() for name in policies.split(",") if name.strip())
    course = replays.Course(
        share(since, "--from"), share(until, "--until"), span(step, "--step"), span(night, "--night"), span(delay, "--delay"), names
    )
    recipe = settings_of(replays.ReplaySettings, settings, seed)
    replays.check_course(course)
    plot = None
    if out is not None:  # a replay takes long, so an unwritable path fails before it starts
        check_writable(out)
        plot = picture_path(out)
        check_writable(plot)
    registry = _open_registry(settings) if mlflow else None  # before the events are read, for the same reason
    result, curves = replays.replay(files, course, recipe, _Progress(), progress=not as_json)
    try:
        if out is not None and plot is not None:
            _save(result, curves, out, plot)
    finally:  # print the figures even if the file or the store fails
        try:
            if registry is not None:
                _log(registry, settings, result, curves)
        finally:
            _show(result, as_json=as_json)
    if out is not None and not as_json:
        say(f"every figure, the settings and the versions: {out}; the curves: {plot}")


def _open_registry(settings: Settings) -> Registry:
    """The store of this home. UserError if neither the home nor another store exists: curves in a new home would be hard to find."""
    from tasks.registry.versions import open_registry

    if not settings.registry.tracking_uri and not settings.home.is_dir():
        raise UserError(
            f"--mlflow logs to the store of the home, and there is no minutehand home at {settings.home.resolve()}; "
            "name the home by MINUTEHAND_HOME, or leave --mlflow out"
        )
    return open_registry(
        settings.tracking_uri, settings.registry.model_name, settings.home.resolve() / "mlflow" / "artifacts", settings.registry.artifacts
    )


def _save(result: dict[str, Any], curves: Curves, out: Path, plot: Path) -> None:
    """The figures first, then the picture of them."""
    from tasks.figures import replay_curves
    from tasks.offline.results import save, whole

    save(result, out)
    with whole(plot) as unfinished:
        replay_curves(curves).savefig(unfinished, format="png", dpi=130)


def _log(registry: Registry, settings: Settings, result: dict[str, Any], curves: Curves) -> None:
    from tasks.registry.replay_run import log_replay

    say(f"in MLflow: {without_secrets(settings.mlflow_url)}{log_replay(registry, result, curves)}", err=True)


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(result)
    else:
        _print(result)


def share(text: str, option: str) -> float:
    """70% or 0.7 as a number from 0 to 1."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= value <= 1:
        raise UserError(f"{option} {text!r} is no share of the events; give one such as 70% or 0.7")
    return value


def span(text: str, option: str) -> int:
    """60s, 15m, 1h or 7d in seconds."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", text)
    if not found:
        raise UserError(f"{option} {text!r} is no length of time; give one such as 60s, 15m, 1h or 7d")
    return round(float(found[1]) * UNITS_S[found[2]])


class _Progress:
    """A line on stderr for each simulated day."""

    def __init__(self) -> None:
        self.day, self.n_events = "", 0

    def __call__(self, until: int, n_events: int) -> None:
        self.n_events += n_events
        day = f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d}"
        if day != self.day:
            say(f"  {day}: {self.n_events:,} events replayed", err=True)
            self.day = day


def _print(result: dict[str, Any]) -> None:
    from cli.output import show, tell_ingest

    data, policies = result["data"], result["policies"]
    tell_ingest(data["ingest"])
    say(
        f"{data['n_replayed']:,} events in {data['n_steps']:,} steps of {data['step_seconds']:,} s, "
        f"{data['replayed_from']} to {data['replayed_until']}; nights every {data['night_seconds']:,} s"
    )
    names = ("ndcg_at_10", "hr_at_10", "mrr", "seconds_per_step")
    show(
        [{"policy": name, **{key: found[key] for key in names}} for name, found in policies.items()], as_json=False, title="What came next"
    )
    segments = next(iter(policies.values()))["segments"]
    everything = {"segment": "all", "events": data["n_replayed"], **{name: found["ndcg_at_10"] for name, found in policies.items()}}
    by_segment = [
        {
            "segment": segment.replace("_", " "),
            "events": counted["n_events"],
            **{name: found["segments"][segment]["ndcg_at_10"] for name, found in policies.items()},
        }
        for segment, counted in segments.items()
        if counted["n_events"]
    ]
    show([everything, *by_segment], as_json=False, title="NDCG@10 by segment (warm: known to the last night)")
    if result["differences"]:
        columns = ("ndcg_at_10", "low", "high", "ratio")
        gains = [{"policy": name, **{key: found[key] for key in columns}} for name, found in result["differences"].items()]
        show(gains, as_json=False, title="NDCG@10 of nightly_and_increments less that of ... (95 % interval, resampling users)")
