"""Files that look like events and are damaged, each in another place."""

from __future__ import annotations

import gzip
import tempfile
from functools import cache
from pathlib import Path

import duckdb

DAMAGED = {
    "middle.csv.gz": "cannot unpack middle.csv.gz: ",
    "start.csv.gz": "cannot unpack start.csv.gz: Error -3 while decompressing data",
    "sum.csv.gz": "cannot unpack sum.csv.gz: CRC check failed",
    "short.jsonl.gz": "cannot unpack short.jsonl.gz: Compressed file ended",
    "page.parquet": "cannot read page.parquet as parquet: don't know what type: ",
    "header.parquet": "cannot read header.parquet as parquet: TProtocolException: Invalid data",
}
"""Each file's name, and how its refusal begins."""


@cache
def damaged(name: str) -> bytes:
    """The content of one of them."""
    part, kind = name.split(".", maxsplit=1)
    whole = _whole(kind)
    half = len(whole) // 2
    match part:
        case "middle":
            return whole[:half] + bytes(200) + whole[half + 200 :]
        case "start":
            return whole[:10] + b"\xff" * 30 + whole[40:]
        case "sum":
            return whole[:-8] + b"12345678"
        case "header":
            return whole[:4] + bytes(40) + whole[44:]
        case "page":
            return whole[:4] + b"\xff" * 12 + whole[16:]
        case _:
            return whole[:half]


def _whole(kind: str) -> bytes:
    query = "select 'u' || hash(i) as user_id, 'i' || hash(i + 1) as item_id, 1700000000 + i as occurred_at from range(3000) as t (i)"
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        file = Path(folder) / "whole"
        form = {"csv.gz": "csv", "jsonl.gz": "json", "parquet": "parquet"}[kind]
        con.execute(f"copy ({query}) to '{file}' (format {form})")
        return gzip.compress(file.read_bytes(), mtime=0) if kind.endswith(".gz") else file.read_bytes()
