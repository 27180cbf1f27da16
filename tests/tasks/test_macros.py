"""Shared SQL expressions exist once, in sql/macros, and every connection of the lake has them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from tasks.lake import SQL, Lake, reading, writing

TEXTS = {str(file.relative_to(SQL)): re.sub(r"--[^\n]*", "", file.read_text(encoding="utf-8")) for file in sorted(SQL.rglob("*.sql"))}
SHARED = {
    "all_items": r"list_distinct\(\s*list_concat\(",
    "fingerprint": r"bit_xor\(",
    "happened_at": r"least\([^()]*(occurred_at[^()]*received_at|received_at[^()]*occurred_at)",
    "histories_of": r"order by (\w+\.)?occurred_at desc, (\w+\.)?position\b",
    "weight_of": r"list_position\(\s*\$?event_types\b",
}
NOON = datetime(2026, 1, 1, 12)


def _called(macro: str, text: str) -> bool:
    return re.search(rf"\b{macro}\(", text) is not None


def test_every_shared_macro_has_a_test_that_it_exists_once() -> None:
    assert sorted(SHARED) == sorted(file.stem for file in (SQL / "macros").glob("*.sql"))


@pytest.mark.parametrize("macro", SHARED)
def test_a_shared_expression_stands_in_one_file_and_several_statements_call_it(macro: str) -> None:
    own = f"macros/{macro}.sql"
    spelt_out = [name for name, text in TEXTS.items() if re.search(SHARED[macro], text) and not name.startswith("schema/")]
    assert spelt_out == [own], "a view cannot call a macro, so it spells the expression out"
    assert len([name for name, text in TEXTS.items() if name != own and _called(macro, text)]) > 1


def test_tables_and_views_of_the_lake_call_no_macro_so_that_plain_duckdb_can_read_them() -> None:
    macros = [file.stem for file in SQL.rglob("macros/*.sql")]
    assert [(name, macro) for name, text in TEXTS.items() if name.startswith("schema/") for macro in macros if _called(macro, text)] == []


def test_readers_writers_and_pinned_readers_know_the_macros(lake: Lake) -> None:
    question = "select happened_at(timestamp '2026-01-02', timestamp '2026-01-01')::varchar, weight_of('buy', ['view', 'buy'], [1.0, 5.0])"
    for opened in (reading(lake), reading(lake, snapshot=1), writing(lake)):
        with opened as con:
            assert con.execute(question).fetchall() == [("2026-01-01 00:00:00", 5.0)]


def test_a_type_without_a_weight_counts_as_one(lake: Lake) -> None:
    with reading(lake) as con:
        assert con.execute("select weight_of('share', ['view'], [0.5]), weight_of('share', [], [])").fetchall() == [(1.0, 1.0)]


def test_a_history_is_ordered_by_time_then_position_and_keeps_the_items_of_earlier_events_apart(lake: Lake) -> None:
    later = NOON + timedelta(hours=1)
    with reading(lake) as con:
        columns = "user_id text, item_id text, event_type text, occurred_at timestamp, trend float, position bigint"
        con.execute(f"create temp table taught ({columns})")
        con.executemany(
            "insert into taught values (?, ?, ?, ?, ?, ?)",
            [
                ("u", "last", "view", later, 3.0, 1),
                ("u", "tie", "buy", NOON, None, 5),
                ("u", "z", "view", NOON, 1.0, -2),
                ("u", "a", "view", NOON, 1.0, -3),
                ("u", "a", "view", NOON, 1.0, -4),
                ("v", "only", "view", NOON, 0.0, 0),
            ],
        )
        assert con.execute("select * from histories_of('taught', 2) order by user_id").fetchall() == [
            ("u", ["tie", "last"], ["buy", "view"], [NOON, later], [None, 3.0], ["a", "z"], 5),
            ("v", ["only"], ["view"], [NOON], [0.0], [], 1),
        ]
