"""Cost of one epoch and a full publish, by the number of events: python -m bench.scale [--events 1000000 10000000].

Each number gets a lake with one user per fifty events and 100,000 items without text. A separate process loads it, trains
one epoch on all events, ranks every item for every user, and publishes. The blend is the starting blend of a night, because the
cost of choosing a blend does not depend on the number of events. Ten million events take half an hour on one thread.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from bench.table import alone, keep
from models.device import pick_device
from models.evaluation.evaluator import make_evaluator
from models.night import fit_prior, new_model, to_weights, training_offsets
from models.ranking.blend import starting_blend
from models.ranking.neighbours import neighbours
from models.ranking.scorer import Scorer, fallback_list
from models.training.training import train
from settings import load as load_settings
from tasks.lake import LakeConfig, locate, migrate, newest_snapshot, statement, writing
from tasks.night import learning
from tasks.night.dataset import load_dataset
from tasks.process import peak_memory
from tasks.publish import night, publication

EVENTS_PER_USER = 50


def make_lake(home: Path, n_events: int, n_items: int) -> None:
    """Create a lake that contains only events."""
    lake = locate(LakeConfig(), home)
    migrate(lake)
    with writing(lake) as con:
        con.execute("set threads = 1")
        numbers = {"n_events": n_events, "n_users": max(n_events // EVENTS_PER_USER, 1), "n_items": n_items}
        con.execute(statement("bench/insert_history"), numbers)


def run(home: Path, peak_mib: Callable[[], float]) -> dict[str, float]:
    """Seconds of each stage, and peak memory."""
    seconds: dict[str, float] = {}
    last = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[f"{stage}_s"], last = round(now - last, 1), now
        print(stage, seconds[f"{stage}_s"], "s,", round(peak_mib()), "MiB", file=sys.stderr, flush=True)

    settings, lake = load_settings(), locate(LakeConfig(), home)
    data = load_dataset(lake, newest_snapshot(lake), settings.ingest.event_weights, "none")
    events = data.events
    done("load")
    evaluator, device = make_evaluator(events, settings.evaluation), pick_device(settings.train.device)
    offsets = training_offsets(events, evaluator.slots, fit_prior(events, evaluator.slots), device)
    done("prior")
    model = new_model(settings.model, np.zeros((events.n_items, settings.model.dim), np.float32), events.n_kinds, device, settings.seed)
    train(model, events, offsets, settings.train, seed=settings.seed, n_epochs=1.0)
    done("epoch")
    n_trained = np.bincount(events.item, minlength=events.n_items)
    weights = to_weights(model, events, np.sort(events.by_time[-1000:]), n_trained)
    features, blend = learning.popularity_now(data).features(), starting_blend(np.array([0.0, 1.0], np.float32))
    scorer = Scorer(weights, blend, torch.from_numpy(features), data.catalog.is_available, evaluator.hide_seen, learning.as_of(data))
    users = scorer.rank(events, events.n_users, settings.publish.n_recommendations)
    done("rank")
    near = neighbours(weights.item_vectors(), data.catalog.is_available, settings.publish.n_similar, settings.publish.approximate_above)
    done("neighbours")
    made = publication.Provenance("1", "0" * 32, "bench-scale", data.snapshot, datetime.now(UTC).replace(tzinfo=None))
    lists = replace(users, user_ids=data.user_ids)
    fallback = fallback_list(features, data.catalog.is_available, 2, settings.publish.n_recommendations)
    content = publication.Content(data.catalog.item_ids, lists, fallback, near, settings.model.max_events, made)
    night.publish_night(lake, content, settings.ingest.event_weights)
    done("publish")
    per_event = round(seconds["epoch_s"] / len(events) * 1e6, 1)
    return {**seconds, "us_per_event": per_event, "peak_mib": round(peak_mib())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.home is not None:
        with peak_memory() as peak_mib:
            print(json.dumps(run(given.home, peak_mib)))
        return
    rows = []
    for n_events in given.events:
        with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
            make_lake(Path(folder), n_events, given.items)
            rows.append({"events": n_events, "items": given.items, **alone("bench.scale", "--home", folder)})
    keep("scale", rows)


if __name__ == "__main__":
    main()
