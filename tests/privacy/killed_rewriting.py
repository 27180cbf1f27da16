"""A process that turns the ids of a lake into pseudonyms, then its files, and is killed on the way."""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.erasure.progress import rewrite_files
from tasks.lake import Lake
from tasks.privacy import files, pseudonyms
from tests.flows.forker import kill_at


def main(catalog: str, data_path: str, lock_path: str, moment: str) -> None:
    files.READERS_S = 0.0
    lake = Lake(catalog, data_path, Path(lock_path), 5000, 60, threads=1)
    kill_at(moment)
    pseudonyms.rewrite(lake)
    rewrite_files(lake)


if __name__ == "__main__":
    main(*sys.argv[1:])
