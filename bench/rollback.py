"""Time until readers see a rollback: python -m bench.rollback [--users 16554 --items 10506 --events 870000] [--short].

Makes two nights of lists, then goes back to the first one in a process of its own, as the command does, while this process reads the
list of one user after another. A list of two models would be counted as mixed. The aliases in MLflow follow later, and are not measured.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.list_history import bytes_of, lists_of
from bench.publish import N_NEAR
from bench.table import keep
from models.results import Neighbours, SeenItems
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot, reading, statement, writing
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Provenance

N_SINCE = 20_000
"""Events since the lists were made."""
LIST = "select model_version, count(*) from recs.recommendations where user_id = ? group by model_version"
INSERT_EVENTS = """
    insert into raw.events by name
    select md5(n::varchar) as event_id, user_id, item_id, 'view' as event_type, moment as occurred_at, moment as received_at
    from (select *, row_number() over () as n, timestamp '2026-01-01' + to_seconds(n) as moment from bought)
"""


def make_home(folder: Path, n_users: int, n_items: int, n_events: int) -> Lake:
    """A lake with events and the lists of two nights, of versions 1 and 2."""
    generator = np.random.default_rng(0)
    lake = locate(LakeConfig(), folder)
    migrate(lake)
    users, items = [f"user-{user:06d}" for user in range(n_users)], [f"item-{item:07d}" for item in range(n_items)]
    with writing(lake) as con:
        user, item = generator.integers(0, n_users, n_events), generator.integers(0, n_items, n_events)
        names = pa.array([f"had-{each}" for each in items])  # lists leave out what users had before
        con.register("bought", pa.table({"user_id": pa.array(users).take(pa.array(user)), "item_id": names.take(pa.array(item))}))
        con.execute(INSERT_EVENTS)
    none = Neighbours(np.zeros((n_items, N_NEAR), np.int64), np.zeros((n_items, N_NEAR), np.float32))
    for version in ("1", "2"):
        made = Provenance(version, "0" * 32, f"flow-{version}", newest_snapshot(lake), datetime.now(UTC).replace(tzinfo=None))
        lists, anyone = lists_of(generator, users, n_items), lists_of(generator, ["*"], n_items)
        content = Content(items, lists, anyone, none, 100, made, champion=version, seen_items=SeenItems(are_hidden=True))
        publish_night(lake, content, EVENT_WEIGHTS)
    with writing(lake) as con:
        user, item = generator.integers(0, n_users, N_SINCE), generator.integers(0, n_items // 20, N_SINCE)  # popular items
        con.register("bought", pa.table({"user_id": pa.array(users).take(pa.array(user)), "item_id": pa.array(items).take(pa.array(item))}))
        con.execute(INSERT_EVENTS)
    return lake


def watch(lake: Lake, child: subprocess.Popen[str], started: float, n_users: int) -> dict[str, object]:
    """Read lists until the child has ended: seconds until the first list of version 1, and the number of lists of two models."""
    seen_after, n_mixed, n_read = None, 0, 0
    for user in itertools.cycle(range(n_users)):
        is_over = child.poll() is not None
        with reading(lake) as con:
            found = con.execute(LIST, [f"user-{user:06d}"]).fetchall()
        n_read, n_mixed = n_read + 1, n_mixed + (len(found) != 1)
        if seen_after is None and found and found[0][0] == "1":
            seen_after = round(time.perf_counter() - started, 2)
        if is_over:
            break
        time.sleep(0.05)
    return {"visible_s": seen_after, "lists_read": n_read, "mixed": n_mixed}


def measure(n_users: int, n_items: int, n_events: int) -> dict[str, object]:
    """One rollback: what it took, and what a reader saw."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = make_home(folder, n_users, n_items, n_events)
        before, started = bytes_of(lake), time.perf_counter()
        command = [sys.executable, "-c", f"from bench.one_rollback import go_back; go_back({name!r})"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as child:
            seen = watch(lake, child, started, n_users)
            out, _ = child.communicate()
        if child.returncode:
            sys.exit(child.returncode)
        figures: dict[str, object] = json.loads(out.splitlines()[-1])
        with writing(lake) as con:
            con.execute(statement("maintain/flush"))
        return {"users": n_users, **seen, **figures, "history_mib": round((bytes_of(lake) - before) / 2**20, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=16_554)
    parser.add_argument("--items", type=int, default=10_506)
    parser.add_argument("--events", type=int, default=870_000)
    parser.add_argument("--short", action="store_true", help="a tenth of the users and events")
    given = parser.parse_args()
    part = 10 if given.short else 1
    keep("rollback", [measure(given.users // part, given.items, given.events // part)])


if __name__ == "__main__":
    main()
