"""Cost of the list history in processor time and bytes: python -m bench.list_history [--users 16554 --items 10506] [--short].

Publishes a night twice and some minutes, with the history and without it; without, the statements that write it are left out.
The items of the lists follow a power law, as in a shop.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import numpy as np

from bench.publish import N_NEAR, N_RANKS
from bench.table import keep
from models.results import Neighbours, RankedLists
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot
from tasks.minute.pacing import ALL_SETTLED
from tasks.publish.minute import publish_minute
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Provenance
from tasks.watermarks import Watermarks, read_watermarks

N_REFRESHED, N_MINUTES = 500, 5
WRITERS = ("inserts.note_changed_lists", "night.note_ended_lists", "minute.note_ended_lists")


def lists_of(generator: np.random.Generator, user_ids: Sequence[str], n_items: int) -> RankedLists:
    """Lists whose items are drawn by a power law, without repetition, and whose scores fall with the rank."""
    popularity = 0.7 * np.log(1 / np.arange(1, n_items + 1) ** 0.8)
    item, score = np.empty((len(user_ids), N_RANKS), np.int64), np.empty((len(user_ids), N_RANKS), np.float32)
    for row in range(len(user_ids)):
        drawn = popularity + 1.2 * generator.standard_normal(n_items, np.float32)
        best = np.argpartition(-drawn, N_RANKS)[:N_RANKS]
        item[row] = best[np.argsort(-drawn[best])]
        score[row] = drawn[item[row]]
    cited = item[:, generator.integers(0, 5, N_RANKS)]
    return RankedLists(tuple(user_ids), item, score, np.exp(score), cited)


def bytes_of(lake: Lake) -> int:
    return sum(path.stat().st_size for path in (Path(lake.data_path) / "recs" / "list_history").rglob("*.parquet"))


def measure(n_users: int, n_items: int, *, is_noted: bool) -> list[dict[str, object]]:
    """Processor seconds and new bytes of the history of two nights and some minutes."""
    generator = np.random.default_rng(0)
    none = Neighbours(np.zeros((n_items, N_NEAR), np.int64), np.zeros((n_items, N_NEAR), np.float32))
    users, items = [f"user-{user:06d}" for user in range(n_users)], [f"item-{item:07d}" for item in range(n_items)]
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        lake = locate(LakeConfig(), Path(folder))
        migrate(lake)
        anyone = lists_of(generator, ["*"], n_items)
        for version in range(2 + N_MINUTES):
            name = ("first night", "night")[version] if version < 2 else "minute"
            some = users if version < 2 else list(generator.choice(users, min(N_REFRESHED, n_users), replace=False))
            lists, at = lists_of(generator, some, n_items), newest_snapshot(lake)
            made = Provenance(str(version), "0" * 32, f"flow-{version}", at, datetime.now(UTC).replace(tzinfo=None))
            before, started, marks = bytes_of(lake), time.process_time(), read_watermarks(lake)
            if version < 2:
                publish_night(lake, Content(items, lists, anyone, none, 100, made), EVENT_WEIGHTS)
            else:
                assert marks is not None
                nothing = np.empty(0, np.int64)
                content = Content(items, lists, anyone, none, 100, made, nothing, watermarks=Watermarks(at, at))
                publish_minute(lake, content, marks, ALL_SETTLED)
            seconds = time.process_time() - started
            mib = (bytes_of(lake) - before) / 2**20
            rows.append({"run": name, "history": is_noted, "lists": len(some), "cpu_s": round(seconds, 2), "mib": round(mib, 2)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=16_554)
    parser.add_argument("--items", type=int, default=10_506)
    parser.add_argument("--short", action="store_true", help="a tenth of the users")
    given = parser.parse_args()
    n_users = given.users // 10 if given.short else given.users
    rows = []
    for is_noted in (False, True):
        with ExitStack() as without:
            for writer in () if is_noted else WRITERS:
                without.enter_context(patch(f"tasks.publish.{writer}"))
            rows += measure(n_users, given.items, is_noted=is_noted)
    keep("list_history", rows)


if __name__ == "__main__":
    main()
