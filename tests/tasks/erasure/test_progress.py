"""The later steps of an erasure: nothing below the home names the person, the watermarks move on, and a kill at any point costs nothing."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl
import pytest
import torch

from models.ranking.prior import Popularity
from models.version import checkpoint as checkpoints
from models.version.memory import Memory
from models.version.online_state import OnlineState
from tasks import upkeep
from tasks.erasure import logs, progress
from tasks.erasure.at_once import erase, is_settled, move_on
from tasks.erasure.progress import go_on
from tasks.lake import Lake, reading, writing
from tasks.locks import publishing_paused, take
from tasks.privacy import files
from tasks.privacy.ledger import erasures
from tasks.privacy.owners import owners_of
from tasks.registry import forgetting
from tests.models.planted import make_events
from tests.tasks.minute.test_feed import minute, news_of
from tests.tasks.publish.test_night import add_events, put, ranked, rows

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

ANNA, BERT = "anna-0001", "bert-0002"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader needs time here."""
    monkeypatch.setattr(files, "READERS_S", 0.0)


@pytest.fixture
def shop(lake: Lake) -> Lake:
    """A lake with published lists of two people."""
    add_events(lake, *[(user, item, "view", second) for second, item in enumerate("abc") for user in (ANNA, BERT)])
    put(lake, ranked({ANNA: [0, 2], BERT: [1, 2]}))
    return lake


@pytest.fixture
def landing(home: Path) -> Path:
    """A landing folder whose finished files name both people, in several formats."""
    done = home / "landing" / "done" / "2026-01-01" / "events"
    done.mkdir(parents=True)
    (done / "a.csv").write_text(f"user_id,item_id\n{ANNA},a\n{BERT},a\n")
    (done / "b.jsonl").write_text(json.dumps({"user_id": ANNA, "item_id": "a"}) + "\n" + json.dumps({"user_id": BERT}) + "\n")
    (done / "c.csv.gz").write_bytes(gzip.compress(f"user_id,item_id\n{ANNA},a\n{BERT},a\n".encode()))
    pl.DataFrame({"user": [ANNA, BERT], "n": [1, 2]}).write_parquet(done / "d.parquet")
    return home / "landing"


def steps_of(lake: Lake) -> list[str]:
    return [found.state for found in erasures(lake)]


def run(lake: Lake, home: Path, registry: Registry, landing: Path) -> list[str]:
    """What is left after a run: the first word of each sentence."""
    return [sentence.partition(":")[0] for sentence in go_on(lake, home, lambda: registry, {}, landing)]


def texts_below(home: Path) -> str:
    """Everything below a home as text, each Parquet and packed file read through its own format."""
    found = []
    for file in sorted(home.rglob("*")):
        if file.suffix == ".parquet":
            found.append(str(duckdb.read_parquet(str(file)).fetchall()))
        elif file.suffix == ".gz":
            found.append(gzip.decompress(file.read_bytes()).decode())
        if file.is_file():
            found.append(file.read_bytes().decode("utf-8", "replace"))
    return "".join(found)


def test_no_file_below_the_home_names_an_erased_person_and_all_of_the_others_is_still_there(
    shop: Lake, home: Path, landing: Path, registry: Registry
) -> None:
    assert ANNA in texts_below(home)
    erase(shop, home, [ANNA], "cli", {})
    assert run(shop, home, registry, landing) == ["weights"]
    assert steps_of(shop) == ["logs"]
    whole = texts_below(home)
    assert ANNA not in whole
    assert BERT in whole
    with reading(shop) as con:
        assert con.execute("select count(*) from raw.events").fetchall() == [(3,)]
        assert con.execute("select distinct user_id from recs.recommendations order by 1").fetchall() == [("*",), (BERT,)]
        assert con.execute("select distinct cadence from recs.publications order by 1").fetchall() == [("erasure",), ("nightly",)]
    assert news_of(shop).is_all_learnt


@pytest.mark.slow
def test_a_table_of_which_no_row_is_left_keeps_nothing_of_the_person(shop: Lake, home: Path, landing: Path, registry: Registry) -> None:
    with writing(shop) as con:
        con.execute(
            "insert into raw.rejected (kind, source, line, reason, value, row_json, rejected_at) "
            "values ('events', 's', 1, 'r', $person, json_object('user_id', $person), now()::timestamp)",
            {"person": ANNA},
        )
    erase(shop, home, [ANNA], "cli", {})
    assert run(shop, home, registry, landing) == ["weights"]
    assert rows(shop, "select count(*) from raw.rejected") == [(0,)]
    assert ANNA not in texts_below(home)


