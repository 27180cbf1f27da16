"""What a minute costs, by the length of the history: python -m bench.minute [--histories 100000 1000000 ...].

For each history a home is made: events, a model of the newest 100,000 of them (one epoch, no text), lists for all users. A
longer history is one of more users: each has as many events.
Then, in a process of its own, one minute of new events, stage by stage; what Prefect and the start of the process cost is left out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from bench.publish import N_NEAR, random_lists
from bench.table import alone, keep
from models.config import EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.events import Catalog, Events
from models.results import Neighbours
from tasks.config import EVENT_WEIGHTS, PublishConfig
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot, reading, statement, writing
from tasks.minute import feed, pacing, steps
from tasks.night import learning
from tasks.night.dataset import Dataset
from tasks.process import peak_memory
from tasks.publish import minute, night, pointer, publication
from tasks.registry import day_run, increments, night_run, versions

N_MODEL_EVENTS = 100_000
MAX_EVENTS = RecommenderConfig().max_events
POPULAR = [f"item-{n}" for n in range(200)]
"""Taken to have moved, so that a minute makes as many lists anew as it may, whatever the history."""


def make_home(home: Path, n_history: int, n_users: int, n_items: int, n_new: int) -> None:
    """A home whose night is over and whose next minute has n_new events."""
    lake = locate(LakeConfig(), home)
    migrate(lake)
    with writing(lake) as con:
        con.execute("set threads = 1")
        con.execute(statement("bench/insert_history"), {"n_events": n_history, "n_users": n_users, "n_items": n_items})
    dataset = newest(lake, n_items)
    train = TrainConfig(max_epochs=1)
    learnt = learning.learn(dataset, RecommenderConfig(), train, EvaluationConfig(), 7)
    models = open_models(home)
    with night_run.start_night(models, "bench", {}, dataset.snapshot, None, dataset.describe()) as run:
        learning.complete(dataset, learnt, RecommenderConfig(), train, IncrementConfig(), 7, home / "checkpoint")
        version = night_run.register(run, home / "checkpoint", [], learning.example(dataset))
    versions.promote(models, version)
    generator = np.random.default_rng(0)
    near = Neighbours(generator.integers(0, n_items, (n_items, N_NEAR)), generator.random((n_items, N_NEAR), dtype=np.float32))
    users = [f"user-{n}" for n in range(n_users)]
    now = datetime.now(UTC).replace(tzinfo=None)
    made = publication.Provenance(version, run.run_id, "bench", dataset.snapshot, now)
    lists, anyone = random_lists(generator, users, n_items), random_lists(generator, ["*"], n_items)
    night.publish_night(lake, dataset.catalog.item_ids, lists, anyone, near, MAX_EVENTS, made, event_weights=EVENT_WEIGHTS)
    with writing(lake) as con:
        con.execute("set threads = 1")
        con.execute(statement("bench/insert_minute"), {"n_events": n_new, "n_users": n_users, "n_items": n_items})


def newest(lake: Lake, n_items: int) -> Dataset:
    """The newest events as a night would load them."""
    with reading(lake) as con:
        frame = con.execute(statement("bench/newest_events"), {"n_events": N_MODEL_EVENTS}).pl()
    user, n_events = frame["user_id"].rank("dense").to_numpy().astype(np.int64) - 1, len(frame)
    item = frame["item_id"].str.strip_prefix("item-").cast(int).to_numpy()
    ones = np.ones(n_events)
    events = Events.build(
        user, item, ones.astype(np.int64), frame["time_s"].to_numpy(), ones.astype(np.float32), n_items=n_items, n_kinds=2
    )
    catalog = Catalog(tuple(f"item-{n}" for n in range(n_items)), np.ones(n_items, bool))
    users = tuple(frame["user_id"].unique().sort())
    return Dataset(events, users, catalog, catalog.item_ids, ("other", "click"), "none", newest_snapshot(lake))


def open_models(home: Path) -> versions.Registry:
    """The registry of a home."""
    return versions.open_registry(f"sqlite:///{home / 'mlflow.db'}", "minutehand", home / "artifacts")


def run_minute(home: Path) -> dict[str, float]:
    """Seconds of each stage of a minute, as flows/minute.py does them."""
    models, seconds = open_models(home), dict[str, float]()  # a minute loads MLflow before it looks for work
    last = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[stage], last = now - last, now

    lake, increment, publish = locate(LakeConfig(), home), IncrementConfig(), PublishConfig()
    now = datetime.now(UTC).replace(tzinfo=None)
    work = feed.look_for_work(lake, EVENT_WEIGHTS, MAX_EVENTS, publish, now)
    assert work is not None
    marks, news = work.marks, work.news
    done("read")
    live, champion = increments.find_live(models, pointer.live_version(lake) or "")
    day = day_run.open_day(models, datetime.now(UTC).date(), champion.version)
    done("registry")
    state = steps.prepare(lake, live.checkpoint_folder, champion.checkpoint_folder, news, "none")
    done("prepare")
    scored = steps.score(state, increment)
    done("predict")
    learnt = steps.take_in(state, scored, increment, 7 + marks.learnt)
    done("learn")
    folder = home / "increment"
    version, after = increments.keep(day, learnt.verdict, partial(steps.save, learnt, folder), folder, live, marks, news.snapshot)
    done("register")
    moved = [*steps.moved(state, learnt), *POPULAR]
    beside = pacing.users_to_refresh(lake, moved, work.refresh, exclude=state.step.user_ids)
    others = feed.read_histories(lake, beside.user_ids, EVENT_WEIGHTS, MAX_EVENTS)
    done("refresh")
    lists = steps.rank(state, learnt, others, publish)
    done("rank")
    made = publication.Provenance(version.version, version.run_id, "bench-minute", news.snapshot, now)
    similar = lists.similar_of, lists.similar
    item_ids = learnt.checkpoint.catalog.item_ids
    minute.publish_minute(
        *(lake, item_ids, lists.users, lists.fallback, similar, state.news, beside, MAX_EVENTS, made, marks, after), prequential=scored.rows
    )
    done("publish")
    increments.publish_alias(models, version.version)
    day.metrics(day_run.read_minutes(lake, day.missing_since()))
    done("log")
    return {**seconds, "n_lists": float(len(lists.users.user_ids)), "passed": float(learnt.verdict.passed)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, nargs="+", default=[100_000, 1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--events-per-user", type=int, default=20)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--new", type=int, default=1000)
    parser.add_argument("--minute", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.minute is not None:
        with peak_memory() as peak_mib:
            found = run_minute(given.minute)
            print(json.dumps({**found, "peak_mib": peak_mib()}))
        return
    rows = []
    for n_history in given.histories:
        with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
            n_users = max(n_history // given.events_per_user, 1)
            make_home(Path(folder), n_history, n_users, given.items, given.new)
            found = alone("bench.minute", "--minute", folder)
        stages = {name: value for name, value in found.items() if name not in {"n_lists", "passed", "peak_mib"}}
        total = round(sum(stages.values()), 2)
        rows.append({"history": n_history, "users": n_users, "total_s": total, **{name: round(value, 2) for name, value in found.items()}})
    keep("minute", rows)


if __name__ == "__main__":
    main()
