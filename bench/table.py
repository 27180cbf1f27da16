"""Runs measurements in separate processes, and prints and saves their rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def alone(module: str, *words: str) -> dict[str, float]:
    """JSON of the last line that a module prints; it runs in a separate process, so that its memory excludes the preparation."""
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})
    if done.returncode:
        sys.exit(done.returncode)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def there(names: Iterable[str], folder: Path) -> list[str]:
    """The data sets that exist in the folder; prints the missing ones."""
    found = []
    for name in names:
        if (folder / name).is_dir():
            found.append(name)
        else:
            print(f"{name}: not in {folder}, left out")
    return found


def keep(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows of equal keys as a table, and write them as JSON to bench/results; without rows, earlier results stay."""
    if not rows:
        print("nothing was measured")
        return
    file = RESULTS / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    print("".join(f"{title:>16}" for title in rows[0]))
    for row in rows:
        print("".join(f"{value!s:>16}" for value in row.values()))
    print(f"written to {file}")