@pytest.mark.slow
def test_files_are_rewritten_one_by_one_and_publishers_and_writers_get_their_turn_in_between(
    lake: Lake, home: Path, landing: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n_of_anna in (1, 2, 3):  # more rows than stay in the catalog, so that each call writes a file
        add_events(lake, *[(ANNA if n < n_of_anna else BERT, "a", "view", 100 * n_of_anna + n) for n in range(12)])
    put(lake, ranked({ANNA: [0, 2], BERT: [1, 2]}))
    before = rows(lake, f"select rowid, * from raw.events where user_id = '{BERT}' order by rowid")
    turns = []

    def take_turn(_: float) -> None:
        with publishing_paused(lake, 0), writing(lake):
            turns.append("taken")

    erase(lake, home, [ANNA], "cli", {})
    files.rewrite_tables(lake)
    monkeypatch.setattr(upkeep, "REWRITE_BYTES", 1)
    monkeypatch.setattr(files.time, "sleep", take_turn)
    assert files.rewrite_feed(lake, is_settled, move_on, 0) == 3
    assert turns == ["taken", "taken"]
    assert rows(lake, f"select rowid, * from raw.events where user_id = '{BERT}' order by rowid") == before
    assert news_of(lake).is_all_learnt
    assert rows(lake, "select count(*) from recs.publications where cadence = 'erasure'") == [(1,)]


@pytest.mark.slow
def test_an_event_that_comes_in_between_two_rewritten_files_is_learnt_once(
    lake: Lake, home: Path, landing: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n_of_anna in (1, 2):
        add_events(lake, *[(ANNA if n < n_of_anna else BERT, "a", "view", 100 * n_of_anna + n) for n in range(12)])
    put(lake, ranked({ANNA: [0, 2], BERT: [1, 2]}))
    erase(lake, home, [ANNA], "cli", {})
    files.rewrite_tables(lake)
    monkeypatch.setattr(upkeep, "REWRITE_BYTES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(files.time, "sleep", lambda _: add_events(lake, (BERT, "c", "view", 999)))
        assert files.rewrite_feed(lake, is_settled, move_on, 0) is None
    assert news_of(lake).events.filter("is_new")["item_id"].to_list() == ["c"]
    minute(lake)
    assert run(lake, home, registry, landing) == ["weights"]
    assert ANNA not in texts_below(home)
    assert news_of(lake).is_all_learnt


@pytest.mark.slow
def test_events_that_wait_to_be_learnt_are_learnt_once_and_until_then_the_files_wait(
    shop: Lake, home: Path, landing: Path, registry: Registry
) -> None:
    add_events(shop, (ANNA, "a", "view", 50), (BERT, "b", "view", 51))
    erase(shop, home, [ANNA], "cli", {})
    news = news_of(shop)
    assert news.events["user_id"].to_list() == [BERT]
    assert run(shop, home, registry, landing) == ["files"]
    assert steps_of(shop) == ["memories"]
    assert news_of(shop).events["user_id"].to_list() == [BERT]
    with writing(shop) as con:  # as a minute that has learnt them
        con.execute("update ops.watermarks set snapshot = $snapshot", {"snapshot": news.snapshot + 3})
    assert run(shop, home, registry, landing) == ["weights"]
    assert ANNA not in texts_below(home)


@pytest.mark.slow
def test_while_a_night_is_under_way_the_tables_are_done_and_the_rest_waits(
    shop: Lake, home: Path, landing: Path, registry: Registry
) -> None:
    with take(shop):
        erase(shop, home, [ANNA], "cli", {})
        (left,) = run(shop, home, registry, landing)
        assert "a night is under way" in left
        assert steps_of(shop) == ["lists"]
        go_on(shop, home, lambda: registry, {}, landing, in_night=True)
    assert steps_of(shop) == ["logs"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "name"),
    [
        (progress, "record_step"),
        (forgetting, "forget"),
        (files, "rewrite_tables"),
        (files, "rewrite_feed"),
        (files, "expire_all"),
        (files, "clean_up"),
        (files, "renew_bounds"),
        (files, "vacuum"),
        (logs, "redact"),
    ],
)
def test_an_erasure_that_is_killed_between_two_steps_is_finished_by_the_next_run(
    where: object, name: str, shop: Lake, home: Path, landing: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    whole = getattr(where, name)

    def killed(*given: object, **named: object) -> None:
        whole(*given, **named)
        raise KilledError

    erase(shop, home, [ANNA], "cli", {})
    with monkeypatch.context() as patch:
        patch.setattr(where, name, killed)
        with pytest.raises(KilledError):
            run(shop, home, registry, landing)
    assert run(shop, home, registry, landing) == ["weights"]
    assert steps_of(shop) == ["logs"]
    assert ANNA not in texts_below(home)
    assert news_of(shop).is_all_learnt


@pytest.mark.slow
def test_a_kill_after_raw_events_was_rewritten_teaches_no_event_again(
    shop: Lake, home: Path, landing: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> None:
        raise OSError("killed")

    erase(shop, home, [ANNA], "cli", {})
    with monkeypatch.context() as patch:
        patch.setattr(progress, "move_on", killed)
        with pytest.raises(OSError, match="killed"):
            run(shop, home, registry, landing)
    assert news_of(shop).is_all_learnt
    add_events(shop, (BERT, "c", "view", 99))
    assert news_of(shop).events["item_id"].to_list() == ["c"]


def online_state(owners: np.ndarray) -> OnlineState:
    """A state whose memory has one window of two events for each owner."""
    events = make_events([(user, user % 5, 10 * user + n) for user in range(len(owners)) for n in range(2)], n_items=5)
    memory = Memory(events, np.arange(len(owners)) == 0, torch.zeros(1, 5), np.zeros(1, np.int64), owners)
    popularity = Popularity(5)
    popularity.advance(1_767_225_600, np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1, np.float32))
    return OnlineState(popularity, memory, None, torch.zeros(()), {}, {}, 0)


@pytest.mark.slow
def test_versions_lose_the_windows_of_the_person_keep_those_of_others_and_stay_intact(
    shop: Lake, home: Path, landing: Path, registry: Registry, checkpoint: Path, register_one: Callable[[], str], tmp_path: Path
) -> None:
    from tasks.registry.versions import find_version

    owners = owners_of(home, [ANNA, BERT, ANNA, "carla"])
    version = replace(checkpoints.load(checkpoint), online=online_state(owners))
    checkpoints.save(version, checkpoint)
    number = register_one()
    before = find_version(registry, number)
    with writing(shop) as con:
        con.execute("update recs.publications set checkpoint_sha256 = $digest", {"digest": before.digest})

    erase(shop, home, [ANNA], "cli", {})
    run(shop, home, registry, landing)
    after = find_version(registry, number)  # raises an error for a version that is not intact
    assert after.tags["erasure"].startswith("rewritten by erasure")
    assert after.digest != before.digest
    with reading(shop) as con:
        digests = {digest for (digest,) in con.execute("select checkpoint_sha256 from recs.publications").fetchall()}
    assert digests == {after.digest}
    kept = checkpoints.load(after.checkpoint_folder)
    assert kept.online is not None
    assert kept.online.memory.owners.tolist() == owners[[1, 3]].tolist()
    assert len(kept.online.memory.events) == 4
    example = (after.checkpoint_folder.parents[1] / "input_example.json").read_text()
    assert "pear" not in example


@pytest.mark.slow
def test_the_weights_are_due_until_a_night_without_the_person_is_live_which_ends_the_versions_before_it(
    shop: Lake, home: Path, landing: Path, registry: Registry, register_one: Callable[[], str]
) -> None:
    from tasks.erasure.progress import must_retrain
    from tasks.registry.versions import all_versions

    first = register_one()
    erase(shop, home, [ANNA], "cli", {})
    assert run(shop, home, registry, landing) == ["weights"]
    assert must_retrain(shop, registry, first)
    second = register_one()
    registry.client.set_model_version_tag(registry.model_name, second, "snapshot", "1000")
    assert not must_retrain(shop, registry, second)
    with writing(shop) as con:
        con.execute("update recs.publications set model_version = $version", {"version": second})
    assert run(shop, home, registry, landing) == []
    assert [str(found.version) for found in all_versions(registry)] == [second]
    assert not must_retrain(shop, registry, second)
    assert steps_of(shop) == ["done"]


@pytest.mark.slow
def test_late_rows_of_an_erased_person_are_taken_out_of_landed_files_by_the_next_upkeep(
    shop: Lake, home: Path, landing: Path, registry: Registry
) -> None:
    erase(shop, home, [ANNA], "cli", {})
    run(shop, home, registry, landing)
    late = landing / "partial" / "late.csv"
    late.parent.mkdir()
    late.write_text(f"CustomerID,item\n{ANNA},a\n{BERT},b\n")
    run(shop, home, registry, landing)
    assert late.read_text() == f"CustomerID,item\n{BERT},b\n"


@pytest.mark.slow
def test_reports_and_databases_of_runs_lose_the_name(shop: Lake, home: Path, landing: Path, registry: Registry) -> None:
    (home / "prefect").mkdir()
    with closing(sqlite3.connect(home / "prefect" / "prefect.db")) as con, con:
        con.execute("create table log (id text primary key, message text)")
        con.executemany("insert into log values (?, ?)", [("1", f"list of user {ANNA}: 3 items"), ("2", "42 new events")])
    (home / "logs").mkdir()
    (home / "logs" / "worker.log").write_text(f"user {ANNA} asked\n")
    erase(shop, home, [ANNA], "cli", {})
    run(shop, home, registry, landing)
    with closing(sqlite3.connect(home / "prefect" / "prefect.db")) as con:
        assert con.execute("select message from log order by id").fetchall() == [("list of user erased: 3 items",), ("42 new events",)]
    assert ANNA not in texts_below(home)
