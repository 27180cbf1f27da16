"""Drops files into a landing folder while it is emptied: good, bad, half-written, renamed, nested, packed and foreign files.

Every row has a distinct item, so that the fate of each row can be checked.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.ingest.landing import waiting
from tasks.lake import Lake, reading

HEADER = "user_id,item_id,occurred_at\n"
FOREIGN = "Kunde;Größe;Artikel;Zeit\n"
MAPPING = """
map.user_id = "Kunde"
map.item_id = "Artikel"
map.occurred_at = "Zeit"
time_format = "%d.%m.%Y %H:%M"
encoding = "cp1252"
"""
FOUND = "select item_id, count(*) from raw.{table} group by item_id"
REFUSED = "select coalesce(row_json->>'item_id', row_json->>'Artikel', split_part(row_json->>'line', ',', 2)), reason from raw.rejected"


class Feeder:
    """Drops files, and records the expected place of each row: in, rejected, failed or waiting."""

    def __init__(self, landing: Path, seed: int = 0) -> None:
        self.landing, self.rng = landing, random.Random(seed)
        self.expected: dict[str, str] = {}
        self.dropped: Counter[str] = Counter()
        self.half_written: list[tuple[Path, str]] = []
        self.cut_short: dict[str, list[str]] = {}
        self.kinds: dict[str, Callable[[str], None]] = {
            name.removeprefix("drop_"): getattr(self, name) for name in sorted(dir(self)) if name.startswith("drop_")
        }
        put(landing / "events" / "foreign" / "mapping.toml", MAPPING.encode())

    def drop(self) -> None:
        """Drop one more file, of the kind with the fewest files so far."""
        self._finish(keep=2)
        kind = min(self.rng.sample(list(self.kinds), len(self.kinds)), key=lambda name: self.dropped[name])
        self.kinds[kind](f"{kind}-{self.dropped[kind]:04}")
        self.dropped[kind] += 1

    def drop_good(self, name: str) -> None:
        put(self.landing / "events" / f"{name}.csv", self.text("in").encode())

    def drop_items(self, name: str) -> None:
        rows = "".join(f"{item},a title\n" for item in self.rows("item", 4))
        put(self.landing / "items" / f"{name}.csv", f"item_id,title\n{rows}".encode())

    def drop_bad(self, name: str) -> None:
        lines = [f",{item},2026-01-01\n" for item in self.rows("rejected", 2)]
        lines += [f"u,{item},2026-13-01\n" for item in self.rows("rejected", 2)] + [f"u,{item}\n" for item in self.rows("rejected", 1)]
        lines += [f"u,{item},2026-01-01\n" for item in self.rows("in", 5)]
        self.rng.shuffle(lines)
        put(self.landing / "events" / f"{name}.csv", (HEADER + "".join(lines)).encode())

    def drop_all_bad(self, name: str) -> None:
        rows = "".join(f",{item},2026-01-01\n" for item in self.rows("rejected", 3))
        put(self.landing / "events" / f"{name}.csv", (HEADER + rows).encode())

    def drop_of_one_name(self, name: str) -> None:
        rows = "".join(f",{item},2026-01-01\n" for item in self.rows("rejected", 2))
        put(self.landing / "events" / "orders.csv", (self.text("in") + rows).encode(), takes_turns=True)

    def drop_unreadable(self, name: str) -> None:
        put(self.landing / "events" / f"{name}.csv", self.text("failed").replace("user_id", "colour").encode())

    def drop_cut_short(self, name: str) -> None:
        text = self.text("failed")
        self.cut_short[f"{name}.csv.gz"] = items_in(text)
        put(self.landing / "events" / f"{name}.csv.gz", gzip.compress(text.encode())[:-9])

    def drop_packed(self, name: str) -> None:
        put(self.landing / "events" / f"{name}.csv.gz", gzip.compress(self.text("in").encode()))

    def drop_json(self, name: str) -> None:
        rows = [json.dumps({"user_id": "u", "item_id": item, "occurred_at": 1_780_000_000}) for item in self.rows("in", 5)]
        put(self.landing / "events" / f"{name}.jsonl", "\n".join(rows).encode())

    def drop_nested(self, name: str) -> None:
        put(self.landing / "events" / f"{self.rng.randrange(3)}" / "deep" / f"{name}.csv", self.text("in").encode())

    def drop_foreign(self, name: str) -> None:
        rows = "".join(f"Käufer;{k};{item};01.06.2026 00:1{k}\n" for k, item in enumerate(self.rows("in", 4)))
        put(self.landing / "events" / "foreign" / f"{name}.csv", (FOREIGN + rows).encode("cp1252"))

    def drop_wrongly_mapped(self, name: str) -> None:
        put(self.landing / "events" / f"{name}.mapping.toml", b"mapp.user_id = 'x'")
        put(self.landing / "events" / f"{name}.csv", self.text("waiting").encode())

    def drop_half_written(self, name: str) -> None:
        text = self.text("in")
        file = self.landing / "events" / f"{name}.csv.part"
        put(file, text[: len(text) // 2].encode())
        self.half_written.append((file, text))

    def drop_never_finished(self, name: str) -> None:
        put(self.landing / "events" / f".{name}.csv", self.text("waiting").encode())

    def drop_in_pieces(self, name: str) -> None:
        text = self.text("in")
        with (self.landing / "events" / f"{name}.csv").open("w", encoding="utf-8") as file:
            for piece in (text[:40], text[40:50], text[50:]):
                file.write(piece)
                file.flush()
                time.sleep(0.05)

    def drop_renamed(self, name: str) -> None:
        file = self.landing / "events" / f"{name}.csv"
        put(file, self.text("in").encode())
        time.sleep(self.rng.uniform(0, 0.3))
        rename(file, file.with_name(f"{name}-again.csv"))

    def drop_twice(self, name: str) -> None:
        text = self.text("in")
        for copy in ("a", "b"):
            put(self.landing / "events" / f"{name}{copy}.csv", text.encode())

    def text(self, outcome: str) -> str:
        rows = "".join(f"u{self.rng.randrange(9)},{item},2026-01-01T00:00:{k:02}\n" for k, item in enumerate(self.rows(outcome, 5)))
        return HEADER + rows

    def rows(self, outcome: str, n: int) -> list[str]:
        items = [f"r{len(self.expected) + k:07}" for k in range(n)]
        self.expected |= dict.fromkeys(items, outcome)
        return items

    def finish(self) -> None:
        """Complete the remaining half-written files."""
        self._finish(keep=0)

    def _finish(self, keep: int) -> None:
        while len(self.half_written) > keep:
            file, text = self.half_written.pop(0)
            put(file, text.encode())
            file.rename(file.with_suffix(""))

    def is_taken_in(self) -> bool:
        """Whether only files that must wait are still waiting."""
        return all("wrongly_mapped" in file.name for _, file in waiting(self.landing))

    def lost(self, lake: Lake) -> dict[str, str]:
        """Rows that are in a wrong place or occur more than once, with their places."""
        places: dict[str, list[str]] = {row: [] for row in self.expected}
        with reading(lake) as con:
            for table, place in (("events", "in"), ("items", "item")):
                for item, n in con.execute(FOUND.format(table=table)).fetchall():
                    places[item] += [place] * n
            for item, reason in con.execute(REFUSED).fetchall():
                places[item].append("rejected" if reason else "rejected without a reason")
        for file in (self.landing / "failed").rglob("*.csv*"):
            if not file.name.endswith(".error.txt"):
                has_reason = file.with_name(f"{file.name}.error.txt").exists()
                items = self.cut_short.get(file.name) or items_in(file.read_text(encoding="utf-8"))
                note(places, items, "failed" if has_reason else "failed without a reason")
        for file in (self.landing / "events").rglob("*.csv"):
            note(places, items_in(file.read_text(encoding="utf-8")), "waiting")
        return {row: ", ".join(found) or "nowhere" for row, found in places.items() if found != [self.expected[row]]}


def put(file: Path, content: bytes, *, takes_turns: bool = False) -> None:
    """Drop a file with an old modification time. takes_turns: wait until an earlier file of that name is gone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    while takes_turns and file.exists():
        time.sleep(0.1)
    hidden = file.with_name(f".{file.name}.writing")
    hidden.write_bytes(content)
    os.utime(hidden, (time.time() - 60,) * 2)
    hidden.rename(file)


def rename(file: Path, other: Path) -> None:
    try:
        file.rename(other)
    except FileNotFoundError:  # the file has been ingested
        return


def items_in(text: str) -> list[str]:
    return [line.split(",")[1] for line in text.splitlines()[1:]]


def note(places: dict[str, list[str]], items: Sequence[str], place: str) -> None:
    for item in items:
        places.setdefault(item, []).append(place)
