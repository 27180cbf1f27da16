"""Locks of a lake on PostgreSQL, which two homes share."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import advisory
from tasks.advisory import LostError, UnreachableError
from tasks.lake import Lake, LakeConfig, LakeError, locate, migrate, reading, writing
from tasks.locks import BusyError, arrivals_turn, night_paused, publishing_paused, publishing_turn, take
from tests.tasks.holder import be_killed, begin

pytestmark = pytest.mark.postgres


@pytest.fixture
def here(postgres_port: int, tmp_path: Path) -> Lake:
    server = f"host=127.0.0.1 port={postgres_port} user=minutehand"
    name = f"shared_{abs(hash(str(tmp_path)))}"
    subprocess.run(["psql", "-q", f"{server} dbname=postgres", "-c", f"create database {name}"], check=True)
    config = LakeConfig(catalog=f"postgres:{server} dbname={name}", data_path=str(tmp_path / "data"))
    lake = replace(locate(config, tmp_path / "here"), threads=1)
    migrate(lake)
    return lake


@pytest.fixture
def there(here: Lake, tmp_path: Path) -> Lake:
    """The same lake, from another home."""
    return replace(locate(LakeConfig(catalog=here.catalog, data_path=here.data_path), tmp_path / "there"), threads=1)


def end_sessions(lake: Lake) -> None:
    """End the connections that hold locks, as a restart of PostgreSQL or a cut network does; returns once their locks are free."""
    end = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name like 'minutehand %'"
    subprocess.run(["psql", "-q", lake.catalog.removeprefix("postgres:"), "-c", end], check=True, stdout=subprocess.DEVNULL)


def notes(lake: Lake) -> list[str]:
    with reading(lake) as con:
        return [name for (name,) in con.execute("select distinct note from probe order by note").fetchall()]


@pytest.fixture
def noted(here: Lake) -> Lake:
    """The lake with a table of notes."""
    with writing(here) as con:
        con.execute("create table probe (note text)")
    return here


def note(lake: Lake, text: str) -> None:
    with writing(lake) as con:
        con.execute("insert into probe values ($text)", {"text": text})


def test_homes_that_share_a_lake_have_one_night_and_one_publisher_and_learn_who_it_is(here: Lake, there: Lake) -> None:
    holder = rf"process {os.getpid()} on \S+, since 20\d\d-.*Z\); "
    with take(here), publishing_turn(here):
        with pytest.raises(BusyError, match=rf"a night is under way in postgres:host=.*{holder}wait until it is done"), take(there):
            pass
        with pytest.raises(BusyError, match=r"a night is under way .*continues after it"), night_paused(there):
            pass
        with pytest.raises(BusyError, match=rf"lists are being published in .*{holder}the next run"), publishing_turn(there):
            pass
        with pytest.raises(BusyError, match=r"lists are being published .*nothing was changed"), publishing_paused(there, 0.1):
            pass
    with take(there), publishing_turn(there) as mine:
        assert mine.is_clean


@pytest.mark.parametrize("name", ["take", "publishing_turn", "writing"])
def test_a_killed_holder_releases_the_lock_for_the_other_home(here: Lake, there: Lake, name: str) -> None:
    be_killed(here, name)
    began = time.monotonic()
    with {"take": take, "publishing_turn": publishing_turn, "writing": writing}[name](there):  # type: ignore[operator]
        assert time.monotonic() - began < 5


def test_the_publisher_after_one_that_was_killed_in_another_home_is_not_clean(here: Lake, there: Lake) -> None:
    be_killed(here, "publishing_turn")
    with publishing_paused(there, 5):
        pass
    with publishing_turn(there) as after:
        assert not after.is_clean
    with publishing_turn(there) as third:
        assert third.is_clean


def test_who_waits_for_a_lock_gets_it_once_its_holder_in_another_home_is_killed(here: Lake, there: Lake) -> None:
    holder = begin(here, "publishing_turn")
    threading.Timer(0.3, holder.kill).start()
    with publishing_turn(there, wait_s=30) as mine:
        holder.communicate()
        assert not mine.is_clean


def test_a_night_waits_for_an_erasure_in_another_home_also_after_a_killed_night(here: Lake, there: Lake) -> None:
    be_killed(here, "take")
    began, is_done = threading.Event(), threading.Event()

    def rewrite() -> None:
        with night_paused(here):
            began.set()
            is_done.wait(30)

    thread = threading.Thread(target=rewrite)
    thread.start()
    began.wait(30)
    threading.Timer(0.3, is_done.set).start()
    with take(there):
        assert is_done.is_set()
    thread.join()


def test_one_writer_at_a_time_in_all_homes_and_the_message_names_it(noted: Lake, there: Lake) -> None:
    impatient = replace(there, lock_timeout_s=1)
    with writing(noted), pytest.raises(LakeError, match=rf"writer's lock of .*process {os.getpid()} on .*LOCK_TIMEOUT_S"):
        note(impatient, "never")
    note(there, "later")
    assert notes(noted) == ["later"]


def test_a_writer_whose_lock_was_lost_commits_nothing(noted: Lake) -> None:
    with pytest.raises(LostError, match=r"writer's lock of .* was lost .*nothing was committed, run this again"), writing(noted) as con:  # noqa: PT012
        con.execute("insert into probe values ('lost')")
        end_sessions(noted)
    assert notes(noted) == []
    note(noted, "again")
    assert notes(noted) == ["again"]


def test_a_publisher_or_night_whose_lock_was_lost_commits_nothing_and_the_next_one_looks_for_repairs(noted: Lake, there: Lake) -> None:
    for block in (publishing_turn, take):
        with pytest.raises(LostError, match=r"(publisher|night)'s lock"), block(noted):  # type: ignore[operator]  # noqa: PT012
            end_sessions(noted)
            with publishing_turn(there) if block is publishing_turn else take(there):  # type: ignore[attr-defined]
                pass
            note(noted, "lost")
    assert notes(noted) == []
    with publishing_turn(noted) as mine:
        assert not mine.is_clean


def test_a_lock_whose_server_does_not_answer_names_the_remedy_and_no_password(here: Lake, tmp_path: Path) -> None:
    gone = replace(here, catalog="postgres:host=127.0.0.1 port=1 user=minutehand password=geheim dbname=none")
    with pytest.raises(UnreachableError, match=r"cannot take the night's lock of .*minutehand doctor") as caught, take(gone):
        pass
    assert "geheim" not in f"{caught.value}{caught.value.__cause__}{caught.value.args}"


def test_without_psycopg_the_error_says_what_to_install(here: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UnreachableError, match=r"pip install 'minutehand\[postgres\]'"):
        advisory.is_signed(here.catalog, "night")


def test_one_home_at_a_time_empties_a_bucket_and_the_next_may_when_the_first_is_done(here: Lake, there: Lake) -> None:
    with arrivals_turn(here) as ours, arrivals_turn(there) as theirs, publishing_turn(there):
        assert (ours, theirs) == (True, False)
    with arrivals_turn(there) as theirs:
        assert theirs
