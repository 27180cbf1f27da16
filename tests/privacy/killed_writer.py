"""A process that writes a Parquet file into a lake and dies before it commits."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tasks.lake import Lake, writing

INSERT = "insert into raw.events by name select e.* replace ($person as user_id) from raw.events as e"


def main(catalog: str, data_path: str, lock_path: str, person: str) -> None:
    with writing(Lake(catalog, data_path, Path(lock_path), 5000, 60, threads=1)) as con:
        con.execute(INSERT, {"person": person})
        os._exit(9)


if __name__ == "__main__":
    main(*sys.argv[1:])
