"""How a bench prints and keeps its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def keep(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows of equal keys as a table, and write them as JSON to bench/results."""
    file = RESULTS / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    print("".join(f"{title:>16}" for title in rows[0]))
    for row in rows:
        print("".join(f"{value!s:>16}" for value in row.values()))
    print(f"written to {file}")
