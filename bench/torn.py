"""How often a reader beside a writer sees half of what was published: python -m bench.torn [--threads 1] [--seconds 40].

A writer replaces the rows of some users in one transaction, again and again; three readers, each time by a connection of their own, look
for users with rows of two versions. With a SQLite catalog there are some unless connections have one thread (docs/log.md, 2026-11-26).
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from pathlib import Path

from bench.table import keep
from tasks.lake import Lake, LakeConfig, locate, reading, writing

TORN = "select u from recs.r group by u having count(*) <> 9 or count(distinct v) > 1"


def publish(lake: Lake, users: list[int], version: int) -> None:
    """New rows for some users in place of the old ones."""
    with writing(lake) as con:
        con.execute("delete from recs.r where list_contains(?, u)", [users])
        con.execute("insert into recs.r select u, n, ? from (select unnest(?) as u), range(9) as s(n)", [version, users])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="Threads of each reader, whatever a reader of the product has")
    parser.add_argument("--seconds", type=float, default=40.0)
    given = parser.parse_args()
    n_reads: list[int] = []

    with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
        lake = locate(LakeConfig(), Path(folder))
        with writing(lake) as con:
            con.execute("create schema recs")
            con.execute("create table recs.r as select i // 9 as u, i % 9 as n, 0 as v from range(450) as s(i)")
        until, draw, n_published = time.monotonic() + given.seconds, random.Random(7), 0

        def read() -> None:
            while time.monotonic() < until:
                with reading(lake) as con:
                    con.execute("set threads = ?", [given.threads])
                    n_reads.append(len(con.execute(TORN).fetchall()))

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        while time.monotonic() < until:
            n_published += 1
            publish(lake, draw.sample(range(50), draw.choice([1, 2, 5, 32])), n_published)
        for reader in readers:
            reader.join()
    n_torn = sum(n > 0 for n in n_reads)
    keep("torn", [{"threads": given.threads, "published": n_published, "reads": len(n_reads), "torn_reads": n_torn}])


if __name__ == "__main__":
    main()
