"""Rows that statements of one long transaction read under the same name, one portion after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import duckdb
import pyarrow as pa


@dataclass
class _Portion:
    """What a registered name stands for at the moment: a table, or a reader that can be consumed once."""

    rows: Any

    def __arrow_c_schema__(self) -> object:
        return self.rows.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.rows.__arrow_c_stream__(requested_schema)


class _Refilling:
    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._portions: dict[str, _Portion] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def register(self, name: str, rows: Any) -> None:
        known = self._portions.get(name)
        if known is not None and isinstance(rows, pa.Table | pa.RecordBatchReader) and known.rows.schema.equals(rows.schema):
            known.rows = rows
            return
        if isinstance(rows, pa.Table | pa.RecordBatchReader):
            rows = self._portions[name] = _Portion(rows)
        self._con.register(name, rows)


def refilling(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The connection, for many rounds of the same statements in one transaction.

    DuckDB keeps what a name stood for until the transaction ends, in case somebody asks for an older state of its temporary views. Here,
    a name that is registered again with rows of the same types is refilled, so that what it stood for before is freed.
    """
    return cast(duckdb.DuckDBPyConnection, _Refilling(con))
