"""Cost of the interest graph, by the number of events: python -m bench.graph [--events 100000 1000000].

Each number gets a lake of random clicks with one user per twenty events and 10,000 items without text. A separate process builds the
graph as a night does, and then as minutes do after 10 and after 1000 new events. The seconds are those of the processor, without the
histories and the commit.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from bench.table import alone, keep
from tasks.event_types import EVENT_WEIGHTS
from tasks.graph import Origin, build_graph, update_graph
from tasks.lake import Lake, LakeConfig, current_snapshot, locate, migrate, statement, writing
from tasks.process import peak_memory
from tasks.publish.night import NO_TRENDS

EVENTS_PER_USER = 20
N_ITEMS = 10_000
NEW_EVENTS = (10, 1000)


def make_lake(home: Path, n_events: int) -> None:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    with writing(lake) as con:
        con.execute("set threads = 1")
        con.execute(statement("bench/insert_history"), {"n_events": n_events, "n_users": n_events // EVENTS_PER_USER, "n_items": N_ITEMS})


def rebuilt(con: duckdb.DuckDBPyConnection, snapshot: int) -> None:
    """Replace the histories by those of a snapshot."""
    con.execute(statement("publish/delete_histories"))
    con.register("trends", NO_TRENDS)
    at = {"snapshot": snapshot, "ignored_types": [], "max_events": 100, "updated_at": datetime.now(UTC).replace(tzinfo=None)}
    con.execute(statement("publish/insert_histories"), at)


def night(lake: Lake) -> float:
    with writing(lake) as con:
        con.execute("set threads = 1")
        origin = Origin("1", current_snapshot(con), datetime.now(UTC).replace(tzinfo=None))
        rebuilt(con, origin.data_snapshot)
        started = time.process_time()
        build_graph(con, EVENT_WEIGHTS, origin)
        return time.process_time() - started


def minute(lake: Lake, n_new: int, n_users: int) -> float:
    with writing(lake) as con:
        con.execute("set threads = 1")
        con.execute(statement("bench/insert_minute"), {"n_events": n_new, "n_users": n_users, "n_items": N_ITEMS})
    with writing(lake) as con:
        con.execute("set threads = 1")
        origin = Origin("2", current_snapshot(con), datetime.now(UTC).replace(tzinfo=None))
        fresh = con.execute(
            "select user_id, item_id from raw.events order by received_at desc, rowid desc limit $n", {"n": n_new}
        ).fetchall()
        rebuilt(con, origin.data_snapshot)
        started = time.process_time()
        update_graph(con, {user for user, _ in fresh}, {item for _, item in fresh}, EVENT_WEIGHTS, origin)
        return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.home is not None:
        lake, (n_events,) = locate(LakeConfig(), given.home), given.events
        with peak_memory() as peak_mib:
            found = {"night_s": night(lake), "night_peak_mib": peak_mib()}
        for n_new in NEW_EVENTS:
            found[f"minute_{n_new}_s"] = minute(lake, n_new, n_events // EVENTS_PER_USER)
        print(json.dumps(found))
        return
    rows = []
    for n_events in given.events:
        with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
            make_lake(Path(folder), n_events)
            found = alone("bench.graph", "--home", folder, "--events", str(n_events))
        rows.append({"events": n_events, **{name: round(value, 2) for name, value in found.items()}})
    keep("graph", rows)


if __name__ == "__main__":
    main()
