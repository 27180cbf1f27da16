"""One rollback to version 1 of a home, for bench.rollback, which runs it in a process of its own.

Loads what the command loads until readers see the lists: no MLflow, no torch.
"""

from __future__ import annotations

import json
import resource
from datetime import UTC, datetime
from pathlib import Path

from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import LakeConfig, locate
from tasks.publish.past import past_publication
from tasks.publish.publication import Files
from tasks.publish.restore import restore
from tasks.scenarios import load_scenarios


def go_back(home: str) -> None:
    """Print the seconds of the transaction and of the processor."""
    folder = Path(home)
    lake = locate(LakeConfig(), folder)
    found = past_publication(lake, "1")
    assert found is not None
    now = datetime.now(UTC).replace(tzinfo=None)
    done = restore(lake, found.with_files(Files(folder, None), 0), "rollback", load_scenarios(folder), EVENT_WEIGHTS, now)
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"transaction_s": done.publication.seconds, "cpu_s": round(used.ru_utime + used.ru_stime, 2)}
    print(json.dumps(figures))
