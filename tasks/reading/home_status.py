"""The status of a home: contents of the lake, live model, its age and quality."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import duckdb

from models.config import REPEATS_ARE_COMMON
from models.text.language import language_warning
from tasks.lake import Lake, current_snapshot, statement
from tasks.reading.asking import TAKE_IN, TRAIN, Row, ask, asking

SERVED, NDCG = "ndcg_at_10_served", "ndcg_at_10"
N_TEXTS = 500
SEEN_ITEMS = "MINUTEHAND_EVALUATION__SEEN_ITEMS"
UNITS = (("year", 31_557_600), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def status(lake: Lake, now: datetime | None = None, ignored_types: Sequence[str] = (), encoder: str = "") -> list[Row]:
    """The status as rows of what and value: contents of the lake, live model, its age and quality, and events not yet processed.

    ignored_types: event types with weight 0; their events do not count as unprocessed. encoder: name of the encoder, for a warning
    about item texts in a language that it does not know.
    """
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    with asking(lake) as con:
        counts = ask(con, "count_lake")[0]
        live = next(iter(ask(con, "last_publication")), None)
        facts = {
            "events": counts["n_events"],
            "users": counts["n_users"],
            "items": counts["n_items"],
            "newest event happened": _when(counts["happened_at"], clock),
            "newest event arrived": _when(counts["arrived_at"], clock),
            "rejected rows": counts["n_rejected"],
            "embeddings": counts["n_embeddings"],
            "snapshot": current_snapshot(con),
            **(_live(con, live, clock) | _quality(con, live["champion"] or live["model_version"]) if live else {"live model": None}),
            **_progress(con, ignored_types),
            **_freshness(con, clock),
        }
        unknown = _text_warning(con, encoder) if counts["n_items"] else None
        if unknown:
            facts["item texts"] = unknown
        if not live:
            facts["next"] = TRAIN if counts["n_events"] else TAKE_IN
    return [{"what": what, "value": value} for what, value in facts.items()]


def text_warning(lake: Lake, encoder: str) -> str | None:
    """Advice about item texts in a language that the named encoder does not know; None if no such texts were found."""
    with asking(lake) as con:
        return _text_warning(con, encoder)


def freshness_by_hour(lake: Lake, hours: float = 24.0, now: datetime | None = None) -> list[Row]:
    """Delay between users' events and the lists that reflect them, from ops.freshness_by_hour, newest hour first."""
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    with asking(lake) as con:
        return ask(con, "freshness_by_hour", {"since": str(clock - timedelta(hours=hours))})


