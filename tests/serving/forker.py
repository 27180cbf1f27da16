"""Serves a home in forked children, one at a time: a child starts at once, as this process has the imports already.

Reads lines from standard input. A line with a port starts a child, `kill` kills it; each line is answered by `done`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import uvicorn

import serving.app
import serving.segments
from models.config import EncoderConfig
from serving.live import Live
from serving.segments import Segments
from tasks.config import IngestConfig
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import LakeConfig, locate
from tests.serving.shop import MODEL, no_registry


def serve(home: Path, config: LakeConfig, port: int) -> None:
    """Serve until a signal. Segments close, and publications are looked for, many times a second."""
    serving.segments.SECONDS_OPEN, serving.app.SECONDS_BETWEEN_LOOKS = 0.2, 0.1
    log = Segments(home / "serving" / "events", home / "landing")
    encoder = EncoderConfig(name=str(home / "encoder"))
    live = Live.start(locate(config, home), no_registry, encoder, EVENT_WEIGHTS, MODEL.max_events, log, home)
    uvicorn.run(serving.app.create_app(live, IngestConfig()), host="127.0.0.1", port=port, log_level="error")


def main(home: Path, catalog: str = "", data_path: str = "") -> None:
    """Execute orders until standard input ends."""
    child = 0
    for line in sys.stdin:
        if line.strip() == "kill":
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        else:
            child = os.fork()
            if not child:
                serve(home, LakeConfig(catalog=catalog, data_path=data_path), int(line))
                os._exit(0)
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
