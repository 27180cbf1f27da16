"""What people are told: their lists, whose list it is otherwise, what comes next, how old and how good."""

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


def test_an_unknown_user_who_resembles_a_known_one_is_asked_whether_that_one_was_meant(lake: Lake) -> None:
    add_events(lake, *((user, "a", "view", 1) for user in ("u42", "42", " 7", "0", "other")))
    put(lake, ranked({"u42": [1]}))

    def note(user: str) -> str | None:
        (found,) = lists_of(lake, [user], 1)
        return found.note

    for asked, meant in (("U42", "'u42'"), (" 42", "'42'"), ("042", "'42'"), ("7", "' 7'"), ("00", "'0'")):
        assert note(asked) == f"nobody called {asked} has history (did you mean {meant}?); this is the list for anyone"
    for stranger in ("u43", "4", "420", "u 42", "", "  "):
        assert note(stranger) == f"nobody called {stranger} has history; this is the list for anyone"
    assert note("u42") is None


def test_neighbours_are_the_nearest_first_and_an_unknown_item_meets_those_that_may_be_meant(lake: Lake) -> None:
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
    told = {row["what"]: row["value"] for row in status(lake)}
    assert (told["events"], told["users"], told["items"], told["live model"], told["users with a list"]) == (1, 1, 0, "version 1", 1)
    assert live.data_snapshot < told["lists of snapshot"] < told["snapshot"]
    assert (told["hold-out NDCG@10"], told["best baseline"]) == ("0.2000, the event before known", "recent_popular 0.1500")
    assert "hold-out NDCG@10 served" not in told, "a night of before, which did not measure it"
    assert told["published"].endswith("ago")


