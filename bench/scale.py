"""Cost of a night by the number of events: python -m bench.scale [--events 1000000 5000000 20000000] [--items 100000] [--share 0.1].

Each number gets a lake with one user per fifty events, and items without text. A separate process loads it, trains on a share of an epoch
with the sampled softmax that a night uses for so many items, ranks some of the users, and publishes lists of all of them in shards; the
lists of users that are not ranked are copies. The blend is the starting blend of a night, because the cost of choosing a blend does not
depend on the number of events. epoch_s is that of a whole epoch, and rank_s that of all users, both by the measured part. The last
line says whether a night costs at most 1.3 times as much per event as at the smallest size, and stays within 16 GiB.

With --share 0, only ranking and publishing are measured; lists_mib is their peak memory, the loaded events included:
python -m bench.scale --share 0 --items 2000 --events-per-user 5 --ranked 1000000 --events 100000 400000.
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

from bench.table import alone, keep
from bench.untrained import random_model, version_of
from models.device import pick_device
from models.evaluation.evaluator import make_evaluator
from models.night import fit_prior, training_offsets
from models.ranking.neighbours import neighbours
from models.ranking.scorer import fallback_list
from models.results import NO_LISTS
from models.training.training import N_SAMPLED_ITEMS, Sampling, train
from models.version.checkpoint import Checkpoint
from settings import load as load_settings
from tasks.config import PublishConfig
from tasks.lake import LakeConfig, locate, migrate, newest_snapshot, statement, writing
from tasks.night.dataset import load_dataset
from tasks.night.shards import Order, People, Shards, rank, rank_in_shards, write_histories
from tasks.process import peak_memory
from tasks.publish import night, publication
from tasks.scenarios.resolved import place_without_rules

MOST_GROWTH, MOST_GIB = 1.3, 16.0


def make_lake(home: Path, n_events: int, n_users: int, n_items: int) -> None:
    """Create a lake that contains only events."""
    lake = locate(LakeConfig(), home)
    migrate(lake)
    with writing(lake) as con:
        con.execute("set threads = 1")
        con.execute(statement("bench/insert_history"), {"n_events": n_events, "n_users": n_users, "n_items": n_items})


def run(home: Path, share: float, n_ranked: int, peak_mib: Callable[[], float]) -> dict[str, float]:
    """Seconds of each stage, and peak memory. share: of an epoch; n_ranked: users that are ranked."""
    seconds: dict[str, float] = {}
    last = time.perf_counter()

    def done(stage: str, times: float = 1.0) -> None:
        """times: how many times as much the whole stage is as its measured part."""
        nonlocal last
        now = time.perf_counter()
        seconds[f"{stage}_s"], last = round((now - last) * times, 1), now
        print(stage, round(seconds[f"{stage}_s"] / times, 1), "s,", round(peak_mib()), "MiB", file=sys.stderr, flush=True)

    settings, lake = load_settings(), locate(LakeConfig(), home)
    weights, max_events = settings.ingest.event_weights, settings.model.max_events
    data = load_dataset(lake, newest_snapshot(lake), weights, "none")
    events = data.events
    done("load")
    evaluator, device = make_evaluator(events, settings.evaluation), pick_device(settings.train.device)
    prior = fit_prior(events, evaluator.slots)
    model = random_model(data, settings, device)
    if share:
        sampling = Sampling(events.n_items, N_SAMPLED_ITEMS) if events.n_items > 2 * N_SAMPLED_ITEMS else None
        offsets = replace(training_offsets(events, evaluator.slots, prior, device), sampling=sampling)
        done("prior")
        train(model, events, offsets, settings.train, seed=settings.seed, n_epochs=share)
        done("epoch", 1 / share)
        del offsets
    version = version_of(model, data, settings, evaluator, prior)
    people, peak_before = People(data.user_ids, events, evaluator.trend), peak_mib()
    with tempfile.TemporaryDirectory(prefix="minutehand-bench-shards-") as folder, peak_memory() as peak_of_lists:
        done("trend")
        order = Order(settings.publish.n_recommendations, version.as_of, None, [place_without_rules(0.0)])
        shards, n = stage(version, order, people, Path(folder) / "shards", settings.publish, n_ranked)
        done("rank", len(people) / n)
        write_histories(lake, shards, people, data.snapshot, weights, max_events)
        done("histories")
        near = neighbours(
            version.live.item_vectors(), data.catalog.is_available, settings.publish.n_similar, settings.publish.approximate_above
        )
        done("neighbours")
        made = publication.Provenance("1", "0" * 32, "bench-scale", data.snapshot, datetime.now(UTC).replace(tzinfo=None))
        anyone = fallback_list(version.popularity, data.catalog.is_available, 2, order.k)
        content = publication.Content(data.catalog.item_ids, NO_LISTS, anyone, near, max_events, made, shards=shards)
        night.publish_night(lake, content, weights)
        done("publish")
        peak_lists = peak_of_lists()
    total = sum(seconds.values())
    return {
        **seconds,
        "ms_per_user": round(1000 * (seconds["rank_s"] + seconds["histories_s"] + seconds["publish_s"]) / len(people), 2),
        "us_per_event": round(total / len(events) * 1e6, 1),
        "lists_mib": round(peak_lists),
        "peak_mib": round(max(peak_before, peak_lists)),
    }


def stage(version: Checkpoint, order: Order, people: People, folder: Path, publish: PublishConfig, n_ranked: int) -> tuple[Shards, int]:
    """The lists of all users in shards, and how many users were ranked: at most n_ranked; if not all, all get copies of their lists."""
    if n_ranked >= len(people):
        return rank_in_shards(version, order, people, folder, publish), len(people)
    shards, (lists,) = Shards.of(len(people), 1, folder, publish), rank(version, order, next(people.shards(n_ranked)))
    for number, part in enumerate(people.shards(shards.size)):
        shards.write(number, [replace(lists.of_rows(np.arange(len(part)) % n_ranked), user_ids=part.user_ids)])
    return shards, n_ranked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--events-per-user", type=int, default=50)
    parser.add_argument("--share", type=float, default=0.1, help="measured share of an epoch")
    parser.add_argument("--ranked", type=int, default=20_000, help="users that are ranked; the cost of all follows from theirs")
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.home is not None:
        with peak_memory() as peak_mib:
            print(json.dumps(run(given.home, given.share, given.ranked, peak_mib)))
        return
    rows = []
    for n_events in given.events:
        with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
            n_users = max(n_events // given.events_per_user, 1)
            make_lake(Path(folder), n_events, n_users, given.items)
            words = ("--home", folder, "--share", str(given.share), "--ranked", str(given.ranked))
            rows.append({"events": n_events, "users": n_users, "items": given.items, **alone("bench.scale", *words)})
    keep("scale", rows)
    growth = max(row["us_per_event"] for row in rows) / rows[0]["us_per_event"]
    peak_gib = max(row["peak_mib"] for row in rows) / 1024
    holds = "holds" if growth <= MOST_GROWTH and peak_gib <= MOST_GIB else "does NOT hold"
    by, at_most = f"by a factor of {growth:.2f} (at most {MOST_GROWTH})", f"at most {MOST_GIB:g}"
    print(f"{holds}: seconds per event grow {by}, peak memory is {peak_gib:.1f} GiB ({at_most})")


if __name__ == "__main__":
    main()
