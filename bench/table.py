"""How a bench runs a measurement by itself, and prints and keeps its rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def alone(module: str, *words: str) -> dict[str, float]:
    """What a module prints as JSON on its last line, run in a process of its own: nothing of the preparation counts as its memory."""
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})
    if done.returncode:
        sys.exit(done.returncode)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def there(names: Iterable[str], folder: Path) -> list[str]:
    """The data sets that are in the folder; says which are not."""
    found = []
    for name in names:
        if (folder / name).is_dir():
            found.append(name)
        else:
            print(f"{name}: not in {folder}, left out")
    return found


def keep(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows of equal keys as a table, and write them as JSON to bench/results; without rows the results of before stay."""
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
