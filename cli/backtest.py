"""`minutehand backtest`: models compared on a file of events, without a lake and without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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

MINUTES = 20.0
COLUMNS = ("NDCG@10", "HR@10", "MRR", "coverage", "seconds", "MiB")
FIGURES = ("ndcg_at_10", "hr_at_10", "mrr", "coverage_at_10", "seconds", "peak_mib")
SERVED = "ndcg_at_10_served"


def backtest(
    events: EventFiles,
    items: ItemFiles = None,
    protocol: Annotated[
        str, typer.Option("--protocol", help="How events are split for training and test: temporal or leave-one-out")
    ] = "temporal",
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            help="Time budget in minutes for each trained model: encoding, training and scoring together",
            show_default=f"{MINUTES:g}",
        ),
    ] = None,
    models: Annotated[
        str,
        typer.Option(
            "--models", help="Models to compare, separated by commas: minutehand, id_only, most_popular, recent_popular, item_knn"
        ),
    ] = "minutehand,most_popular,recent_popular,item_knn",
    out: Annotated[Path | None, typer.Option("--out", help="Write every figure to this JSON file", show_default=False)] = None,
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
    order: Annotated[
        str | None,
        typer.Option(
            "--order", metavar="COLUMN", help="Column that numbers each user's events, for leave-one-out; default: pos, if the file has it"
        ),
    ] = None,
    without_time: Annotated[
        bool,
        typer.Option(
            "--without-time", help="Give the models only the order of events, without times, as most papers do; for leave-one-out"
        ),
    ] = False,
    map_items: MapItems = None,
    split: Split = None,
    as_json: ResultAsJson = False,
) -> None:
    """Compare models on held-out events of a file; needs no lake and no server."""
    from cli.environment import set_defaults
    from settings import load

    settings = load().with_minutes(MINUTES if minutes is None else minutes)
    set_defaults(settings)  # creates no home: only --out is written

    from tasks.offline.backtest import BacktestSettings, check_choice
    from tasks.offline.backtest import backtest as run
    from tasks.offline.files import Files
    from tasks.offline.results import check_writable, save
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
    files = Files(events, items, mapping, mapping_of(map_items, split=split, option="--map-items"), order, without_time)
    recipe = settings_of(BacktestSettings, settings, seed)
    names = [name.strip() for name in models.split(",") if name.strip()]
    check_choice(protocol, names)
    _warn_unused_budget(minutes, names)
    if out is not None:
        check_writable(out)  # a backtest takes long, so an unwritable path fails before it starts
    result = run(files, protocol, names, recipe, _say, _say_epoch, progress=not as_json)
    try:
        if out is not None:
            save(result, out)
    finally:  # print the figures even if the file cannot be written
        if as_json:
            say_json(result)
        else:
            _print(result)
    if out is not None and not as_json:
        say(f"every figure, the settings and the versions: {out}")


def _warn_unused_budget(minutes: float | None, models: list[str]) -> None:
    """Warn if --minutes is given but no chosen model is trained."""
    from tasks.offline.backtest import LEARNERS, SHORT

    if minutes is not None and not {SHORT.get(name, name) for name in models} & set(LEARNERS):
        say(f"--minutes {minutes:g} makes no difference: none of {','.join(models)} is trained ({', '.join(LEARNERS)} are)", err=True)


def _say(model: str) -> None:
    say(f"{model} ...", err=True)


def _say_epoch(epoch: int, loss: float, validation: float | None, seconds: float) -> None:
    judged = "" if validation is None else f", validation NDCG@10 {validation:.4f}"
    say(f"  epoch {epoch}: loss {loss:.4f}{judged}, {seconds:.0f} s", err=True)


def _print(result: dict[str, Any]) -> None:
    from cli.output import show, tell_ingest

    data, models = result["data"], result["models"]
    tell_ingest(data["ingest"])
    say(
        f"{data['n_events']:,} events of {data['n_users']:,} users on {data['n_items']:,} items, {data['since']} to {data['until']}; "
        f"{data['n_train']:,} to learn from, {data['n_validation']:,} to choose by, {data['n_test']:,} to test on"
    )
    metric = SERVED if all(SERVED in found for found in models.values()) else "ndcg_at_10"
    named, how = ("NDCG@10 served", " (lists a minute old)") if metric == SERVED else ("NDCG@10", "")
    show(_by_segment(models, metric, data["n_test"]), as_json=False, title=f"{result['protocol']}: {named}{how}, full catalogue")
    known = ", with the event before known" if metric == SERVED else ""
    rows = [{"model": name, **dict(zip(COLUMNS, (found[figure] for figure in FIGURES), strict=True))} for name, found in models.items()]
    show(rows, as_json=False, title=f"All test events{known}")
    if result["segment_differences"]:
        title = f"{named}: minutehand less the best baseline of each segment"
        show(_segment_differences(result["segment_differences"]), as_json=False, title=title)
    if result["differences"]:
        gains = {name: _gain(found, metric) for name, found in result["differences"].items()}
        show([{"model": name, **gain} for name, gain in gains.items()], as_json=False, title=f"{named}: minutehand less ...")
        best = next((name for name, found in result["differences"].items() if found["is_best_baseline"]), None)
        if best is not None:
            gain = gains[best]
            say(
                f"against {best}, the best baseline: {gain['difference']:+.4f} "
                f"(95 % interval {gain['low']:+.4f} to {gain['high']:+.4f}, resampling users)"
            )


def _by_segment(models: dict[str, Any], metric: str, n_test: int) -> list[dict[str, Any]]:
    """A row a model: the metric over all test events and in each segment that has any."""
    counts = {segment: found["n_events"] for segment, found in next(iter(models.values()))["segments"].items()}
    titles = {segment: f"{segment.replace('_', ' ')} ({n:,})" for segment, n in counts.items() if n}
    return [
        {
            "model": name,
            f"all ({n_test:,})": found[metric],
            **{title: found["segments"][segment][metric] for segment, title in titles.items()},
        }
        for name, found in models.items()
    ]


def _segment_differences(segments: dict[str, Any]) -> list[dict[str, Any]]:
    columns = {"events": "n_events", "best baseline": "best_baseline", "gain": "difference", "low": "low", "high": "high"}
    named = {segment.replace("_", " "): found for segment, found in segments.items()}
    return [{"segment": name, **{title: found[key] for title, key in columns.items()}} for name, found in named.items()]


def _gain(found: dict[str, Any], metric: str) -> dict[str, float]:
    """How minutehand compares with one model by the metric."""
    if metric == SERVED:
        return {key: found[SERVED][key] for key in ("difference", "low", "high")}
    return {"difference": found["ndcg_at_10"], "low": found["low"], "high": found["high"]}
