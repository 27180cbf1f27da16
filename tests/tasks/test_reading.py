"""Answers for people: lists and their fallback, similar items, the status, and read-only SQL."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from models.errors import UserError
from models.results import MetricRow, SeenItems
from tasks.lake import Lake, LakeConfig, locate, writing
from tasks.publish.night import write_offline_metrics
from tasks.reading import age, export, freshness_by_hour, lists_of, one_line, query, similar, status
from tests import lakes as shop
from tests.tasks.minute.test_feed import minute
from tests.tasks.publish.test_night import add_events, add_item, provenance, put, ranked, snapshot_of


def test_an_empty_lake_and_an_untrained_one_say_which_command_comes_next(home: Path, lake: Lake) -> None:
    with pytest.raises(UserError, match=r"there is no lake at .* minutehand ingest events FILE"):
        lists_of(locate(LakeConfig(), home / "elsewhere"), ["u"], 5)
    with pytest.raises(UserError, match=r"the lake is empty; .* minutehand ingest events FILE"):
        lists_of(lake, ["u"], 5)
    assert status(lake)[-1] == {
        "what": "next",
        "value": "take in events first: minutehand ingest events FILE, or minutehand simulate for a made-up shop",
    }
    add_events(lake, ("u", "a", "view", 1))
    for ask in (partial(lists_of, lake, ["u"]), partial(similar, lake, "u")):
        with pytest.raises(UserError, match="nothing has been published yet; minutehand nightly"):
            ask(5)
    assert "minutehand nightly" in status(lake)[-1]["value"]


def test_lists_have_titles_and_unknown_users_get_the_list_for_anyone_with_a_note(lake: Lake) -> None:
    add_item(lake, "a", "Alpha")
    add_events(lake, ("u", "a", "view", 1), ("late", "a", "view", 1))
    put(lake, ranked({"u": [2, 0, 1]}))
    found = lists_of(lake, ["u"], 2)[0].rows
    assert [(row["rank"], row["item_id"], row["title"], row["source"]) for row in found] == [
        (1, "c", None, "model"),
        (2, "a", "Alpha", "model"),
    ]
    own, late, nobody = lists_of(lake, ["u", "late", "o'brien"], 1)
    assert (own.rows, own.note) == (found[:1], None)
    assert late.note == "user late has events, but no list yet; this is the list for anyone"
    assert nobody.note == "nobody called o'brien has history; this is the list for anyone"
    assert [(row["user_id"], row["item_id"], row["source"]) for row in nobody.rows] == [("o'brien", "a", "popular")]


def test_an_id_that_was_merged_into_a_user_gets_the_list_of_this_user(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [2, 0, 1]}))
    with writing(lake) as con:
        con.execute("insert into raw.user_aliases values ('s9', 'u', '2026-01-01')")
    own, merged = lists_of(lake, ["u", "s9"], 2)
    assert [row["item_id"] for row in merged.rows] == [row["item_id"] for row in own.rows] == ["c", "a"]
    assert {row["user_id"] for row in merged.rows} == {"s9"}
    assert merged.note == "s9 was merged into user u: this is what is known about both"
    with writing(lake) as con:
        con.execute("drop table raw.user_aliases")
    assert lists_of(lake, ["u"], 2)[0].rows == own.rows, "a lake of an earlier version"


def test_a_user_whose_list_of_a_scenario_is_not_made_yet_learns_when_it_will_be(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [2, 0, 1]}))
    with writing(lake) as con:
        con.execute("insert into ops.scenarios (scenario, settings, allowed_hash) values ('cart', '{}', '')")
    (found,) = lists_of(lake, ["u"], 2, "cart")
    assert found.note is not None
    assert found.note.startswith(
        "user u has no list of scenario 'cart' yet: each minute run makes the lists of those who did something, and"
    )
    assert "500 others" in found.note


@pytest.mark.slow
def test_an_unknown_user_who_resembles_a_known_one_is_asked_whether_that_one_was_meant(lake: Lake) -> None:
    add_events(lake, *((user, "a", "view", 1) for user in ("u42", "42", " 7", "0", "other")))
    put(lake, ranked({"u42": [1]}))

    def note(user: str) -> str | None:
        (found,) = lists_of(lake, [user], 1)
        return found.note

    for asked, meant in (("U42", "'u42'"), (" 42", "'42'"), ("042", "'42'"), ("7", "' 7'"), ("00", "'0'")):
        assert note(asked) == f"nobody called {asked} has history (did you mean {meant}?); this is the list for anyone"
    for stranger in ("u43", "420", "  "):
        assert note(stranger) == f"nobody called {stranger} has history; this is the list for anyone"
    assert note("u42") is None


def test_the_nearest_neighbours_come_first_and_an_unknown_item_gets_proposals(lake: Lake) -> None:
    for item, title in (("a", "The Heat"), ("heat-2", None), ("new", "Newcomer")):
        add_item(lake, item, title)
    put(lake, ranked({"u": [0]}))
    assert [(row["item_id"], row["title"]) for row in similar(lake, "c", 2)] == [("a", "The Heat"), ("b", None)]
    with pytest.raises(UserError, match=r"no item 'heat'; did you mean a \(The Heat\), heat-2\?"):
        similar(lake, "heat", 5)
    with pytest.raises(UserError, match="no item '0'; their ids: minutehand sql"):
        similar(lake, "0", 5)
    with pytest.raises(UserError, match="the live model has not seen it"):
        similar(lake, "new", 5)


def test_status_names_the_live_model_and_compares_it_with_the_best_baseline_of_its_own_night(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    live, later = provenance(lake, "1"), provenance(lake, "2")
    figures = {"minutehand": 0.2, "recent_popular": 0.15, "item_knn": 0.1}
    write_offline_metrics(lake, [MetricRow(model, "all", "ndcg_at_10", value, 9) for model, value in figures.items()], live)
    write_offline_metrics(
        lake, [MetricRow("minutehand", "all", "ndcg_at_10", 0.01, 9), MetricRow("most_popular", "all", "ndcg_at_10", 0.9, 9)], later
    )
    put(lake, ranked({"u": [1]}))
    found = {row["what"]: row["value"] for row in status(lake)}
    assert (found["events"], found["users"], found["items"], found["live model"], found["users with a list"]) == (1, 1, 0, "version 1", 1)
    assert live.data_snapshot < found["snapshot of the lists"] < found["snapshot"]
    assert (found["hold-out NDCG@10"], found["best baseline"]) == ("0.2000, with the previous event known", "recent_popular 0.1500")
    assert "hold-out NDCG@10 served" not in found, "an older night did not measure it"
    assert found["published"].endswith("ago")


def test_status_shows_the_quality_of_served_lists_first(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    served = {"minutehand": 0.125, "recent_popular": 0.06, "item_knn": 0.1}
    rows = [MetricRow(model, "all", "ndcg_at_10_served", value, 9) for model, value in served.items()]
    rows += [MetricRow(model, "all", "ndcg_at_10", value, 9) for model, value in (("minutehand", 0.22), ("recent_popular", 0.3))]
    rows += [MetricRow("minutehand", "all", "ndcg_at_10_served_lift", 0.025, 9, 0.01, 0.04)]
    write_offline_metrics(lake, rows, provenance(lake, "1"))
    put(lake, ranked({"u": [1]}))
    found = [(row["what"], row["value"]) for row in status(lake)]
    place = [what for what, _ in found].index("hold-out NDCG@10 served")
    assert found[place : place + 4] == [
        ("hold-out NDCG@10 served", "0.1250, from lists one minute old"),
        ("best baseline", "item_knn 0.1000"),
        ("gain over it", "+0.0250 (95 %: +0.0100 to +0.0400)"),
        ("hold-out NDCG@10", "0.2200, with the previous event known"),
    ]


@pytest.mark.slow
def test_status_counts_unprocessed_events_and_shows_the_delay_of_the_last_hour(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1], "v": [1]}))
    add_events(lake, ("u", "b", "view", 2), ("u", None, "search", 3))
    first = snapshot_of(lake)
    minute(lake, learns=False)
    add_events(lake, ("w", "b", "view", 4), ("w", "c", "view", 5))
    with writing(lake) as con:
        con.execute(
            "update ops.freshness set received_at = generated_at - interval 42 second, occurred_at = generated_at - interval 99 second"
        )
    found = {row["what"]: row["value"] for row in status(lake, now=datetime(2026, 1, 2, 5))}
    assert (found["live model"], found["users with a list"]) == ("version 2", 2)
    assert found["published up to snapshot"] == f"{first}, 2 events are not yet in the lists"
    assert found["learnt up to snapshot"].endswith(", 3 events are not yet in the live model")
    assert found["list delay after arrival"] == "p50 42 s, p95 42 s, max 42 s (1 user in the last hour)"
    assert found["list delay after event"] == "p50 99 s, p95 99 s, max 99 s (1 user in the last hour)"
    assert not [row["what"] for row in status(lake, now=datetime(2026, 1, 2, 6)) if "delay" in row["what"]]
    found = {row["what"]: row["value"] for row in status(lake, ignored_types=["return", "view"])}
    assert found["learnt up to snapshot"].endswith(", all events are in the live model")


def test_a_file_of_old_events_looks_neither_stale_nor_fresh(lake: Lake) -> None:
    """The events of the file happened long ago and arrived just now: the delay counts from the arrival, and no event is live."""
    shop.put(lake, [("u", "a", 1)])
    put(lake, ranked({"u": [1]}))
    with writing(lake) as con:
        con.execute(
            "insert into raw.events by name select event_id || '-' || user_id as event_id, user_id, 'b' as item_id, 'view' as event_type, "
            "occurred_at::timestamp as occurred_at, '2026-01-02 04:04:00'::timestamp as received_at from (values "
            "('old', 'u', '2025-03-01'), ('old', 'v', '2025-03-02'), ('live', 'v', '2026-01-02 04:03:00'), "
            "('ahead', 'w', '2026-01-02 05:00:00')) as file (event_id, user_id, occurred_at)"
        )
    minute(lake)  # at 04:05:06
    found = {row["what"]: row["value"] for row in status(lake, now=datetime(2026, 1, 2, 4, 6))}
    assert found["newest event happened"] == found["newest event arrived"] == "2026-01-02 04:04:00 UTC, 2 minutes ago"
    assert found["list delay after arrival"] == "p50 66 s, p95 66 s, max 66 s (3 users in the last hour)"
    assert found["list delay after event"] == "p50 96 s, p95 123 s, max 126 s (2 users in the last hour)"


def test_the_newest_event_of_an_old_file_happened_long_ago_and_arrived_now(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    found = {row["what"]: row["value"] for row in status(lake)}
    assert found["newest event happened"].startswith("1970-01-01 00:00:01 UTC, ")
    assert found["newest event arrived"].endswith((" seconds ago", " second ago"))


@pytest.mark.slow
def test_status_says_whether_seen_items_are_hidden_and_why(lake: Lake) -> None:
    def shown(decision: SeenItems | None) -> str | None:
        put(lake, ranked({"u": [1]}), seen_items=decision)
        return {row["what"]: row["value"] for row in status(lake)}.get("seen items")

    add_events(lake, ("u", "a", "view", 1))
    auto = "of the training events are repeats, and auto shows them from 5% on"
    assert shown(SeenItems(False, "auto", 0.05)) == f"shown again: 5.00% {auto}"
    by_setting = "hidden: MINUTEHAND_EVALUATION__SEEN_ITEMS was hide; 20.00% of the training events are repeats"
    assert shown(SeenItems(True, "hide", 0.2)) == by_setting


def test_a_lake_without_a_newer_column_says_what_adds_it(lake: Lake) -> None:
    put(lake, ranked({"u": [1]}))
    with writing(lake) as con:
        con.execute("alter table recs.publications drop column champion")
    with pytest.raises(UserError, match="any minutehand ingest adds them"):
        status(lake)


def test_status_says_if_upkeep_has_deleted_the_snapshots_of_unprocessed_events(lake: Lake) -> None:
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "a", "view", 1))
    add_events(lake, ("u", "b", "view", 2))
    with writing(lake) as con:  # minutehand's own upkeep keeps these snapshots
        con.execute("call ducklake_expire_snapshots('lake', older_than => now() + interval 1 hour)")
    found = {row["what"]: row["value"] for row in status(lake)}
    assert "minutehand nightly trains a new model on all events" in found["learnt up to snapshot"]


def hour(time: str, users: int, arrived: Sequence[float], live_users: int, happened: Sequence[float | None]) -> dict[str, object]:
    names = [f"{since}_{name}_s" for since in ("arrived", "happened") for name in ("p50", "p95", "max")]
    waits = dict(zip(names, (*arrived, *happened), strict=True))
    return {"hour": f"2026-01-02 {time}", "users": users, "live_users": live_users, **waits}


def test_freshness_by_hour_has_the_last_hours_newest_first(lake: Lake) -> None:
    put(lake, ranked({"u": [1]}))
    waits = [("2026-01-02 02:59:00", 30), ("2026-01-02 04:10:00", 10), ("2026-01-02 04:20:00", 20.25), ("2026-01-02 05:00:00", 61)]
    with writing(lake) as con:
        for made, wait_s in waits:
            moments = f"'{made}'::timestamp - interval '{wait_s} seconds' as received_at, '{made}'::timestamp as generated_at"
            con.execute(f"insert into ops.freshness by name select 'p' as publication_id, 'u' as user_id, {moments}")
        con.execute("update ops.freshness set occurred_at = received_at - interval 5 second where generated_at = '2026-01-02 05:00:00'")
    assert freshness_by_hour(lake, hours=2, now=datetime(2026, 1, 2, 5, 30)) == [
        hour("05:00", 1, (61.0, 61.0, 61.0), 1, (66.0, 66.0, 66.0)),
        hour("04:00", 2, (15.1, 19.7, 20.3), 0, (None, None, None)),
    ]


def test_a_query_starts_with_from_keeps_columns_of_one_name_apart_and_changes_nothing(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 1))
    assert query(lake, "from raw.events select user_id order by all").rows == [{"user_id": "u"}, {"user_id": "v"}]
    cut = query(lake, "from raw.events", max_rows=1)
    assert (len(cut.rows), cut.is_cut) == (1, True)
    assert not query(lake, "from raw.events", max_rows=2).is_cut
    assert query(lake, "select 1 as a, 2 as a, 3 as a").rows == [{"a": 1, "a_1": 2, "a_2": 3}]
    for sql, message in (
        ("delete from raw.events", "read-only"),
        ("from raw.nothing", "does not exist"),
        ("selec", "syntax error"),
        (" ", "no statement"),
        ("select cast('x' as int)", "Could not convert"),
    ):
        with pytest.raises(UserError, match=message) as refused:
            query(lake, sql)
        assert "\n" not in str(refused.value)
    assert len(query(lake, "from raw.events").rows) == 2


def test_an_export_has_the_rows_of_the_query_in_each_format(lake: Lake, tmp_path: Path) -> None:
    add_events(lake, ("u", "a", "view", 1), ("v", "b", "view", 2))
    os.umask(0o077)
    for ending in (".csv", ".parquet", ".json"):
        file = tmp_path / f"mail{ending}"
        assert export(lake, "from raw.events select user_id, item_id order by all; -- both", file) == 2
        assert query(lake, f"from '{file}' order by all").rows == [{"user_id": "u", "item_id": "a"}, {"user_id": "v", "item_id": "b"}]
        assert file.stat().st_mode & 0o777 == 0o600
        assert export(lake, "show databases", file, force=True) == 2
        assert export(lake, "pivot (select user_id from raw.events) on user_id using count(*)", file, force=True) == 1
    assert export(lake, "select 1 as a, 2 as a, 'nan'::double as n", tmp_path / "mail.json", force=True) == 1
    assert json.loads((tmp_path / "mail.json").read_text()) == [{"a": 1, "a_1": 2, "n": None}]
    assert export(lake, "select 1 where false", tmp_path / "none.json") == 0
    assert json.loads((tmp_path / "none.json").read_text()) == []


def test_an_export_overwrites_only_by_force_and_leaves_nothing_half_written(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "mail.csv"
    file.write_text("keep")
    file.chmod(0o644)
    with pytest.raises(UserError, match=r"is there already; .* --force"):
        export(lake, "select 1", file)
    with pytest.raises(UserError, match="no number"):
        export(lake, "select case when range < 50000 then range else error('no number') end from range(60000)", file, force=True)
    assert file.read_text() == "keep"
    assert export(lake, "select 1 as a", file, force=True) == 1
    assert file.read_text() == "a\n1\n"
    assert file.stat().st_mode & 0o777 == 0o644
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is there already"):
        export(lake, "select 1", link)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["link.csv", "mail.csv"]


def test_an_impossible_export_says_why(lake: Lake, tmp_path: Path) -> None:
    inside, home = lake.lock_path.parent / "mail.csv", lake.lock_path.parent.parent
    for sql, file, message in (
        ("select 1", tmp_path / "mail.txt", r"ends in \.csv, \.parquet, \.json"),
        ("select 1", tmp_path / "mail", "ends in"),
        ("select 1", tmp_path / "none" / "mail.csv", "cannot write .* name a file in a folder"),
        ("select 1", inside, "in the lake itself"),
        ("select 1", home / "mlflow" / "artifacts" / "checkpoint.json", "where minutehand keeps its own files"),
        ("select 1", home / "up.json", "where minutehand keeps its own files"),
        ("explain select 1", tmp_path / "mail.csv", "EXPLAIN"),
        ("delete from raw.events", tmp_path / "mail.csv", "DELETE"),
        ("select 1) to 'other.csv' (format csv) --", tmp_path / "mail.csv", "syntax error"),
    ):
        with pytest.raises(UserError, match=message):
            export(lake, sql, file, force=True)
        assert not file.exists()
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    with pytest.raises(UserError, match="is a folder"):
        export(lake, "select 1", folder, force=True)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(0), "0 seconds ago"),
        (timedelta(seconds=61), "1 minute ago"),
        (timedelta(hours=49), "2 days ago"),
        (-timedelta(hours=3), "in 3 hours"),
    ],
)
def test_an_age_is_in_the_largest_unit_that_fits(ago: timedelta, words: str) -> None:
    now = datetime(2026, 1, 1)
    assert age(now - ago, now) == words


def test_one_line_drops_the_copy_of_the_statement_from_a_duckdb_message() -> None:
    assert one_line("Parser Error: no\n\nLINE 1: selec\n        ^") == "Parser Error: no"


@pytest.mark.slow
def test_status_shows_an_increment_with_the_hold_out_of_its_nightly_version(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    for version, value in (("1", 0.2), ("2", 0.01)):  # the second night was refused
        write_offline_metrics(lake, [MetricRow("minutehand", "all", "ndcg_at_10", value, 9)], provenance(lake, version))
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "b", "view", 2))
    minute(lake, "3", champion="1", prequential=[MetricRow("nightly", "all", "ndcg_at_10", 0.3, 1)], versions={"nightly": "0"})
    found = {row["what"]: row["value"] for row in status(lake)}
    assert (found["live model"], found["hold-out NDCG@10"]) == ("version 3", "0.2000, with the previous event known")
