"""One run of the minute flow in a home, as JSON (seconds per stage, lists, memory): python -m bench.one_minute HOME."""

from __future__ import annotations

import json
import logging
import os
import sys


class Stages(logging.Handler):
    """Keeps the seconds that each stage logs."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        name = str(vars(record)["stage"])
        self.seconds[name] = self.seconds.get(name, 0.0) + float(vars(record)["seconds"])


def run(home: str) -> dict[str, float]:
    """Run the real flow. passed: 1 if the gate accepted the update; n_lists: number of user lists."""
    os.environ["MINUTEHAND_HOME"] = home
    from cli.environment import prepare
    from settings import load

    settings = load()
    prepare(settings)

    from flows.minute import minute
    from tasks.lake import locate, reading
    from tasks.publish.pointer import live_version

    stages, lake = Stages(), locate(settings.lake, settings.home, settings.store)
    logger = logging.getLogger("minutehand.stages")
    logger.setLevel(logging.INFO)
    logger.addHandler(stages)
    before = live_version(lake)
    after = minute()
    with reading(lake) as con:
        (n_lists,) = con.execute("select n_users from recs.publications order by published_at desc limit 1").fetchone() or (0,)

    from tasks.process import peak_mib  # imported late, because it loads torch

    return {**stages.seconds, "n_lists": n_lists, "passed": float(after != before), "peak_mib": peak_mib()}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1])))
