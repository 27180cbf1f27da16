"""How long an erasure takes, and how long others wait for it: python -m bench.erasure [--events 5000000 --people 1000] [--short].

The home is that of bench.minute after its night: events, one model version, lists for all users. The people are spread over all users.
tables_s: until they are gone from all tables. files_s: until nothing below the home holds them, except the weights. reader_wait_s,
writer_wait_s and minute_wait_s: the longest that a reader of one list, a writer with nothing to write, and a minute run for its turn to
publish waited meanwhile.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.minute import make_home
from bench.table import keep
from cli.lake import registry_of
from settings import load
from tasks.erasure.at_once import erase, is_settled, move_on
from tasks.erasure.progress import go_on
from tasks.ingest.landing import open_landing
from tasks.lake import Lake, locate, reading, writing
from tasks.locks import publishing_paused

EVENTS_PER_USER = 50


def read(lake: Lake) -> None:
    with reading(lake) as con:
        con.execute("select count(*) from recs.recommendations where user_id = 'user-1'").fetchall()


def write(lake: Lake) -> None:
    with writing(lake):
        pass


def publish(lake: Lake) -> None:
    with publishing_paused(lake, 600.0):
        pass


class Waiting(threading.Thread):
    """Does something over and over, and remembers the longest time that it took."""

    def __init__(self, act: Callable[[Lake], None], lake: Lake) -> None:
        super().__init__(daemon=True)
        self.act, self.lake, self.longest_s, self.is_over = act, lake, 0.0, False

    def run(self) -> None:
        while not self.is_over:
            started = time.monotonic()
            self.act(self.lake)
            self.longest_s = max(self.longest_s, time.monotonic() - started)
            time.sleep(0.1)


def measure(n_events: int, n_people: int, n_items: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
        n_users = n_events // EVENTS_PER_USER
        make_home(Path(folder), n_events, n_users, n_items, 1)
        settings = load()
        lake = locate(settings.lake, settings.home, settings.store)
        with writing(lake) as con:  # as after the next minute run
            if not is_settled(con):
                move_on(con)
        people = [f"user-{n}" for n in range(0, n_users, max(n_users // n_people, 1))][:n_people]
        others = [Waiting(act, lake) for act in (read, write, publish)]
        for other in others:
            other.start()
        started, cpu = time.monotonic(), time.process_time()
        erase(lake, settings.home, people, "file", settings.ingest.event_weights)
        tables_s = time.monotonic() - started
        landing = open_landing(settings.ingest, settings.home)
        left = go_on(lake, settings.home.resolve(), lambda: registry_of(settings), settings.ingest.event_weights, landing)
        files_s = time.monotonic() - started
        for other in others:
            other.is_over = True
            other.join()
    return {
        "events": n_events,
        "users": n_users,
        "people": len(people),
        "tables_s": round(tables_s, 1),
        "files_s": round(files_s, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "reader_wait_s": round(others[0].longest_s, 2),
        "writer_wait_s": round(others[1].longest_s, 2),
        "minute_wait_s": round(others[2].longest_s, 2),
        "left": "; ".join(sentence.partition(":")[0] for sentence in left),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--short", action="store_true", help="100,000 events, 20 people")
    given = parser.parse_args()
    size = (100_000, 20, 1_000) if given.short else (given.events, given.people, given.items)
    keep("erasure", [measure(*size)])


if __name__ == "__main__":
    main()