def test_status_says_first_how_good_lists_are_as_users_get_them(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    served = {"minutehand": 0.125, "recent_popular": 0.06, "item_knn": 0.1}
    rows = [MetricRow(model, "all", "ndcg_at_10_served", value, 9) for model, value in served.items()]
    rows += [MetricRow(model, "all", "ndcg_at_10", value, 9) for model, value in (("minutehand", 0.22), ("recent_popular", 0.3))]
    rows += [MetricRow("minutehand", "all", "ndcg_at_10_served_lift", 0.025, 9, 0.01, 0.04)]
    write_offline_metrics(lake, rows, provenance(lake, "1"))
    put(lake, ranked({"u": [1]}))
    told = [(row["what"], row["value"]) for row in status(lake)]
    place = [what for what, _ in told].index("hold-out NDCG@10 served")
    assert told[place : place + 4] == [
        ("hold-out NDCG@10 served", "0.1250, by lists a minute old"),
        ("best baseline", "item_knn 0.1000"),
        ("gain on it", "+0.0250 (95 %: +0.0100 to +0.0400)"),
        ("hold-out NDCG@10", "0.2200, the event before known"),
    ]


def test_status_tells_what_waits_and_how_fresh_the_lists_of_the_hour_are(lake: Lake) -> None:
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
    told = {row["what"]: row["value"] for row in status(lake, now=datetime(2026, 1, 2, 5))}
    assert (told["live model"], told["users with a list"]) == ("version 2", 2)
    assert told["published up to snapshot"] == f"{first}, 2 events wait"
    assert told["learnt up to snapshot"].endswith(", 3 events wait")
    assert told["lists follow what arrived"] == "p50 42 s, p95 42 s, max 42 s (1 user in the last hour)"
    assert told["lists follow what happened"] == "p50 99 s, p95 99 s, max 99 s (1 user in the last hour)"
    assert not [row["what"] for row in status(lake, now=datetime(2026, 1, 2, 6)) if "follow" in row["what"]]
    told = {row["what"]: row["value"] for row in status(lake, ignored_types=["return", "view"])}
    assert told["learnt up to snapshot"].endswith(", 0 events wait")


def test_a_file_of_old_events_looks_neither_stale_nor_fresh(lake: Lake) -> None:
    """What it holds happened long ago and arrived just now: the lists follow its arrival, and nothing live happened."""
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
    told = {row["what"]: row["value"] for row in status(lake, now=datetime(2026, 1, 2, 4, 6))}
    assert told["newest event happened"] == told["newest event arrived"] == "2026-01-02 04:04:00 UTC, 2 minutes ago"
    assert told["lists follow what arrived"] == "p50 66 s, p95 66 s, max 66 s (3 users in the last hour)"
    assert told["lists follow what happened"] == "p50 96 s, p95 123 s, max 126 s (2 users in the last hour)"


def test_the_newest_event_of_an_old_file_happened_long_ago_and_arrived_now(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    told = {row["what"]: row["value"] for row in status(lake)}
    assert told["newest event happened"].startswith("1970-01-01 00:00:01 UTC, ")
    assert told["newest event arrived"].endswith((" seconds ago", " second ago"))


def test_status_says_whether_items_that_users_had_are_hidden_and_why(lake: Lake) -> None:
    def told(decision: SeenItems | None) -> str | None:
        put(lake, ranked({"u": [1]}), seen_items=decision)
        return {row["what"]: row["value"] for row in status(lake)}.get("items users had")

    add_events(lake, ("u", "a", "view", 1))
    auto = "of the training events are repeats, and auto shows them from 5% on"
    assert told(SeenItems(True, "auto", 0.0123)) == f"hidden: 1.23% {auto}"
    assert told(SeenItems(False, "auto", 0.05)) == f"shown again: 5.00% {auto}"
    by_hand = "hidden: MINUTEHAND_EVALUATION__SEEN_ITEMS was hide; 20.00% of the training events are repeats"
    assert told(SeenItems(True, "hide", 0.2)) == by_hand
    assert told(SeenItems(False)) == "shown again"  # by a version of before the share was kept
    assert told(None) is None


def test_a_lake_of_before_a_column_says_what_adds_it(lake: Lake) -> None:
    put(lake, ranked({"u": [1]}))
    with writing(lake) as con:
        con.execute("alter table recs.publications drop column champion")
    with pytest.raises(UserError, match="any minutehand ingest adds them"):
        status(lake)


def test_status_says_so_where_the_lake_has_let_go_of_what_waits(lake: Lake) -> None:
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "a", "view", 1))
    add_events(lake, ("u", "b", "view", 2))
    with writing(lake) as con:  # our own upkeep spares what waits
        con.execute("call ducklake_expire_snapshots('lake', older_than => now() + interval 1 hour)")
    told = {row["what"]: row["value"] for row in status(lake)}
    assert "minutehand nightly learns everything anew" in told["learnt up to snapshot"]


def hour(time: str, users: int, arrived: Sequence[float], live_users: int, happened: Sequence[float | None]) -> dict[str, object]:
    names = [f"{since}_{name}_s" for since in ("arrived", "happened") for name in ("p50", "p95", "max")]
    waits = dict(zip(names, (*arrived, *happened), strict=True))
    return {"hour": f"2026-01-02 {time}", "users": users, "live_users": live_users, **waits}


def test_freshness_by_hour_has_the_last_hours_the_newest_first(lake: Lake) -> None:
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


def test_an_export_that_cannot_be_says_why(lake: Lake, tmp_path: Path) -> None:
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


def test_a_message_of_duckdb_loses_the_copy_of_the_statement() -> None:
    assert one_line("Parser Error: no\n\nLINE 1: selec\n        ^") == "Parser Error: no"


def test_an_increment_is_shown_with_the_hold_out_of_the_night_it_goes_back_to(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    for version, value in (("1", 0.2), ("2", 0.01)):  # the second night was refused
        write_offline_metrics(lake, [MetricRow("minutehand", "all", "ndcg_at_10", value, 9)], provenance(lake, version))
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "b", "view", 2))
    minute(lake, "3", champion="1", prequential=[MetricRow("nightly", "all", "ndcg_at_10", 0.3, 1)], versions={"nightly": "0"})
    told = {row["what"]: row["value"] for row in status(lake)}
    assert (told["live model"], told["hold-out NDCG@10"]) == ("version 3", "0.2000, the event before known")
