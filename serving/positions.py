"""Which segments of the log a snapshot of the lake contains."""

from __future__ import annotations

import polars as pl

from serving.segments import Segments
from tasks.lake import Lake, reading, statement


def contained_segments(lake: Lake, snapshot: int, segments: Segments) -> set[str]:
    """The names of the closed segments whose lines a snapshot contains, every line of every kind."""
    names = segments.closed()
    if not names:
        return set()
    with reading(lake) as con:
        con.register("kept", pl.DataFrame({"segment": names}))
        rows = con.execute(statement("serving/positions"), {"snapshot": snapshot}).fetchall()
    taken = {(segment, kind): n_lines for segment, kind, n_lines in rows}
    return {name for name in names if all(taken.get((name, kind), 0) >= n for kind, n in segments.n_lines[name].items())}
