"""Cost of a minute run, by the length of the history: python -m bench.minute [--histories 100000 1000000 ...].

Each history gets a home: events, a model of the newest 100,000 of them (one epoch, no text), lists for all users. A
longer history has more users; the number of events per user is constant.
Then the minute flow runs once on new events in a separate process; the seconds are those that its stages log. total_s is their sum
without `load`, the import of torch and MLflow; neither includes the overhead of Prefect.

A large catalogue, with random weights: python -m bench.minute --untrained --histories 1000000 --items 1000000 --near 5.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.publish import N_NEAR, random_lists
from bench.table import alone, keep
from bench.untrained import able_to_learn, random_model, version_of
from models.evaluation.evaluator import make_evaluator
from models.events import Catalog, Events
from models.results import Neighbours
from models.version import checkpoint as checkpoints
from settings import load
from tasks.lake import Lake, locate, migrate, newest_snapshot, reading, statement, writing
from tasks.minute.pacing import UsersToRefresh
from tasks.night import learning
from tasks.night.dataset import Dataset
from tasks.publish import night, notes, publication
from tasks.registry import night_run, versions

N_MODEL_EVENTS = 100_000
POPULAR = tuple(f"item-{n}" for n in range(200))
"""Popular new items make many lists stale, so that every minute run refreshes its maximum number of lists."""
NOT_IN_TOTAL = {"load", "n_lists", "passed", "peak_mib"}


def make_home(home: Path, n_history: int, n_users: int, n_items: int, n_new: int, n_near: int = N_NEAR, *, is_trained: bool = True) -> None:
    """Create a home after a night, with n_new events for the next minute run; sets MINUTEHAND_HOME to it. n_near: similar items of each."""
    os.environ["MINUTEHAND_HOME"] = str(home)
    settings = load()
    lake = locate(settings.lake, settings.home, settings.store)
    migrate(lake)
    with writing(lake) as con:
        con.execute("set threads = 1")
        con.execute(statement("bench/insert_history"), {"n_events": n_history, "n_users": n_users, "n_items": n_items})
    dataset = newest(lake, n_items)
    models = versions.open_registry(
        settings.tracking_uri, settings.registry.model_name, home / "mlflow" / "artifacts", settings.registry.artifacts
    )
    with night_run.start_night(models, "bench", {}, dataset.snapshot, None, dataset.describe()) as run:
        if is_trained:
            train = settings.train.model_copy(update={"max_epochs": 1})
            learnt = learning.learn(dataset, settings.model, train, settings.evaluation, settings.seed)
            learning.complete(dataset, learnt, settings.model, train, settings.increment, settings.seed, home / "checkpoint")
        else:
            evaluator = make_evaluator(dataset.events, settings.evaluation)
            bare = version_of(random_model(dataset, settings), dataset, settings, evaluator)
            checkpoints.save(able_to_learn(bare, dataset, settings, evaluator), home / "checkpoint")
        version = night_run.register(run, home / "checkpoint", [], learning.example(dataset))
    versions.promote(models, version)
    generator = np.random.default_rng(0)
    near = Neighbours(generator.integers(0, n_items, (n_items, n_near)), generator.random((n_items, n_near), dtype=np.float32))
    users = [f"user-{n}" for n in range(n_users)]
    now = datetime.now(UTC).replace(tzinfo=None)
    made = publication.Provenance(version, run.run_id, "bench", dataset.snapshot, now)
    lists, anyone = random_lists(generator, users, n_items), random_lists(generator, ["*"], n_items)
    content = publication.Content(dataset.catalog.item_ids, lists, anyone, near, settings.model.max_events, made)
    night.publish_night(lake, content, settings.ingest.event_weights)
    later = replace(made, data_snapshot=newest_snapshot(lake))
    with writing(lake) as con:
        con.execute("set threads = 1")
        notes.note_moved(con, UsersToRefresh([], POPULAR, is_settled=False), later)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, nargs="+", default=[100_000, 1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--events-per-user", type=int, default=20)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--new", type=int, default=1000)
    parser.add_argument("--near", type=int, default=N_NEAR, help="similar items of each item")
    parser.add_argument("--untrained", action="store_true", help="random weights")
    given = parser.parse_args()
    rows = []
    for n_history in given.histories:
        with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
            n_users = max(n_history // given.events_per_user, 1)
            make_home(Path(folder), n_history, n_users, given.items, given.new, given.near, is_trained=not given.untrained)
            found = alone("bench.one_minute", folder)
        total = round(sum(value for name, value in found.items() if name not in NOT_IN_TOTAL), 2)
        rows.append({"history": n_history, "users": n_users, "total_s": total, **{name: round(value, 2) for name, value in found.items()}})
    keep("minute", rows)


if __name__ == "__main__":
    main()
