"""Which segments of the log a snapshot of the lake contains."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from serving.segments import Segments
from tasks.lake import Lake, reading, statement


@dataclass(frozen=True)
class Contained:
    """The names of closed segments of which a snapshot contains all events, all items, and all lines of every kind."""

    events: frozenset[str]
    items: frozenset[str]
    whole: frozenset[str]


def contained_segments(lake: Lake, snapshot: int, segments: Segments) -> Contained:
    """What a snapshot contains of the closed segments. The kinds of a segment are taken in one after the other."""
    n_lines = {name: dict(segments.n_lines[name]) for name in segments.closed()}
    taken: dict[tuple[str, str], int] = {}
    if n_lines:
        with reading(lake) as con:
            con.register("kept", pl.DataFrame({"segment": list(n_lines)}))
            rows = con.execute(statement("serving/positions"), {"snapshot": snapshot}).fetchall()
        taken = {(segment, kind): n for segment, kind, n in rows}

    def having(*kinds: str) -> frozenset[str]:
        """The segments whose lines of some kinds, by default of all, are contained."""
        return frozenset(
            name
            for name, by_kind in n_lines.items()
            if all(taken.get((name, kind), 0) >= n for kind, n in by_kind.items() if not kinds or kind in kinds)
        )

    return Contained(having("events"), having("items"), having())
