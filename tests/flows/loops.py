"""Activities of a live home, each run in its own process: python -m tests.flows.loops NAME SECONDS."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from settings import load
from tasks.lake import locate, reading

TORN = """
    select user_id
    from recs.recommendations
    group by user_id
    having count(distinct (model_version, generated_at)) > 1 or max(rank) <> count(*) or count(distinct item_id) <> count(*)
"""
AHEAD = """
    select count(*)
    from ops.watermarks as learnt, ops.watermarks as published
    where learnt.consumer = 'learnt' and published.consumer = 'published' and learnt.snapshot > published.snapshot
"""
DOUBLED = "select user_id from features.user_histories group by user_id having count(*) > 1"
N_USERS = "select count(distinct user_id) from recs.recommendations"


def shoppers() -> Callable[[], None]:
    """Drop a file of five events and ingest it, once per second; every tenth file has an unknown item."""
    from flows.ingest import ingest

    drop = load().home / "landing" / "events"
    drop.mkdir(parents=True, exist_ok=True)
    number = iter(range(1_000_000))

    def happen() -> None:
        n, now = next(number), datetime.now(UTC).isoformat()
        items = [f"n{n // 10:03}", *(f"i{(n + k) % 30:02}" for k in range(4))]
        rows = [f"u{(7 * n + k) % 50:02},{item},click,{now}" for k, item in enumerate(items)]
        whole = drop.parent / "part"
        whole.write_text("\n".join(["user_id,item_id,event_type,occurred_at", *rows]), encoding="utf-8")
        os.utime(whole, (time.time() - 60,) * 2)
        whole.rename(drop / f"{n:05}.csv")
        landed = ingest()
        assert all(file.outcome == "done" and not file.error and not file.rejected for file in landed), landed
        time.sleep(1)

    return happen


def minutes() -> Callable[[], object]:
    from flows.minute import minute

    return minute


def nights() -> Callable[[], object]:
    from flows.nightly import nightly

    return nightly


def patient_nights() -> Callable[[], None]:
    """Nights that leave out their turn while another home has one."""
    from flows.nightly import nightly
    from tasks.locks import BusyError

    def night() -> None:
        try:
            nightly()
        except BusyError:
            time.sleep(1)

    return night


def reader() -> Callable[[], None]:
    """Read the tables and check for states that must never be visible."""
    settings = load()
    lake = locate(settings.lake, settings.home)
    users = [0]

    def read() -> None:
        with reading(lake) as con:
            torn = con.execute(TORN).fetchall()
            (n_users,) = con.execute(N_USERS).fetchone() or (0,)
            ahead = con.execute(AHEAD).fetchone()
            doubled = con.execute(DOUBLED).fetchall()
        assert (torn, ahead, doubled) == ([], (0,), []), (torn, ahead, doubled)
        assert n_users >= users[0], f"{n_users} users, {users[0]} before"
        users[0] = n_users

    return read


if __name__ == "__main__":
    until = time.monotonic() + float(sys.argv[2])
    loops = {"shoppers": shoppers, "minutes": minutes, "nights": nights, "patient_nights": patient_nights, "reader": reader}
    work = loops[sys.argv[1]]()
    while time.monotonic() < until:
        work()
