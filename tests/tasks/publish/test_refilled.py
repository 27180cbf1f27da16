"""A name that is registered again within a transaction: its new rows are read, and its old ones are freed."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from tasks.publish.refilled import refilling


def rows(number: int, kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"number": pa.array([number] * 100_000, pa.int64() if kind is None else kind)})


@pytest.mark.parametrize("as_reader", [False, True], ids=["tables", "readers"])
def test_rows_that_a_name_stood_for_are_freed_before_the_commit(as_reader: bool) -> None:
    plain = duckdb.connect()
    con = refilling(plain)
    con.begin()
    con.execute("create table found (number bigint)")
    before = pa.total_allocated_bytes()
    for number in range(10):
        table = rows(number)
        con.register("portion", table.to_reader() if as_reader else table)
        con.execute("insert into found select number from portion where number >= 0")
        del table
    assert pa.total_allocated_bytes() - before < 3 * 8 * 100_000, "of ten portions, at most the last ones are held"
    con.commit()
    assert plain.execute("select sum(number), count(distinct number), count(*) from found").fetchall() == [(4_500_000, 10, 1_000_000)]


def test_a_name_can_change_its_types() -> None:
    con = refilling(duckdb.connect())
    for number, kind in enumerate((pa.int64(), pa.string(), pa.int64())):
        con.register("portion", rows(number, kind) if kind != pa.string() else pa.table({"number": ["one"]}))
        (found,) = con.execute("select max(number) from portion").fetchone() or (None,)
        assert found == (number if number != 1 else "one")
