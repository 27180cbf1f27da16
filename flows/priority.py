"""The processor priority of scheduled runs: below the API, which answers in milliseconds, and below other programs of the machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 10
AUTOGROUP = Path("/proc/self/autogroup")
"""Linux may weigh sessions instead of processes. A worker starts each run in a session of its own, whose weight this file sets."""


def give_way() -> None:
    """Lower the priority of this process if a worker started it for a run. On an idle machine a run takes as long as before."""
    if "PREFECT__FLOW_RUN_ID" not in os.environ:
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    with suppress(OSError):
        AUTOGROUP.write_text(str(NICENESS))
