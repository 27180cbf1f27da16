"""Past lists as rows: one for each list that a publish changed, so that the list of any moment is the last row until then."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from models.results import RankedLists
from tasks.lake import SQL, Lake, writing
from tasks.privacy.opt_out import opt_out
from tests.tasks.minute.test_feed import minute
from tests.tasks.publish.test_minute import in_cart
from tests.tasks.publish.test_night import add_events, add_item, put, ranked, rows

NOW = """
    select scenario, user_id, list(item_id order by rank), list(source order by rank), list(reason order by rank), any_value(model_version)
    from (from recs.scenario_recommendations union all by name select 'default' as scenario, * from recs.recommendations)
    group by scenario, user_id order by all
"""
LAST = """
    select scenario, user_id, item_ids, sources, reasons, model_version from recs.list_history
    qualify row_number() over (partition by scenario, user_id order by published_at desc) = 1 and item_ids <> []
    order by all
"""


def without_version(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row[:-1] for row in found]


def history(lake: Lake, where: str = "true") -> list[tuple[Any, ...]]:
    return rows(
        lake, f"select user_id, item_ids, model_version from recs.list_history where {where} order by published_at, scenario, user_id"
    )


def test_a_publish_records_the_lists_that_it_changes_with_their_origin_and_no_others(lake: Lake) -> None:
    add_item(lake, "a", "Alpha")
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0], "v": [1, 2]}), "1")
    put(lake, ranked({"u": [0, 1], "v": [1, 2]}), "2")
    assert history(lake) == [("*", ["a", "b"], "1"), ("u", ["b", "a"], "1"), ("v", ["b", "c"], "1"), ("u", ["a", "b"], "2")]
    origin = "model_version, mlflow_run_id, flow_run_id, data_snapshot, publication_id, published_at"
    assert rows(lake, f"select distinct {origin} from recs.list_history order by all") == rows(
        lake, f"select {origin} from recs.publications order by all"
    )
    assert rows(lake, "select scores, probability, sources, reasons, scenario from recs.list_history where model_version = '2'") == [
        ([1.0, 0.0], 0.5, ["model", "model"], ["because it is in your history", "because of Alpha"], "default")
    ]


def test_the_last_row_of_every_list_is_the_published_list_after_nights_minutes_merges_and_withdrawals(lake: Lake) -> None:
    for item in "abcd":
        add_item(lake, item, item.upper())
    add_events(lake, ("u", "a", "view", 1), ("s", "a", "view", 2))
    put(lake, ranked({"u": [3, 0], "s": [0, 1], "gone": [1, 3], "only": [3, -1]}), in_places=in_cart("u", "s", "gone")["in_places"])
    add_events(lake, ("u", "b", "view", 3))
    minute(lake, **in_cart("u", changed_at=datetime(2026, 1, 2)))
    assert without_version(rows(lake, LAST)) == without_version(rows(lake, NOW))
    with writing(lake) as con:
        con.execute("insert into raw.user_aliases values ('s', 'u', '2026-01-02')")
        con.execute("update raw.items set is_available = false where item_id = 'd'")
    minute(lake, "3", extra=["u"], **in_cart("u", barred=[3], changed_at=datetime(2026, 1, 2)))
    assert without_version(rows(lake, LAST)) == without_version(rows(lake, NOW))
    assert {user for _, user, *_ in rows(lake, NOW)} == {"*", "u", "gone"}
    ended = rows(lake, "select scenario, user_id from recs.list_history where item_ids = [] order by all")
    assert ended == [("cart", "s"), ("default", "only"), ("default", "s")]
    put(lake, ranked({"u": [1, 2]}), "4")
    assert without_version(rows(lake, LAST)) == without_version(rows(lake, NOW))
    assert {scenario for scenario, *_ in rows(lake, LAST)} == {"default"}, "the lists of a scenario without tables have ended"


def test_lists_without_any_item_are_published_and_recorded(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 2]}), "1")
    put(lake, ranked({"u": [-1, -1]}), "2")
    assert history(lake, "model_version = '2' and user_id = 'u'") == [("u", [], "2")]


def test_a_repeated_night_records_nothing_twice(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    for _ in range(2):
        put(lake, ranked({"u": [0, 1]}))
        assert history(lake) == [("*", ["a", "b"], "1"), ("u", ["a", "b"], "1")]


def test_a_change_below_the_top_ten_is_a_changed_list(lake: Lake) -> None:
    lists = ranked({"u": [*range(11)]})
    catalog = [f"i{number:02}" for number in range(12)]
    put_long(lake, lists, catalog, "1")
    put_long(lake, ranked({"u": [*range(10), 11]}), catalog, "2")
    assert [(version, items[10:]) for _, items, version in history(lake, "user_id = 'u'")] == [("1", ["i10"]), ("2", ["i11"])]
    assert rows(lake, "select n_users_changed from recs.publications where model_version = '2'") == [(0,)]


def put_long(lake: Lake, lists: RankedLists, catalog: list[str], version: str) -> None:
    from models.results import Neighbours
    from tasks.publish.night import publish_night
    from tasks.publish.publication import Content
    from tests.tasks.publish.test_night import ANYONE, WEIGHTS, provenance

    none = Neighbours(np.empty((len(catalog), 0), np.int64), np.empty((len(catalog), 0), np.float32))
    publish_night(lake, Content(catalog, lists, ANYONE, none, 10, provenance(lake, version)), WEIGHTS)


@pytest.mark.slow
@pytest.mark.parametrize("is_known", [True, False])
def test_the_history_of_an_older_lake_begins_with_the_lists_that_it_has(lake: Lake, is_known: bool) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0], "v": [1, 2]}), in_places=in_cart("u")["in_places"])
    columns = "user_id, scenario, item_ids, scores, probability, sources, reasons, model_version, data_snapshot, generated_at"
    before = rows(lake, f"select {columns} from recs.list_history order by all")
    with writing(lake) as con:
        con.execute("drop table recs.list_history")
        if not is_known:
            con.execute("delete from recs.publications")
        con.execute((SQL / "schema" / "039_recs_list_history.sql").read_text())
    assert rows(lake, f"select {columns} from recs.list_history order by all") == before
    known = rows(lake, "select distinct publication_id, published_at from recs.list_history")
    published = rows(lake, "select publication_id, published_at from recs.publications")
    assert known == (published if is_known else [(None, datetime(2026, 1, 2, 3, 4, 5))])


def test_the_lists_of_an_older_lake_read_as_ranked(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0]}), in_places=in_cart("u")["in_places"])
    flat, nested = ("recs.recommendations", "recs.scenario_recommendations"), ("recs.list_history", "ops.served")
    with writing(lake) as con:
        con.execute(
            "insert into ops.served by name select 'r' as recommendation_id, 'default' as scenario, '1' as model_version,"
            " ['a', 'b'] as item_ids, ['popular', 'new'] as sources, now()::timestamp as served_at"
        )
        for table, columns in ((flat, ("slot", "propensity")), (nested, ("slots", "propensities"))):
            for name in table:
                for column in columns:
                    con.execute(f"alter table {name} drop column {column}")
    with writing(lake) as con:
        con.execute((SQL / "schema" / "043_slots.sql").read_text())
    for name in flat:
        assert rows(lake, f"select distinct slot, propensity from {name}") == [("ranked", 1.0)]
    for name in nested:
        assert rows(lake, f"select distinct slots, propensities from {name}") == [(["ranked", "ranked"], [1.0, 1.0])]


def test_files_of_the_history_are_compressed_more(lake: Lake) -> None:
    put(lake, ranked({f"u{number:02}": [0, 1] for number in range(20)}))
    ((file,),) = rows(lake, "select data_file from ducklake_list_files('lake', 'list_history', schema => 'recs')")
    assert rows(lake, f"select distinct compression from parquet_metadata('{file}')") == [("ZSTD",)]


def test_a_person_who_opts_out_has_no_list_of_their_own_from_then_on(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 1))
    put(lake, ranked({"u": [0, 1], "v": [0, 1]}), in_places=in_cart("u")["in_places"])
    opt_out(lake, ["u"])
    assert rows(lake, "select scenario, user_id from recs.list_history where item_ids = [] order by all") == [
        ("cart", "u"),
        ("default", "u"),
    ]
    assert rows(lake, LAST) == rows(lake, NOW)