def age(moment: datetime, now: datetime) -> str:
    """The time since a moment in words, in the largest unit that fits."""
    seconds = (now - moment).total_seconds()
    unit, length = next(((unit, length) for unit, length in UNITS if abs(seconds) >= length), ("second", 1))
    n = int(abs(seconds) // length)
    words = f"{n} {unit}{'' if n == 1 else 's'}"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def _live(con: duckdb.DuckDBPyConnection, live: Row, clock: datetime) -> Row:
    return {
        "live model": f"version {live['model_version']}",
        "MLflow run": live["mlflow_run_id"],
        "snapshot of the lists": live["data_snapshot"],
        "published": _when(live["published_at"], clock),
        "users with a list": ask(con, "count_lists")[0]["n_users"],
        "lists changed": live["n_users_changed"],
        **_seen_items(live),
    }


def _text_warning(con: duckdb.DuckDBPyConnection, encoder: str) -> str | None:
    con.execute(statement("encoding/define_item_text"))
    return language_warning(encoder, [row["text"] for row in ask(con, "sample_texts", {"n": N_TEXTS})])


def _seen_items(live: Row) -> Row:
    """Whether lists show items again that their users have seen, and why; empty if the publication did not record it."""
    if live["hides_seen_items"] is None:
        return {}
    decision = "hidden" if live["hides_seen_items"] else "shown again"
    setting, share = live["seen_items_setting"], live["repeat_share"]
    if setting is not None:
        repeats = f"{share:.2%} of the training events are repeats"
        by_auto = f"{repeats}, and auto shows them from {REPEATS_ARE_COMMON:.0%} on"
        decision = f"{decision}: {by_auto if setting == 'auto' else f'{SEEN_ITEMS} was {setting}; {repeats}'}"
    return {"seen items": decision}


def _progress(con: duckdb.DuckDBPyConnection, ignored_types: Sequence[str]) -> Row:
    """The watermarks of lists and live model, and how many events are still missing in each; empty before the first publish."""
    marks = next(iter(ask(con, "watermarks")), None)
    if marks is None:
        return {}
    asked = {**marks, "until": current_snapshot(con), "ignored_types": "\n".join(ignored_types)}
    try:
        waiting = ask(con, "count_waiting", asked)[0]
    except duckdb.InvalidInputException as error:
        if "No snapshot found" not in str(error):
            raise
        gap = "but upkeep has deleted the snapshots after it; minutehand nightly trains a new model on all events"
        return {f"{what} up to snapshot": f"{marks[what]}, {gap}" for what in ("published", "learnt")}
    return {
        "published up to snapshot": f"{marks['published']}, {_missing(waiting['n_unpublished'], 'in the lists')}",
        "learnt up to snapshot": f"{marks['learnt']}, {_missing(waiting['n_unlearnt'], 'in the live model')}",
    }


def _missing(n_events: int, place: str) -> str:
    if not n_events:
        return f"all events are {place}"
    return f"{n_events:,} {'event is' if n_events == 1 else 'events are'} not yet {place}"


def _freshness(con: duckdb.DuckDBPyConnection, clock: datetime) -> Row:
    """Delay of the lists of the last hour, since the events arrived and since they happened; empty if no list followed an event."""
    waits = ask(con, "freshness", {"since": str(clock - timedelta(hours=1))})[0]

    def delays(since: str, n_users: int) -> str:
        figures = ", ".join(f"{name} {waits[f'{since}_{name}_s']:.0f} s" for name in ("p50", "p95", "max"))
        return f"{figures} ({n_users:,} {'user' if n_users == 1 else 'users'} in the last hour)"

    counts = {"arrived": waits["n_users"], "happened": waits["n_live_users"]}
    labels = {"arrived": "list delay after arrival", "happened": "list delay after event"}
    return {labels[since]: delays(since, n_users) for since, n_users in counts.items() if n_users}


def _quality(con: duckdb.DuckDBPyConnection, version: str) -> Row:
    """Hold-out quality of the nightly version behind the live model, and of the best baseline on the same events.

    If that night did not measure served lists, all figures are those with the previous event known.
    """
    asked = [SERVED, NDCG, f"{SERVED}_lift", f"{NDCG}_lift"]
    figures = {metric: ask(con, "quality", {"model_version": version, "metric": metric}) for metric in asked}
    own = {metric: next((row for row in rows if row["model_version"] == version), None) for metric, rows in figures.items()}
    decides = NDCG if own[SERVED] is None else SERVED
    best = next((row for row in figures[decides] if row["is_baseline"]), None)
    found = {
        "hold-out NDCG@10 served": _filled("{value:.4f}, from lists one minute old", own[SERVED]),
        "best baseline": _filled("{model} {value:.4f}", best),
        "gain over it": _filled("{value:+.4f} (95 %: {low:+.4f} to {high:+.4f})", own[f"{decides}_lift"]),
        "hold-out NDCG@10": _filled("{value:.4f}, with the previous event known", own[NDCG]),
    }
    return {what: figure for what, figure in found.items() if figure}


def _filled(template: str, row: Row | None) -> str | None:
    return None if row is None else template.format_map(row)


def _when(moment: datetime | None, clock: datetime) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC, {age(moment, clock)}" if moment else None
