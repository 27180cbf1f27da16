"""Health checks on lakes of a few rows: bands, states, and the start and end of alarms."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from models.errors import UserError
from tasks.config import HealthConfig
from tasks.health import Check, examine, mark_announced, to_announce, watch
from tasks.health.checks import since_watched
from tasks.lake import Lake, reading, writing
from tests.conftest import ROOT
from tests.tasks.publish.test_night import add_item, put, ranked

CONFIG = HealthConfig()
NOW = datetime(2026, 11, 20, 20)
HOUR = timedelta(hours=1)
PEOPLE = 16


def visits(lake: Lake, hours: Sequence[int], item_id: str = "a", n: int = PEOPLE, now: datetime = NOW, late_h: float = 0) -> None:
    """Events of n people in each of these hours before now; late_h: hours between an event and its arrival."""
    moments = [now - HOUR * (hour + 0.5) - timedelta(seconds=person) for hour in hours for person in range(n)]
    with writing(lake) as con:
        con.register("fresh", pa.table({"number": range(len(moments)), "moment": pa.array(moments, pa.timestamp("us"))}))
        con.execute(
            "insert into raw.events by name select uuid()::varchar as event_id, 'u' || number % $n as user_id, $item as item_id, "
            "'view' as event_type, moment as occurred_at, moment + to_seconds($late) as received_at from fresh",
            {"n": n, "item": item_id, "late": late_h * 3600},
        )


def open_hours(days: int) -> list[int]:
    """The hours from 8:00 to 20:00 of these days before now, but for the last hour."""
    return [24 * day + hour for day in range(days) for hour in range(12)][1:]


def states(lake: Lake, now: datetime = NOW) -> dict[str, str]:
    return {check.check: check.state for check in examine(lake, CONFIG, now=now)}


def named(checks: Sequence[Check], name: str) -> Check:
    return next(check for check in checks if check.check == name)


@pytest.fixture
def shop(lake: Lake) -> Lake:
    """A shop that is open from 8:00 to 20:00, with twenty days of events."""
    add_item(lake, "a", "Alpha")
    with writing(lake) as con:
        con.execute("update raw.items set first_seen_at = '2020-01-01', categories = ['Lamps']")
    visits(lake, open_hours(20))
    return lake


def test_an_empty_lake_and_one_without_a_night_are_learning(lake: Lake) -> None:
    assert set(states(lake).values()) == {"learning"}
    visits(lake, range(5))
    assert set(states(lake).values()) == {"learning"}
    assert since_watched(lake).state == "learning"


def test_a_silent_hour_by_day_is_an_alarm_and_one_by_night_is_not(shop: Lake) -> None:
    people = named(examine(shop, CONFIG, now=NOW), "people")
    assert (people.state, people.value, people.usual) == ("alarm", 0, PEOPLE)
    assert people.low is not None
    assert 0 < people.low < PEOPLE
    assert people.found.startswith("0 people active in the last hour; 4 to ")
    assert "minutehand status" in people.remedy
    visits(shop, range(1))
    assert states(shop)["people"] == "ok"
    assert states(shop, NOW + 5 * HOUR)["people"] == "ok", "nobody comes at night"


def test_a_weekday_on_which_the_shop_is_closed_is_quiet_without_an_alarm(lake: Lake) -> None:
    visits(lake, [hour for hour in open_hours(28) if hour // 24 % 7])
    assert states(lake)["people"] == "ok"
    assert states(lake, NOW - 24 * HOUR)["people"] == "ok"
    with writing(lake) as con:
        con.execute("delete from raw.events where occurred_at > $since", {"since": NOW - 25 * HOUR})
    assert states(lake, NOW - 24 * HOUR)["people"] == "alarm", "the day before is a usual one"


def test_hours_are_not_judged_where_events_come_in_as_files(lake: Lake) -> None:
    visits(lake, open_hours(20), late_h=9)
    events = named(examine(lake, CONFIG, now=NOW), "events")
    assert (events.state, events.found.partition(",")[0]) == ("learning", "events come in as files")


def test_unknown_items_are_an_alarm_only_if_the_catalogue_did_not_have_them_when_they_arrived(shop: Lake) -> None:
    visits(shop, range(1), item_id="z")
    unknown = named(examine(shop, CONFIG, now=NOW), "unknown items")
    assert (unknown.state, unknown.value) == ("alarm", 1.0)
    with writing(shop) as con:
        con.execute(
            "insert into raw.items by name select 'z' as item_id, true as is_available, $at as first_seen_at, $at as updated_at",
            {"at": NOW},
        )
    assert states(shop)["unknown items"] == "alarm"
    with writing(shop) as con:
        con.execute("update raw.items set first_seen_at = '2020-01-01'")
    assert states(shop)["unknown items"] == "ok"


def test_an_event_that_waits_for_a_list_longer_than_lists_ever_took_is_an_alarm(shop: Lake) -> None:
    put(shop, ranked({"u1": [0]}))
    with writing(shop) as con:
        con.execute(
            "insert into ops.freshness by name select 'p' as publication_id, 'u' as user_id, hour as received_at, hour as occurred_at, "
            "hour + interval 20 second as generated_at from range($since::timestamp, $until::timestamp, interval 1 hour) as hours (hour)",
            {"since": NOW - 480 * HOUR, "until": NOW},
        )
    assert states(shop)["lag"] == "ok"
    visits(shop, range(1))
    lag = named(examine(shop, CONFIG, now=NOW), "lag")
    assert (lag.state, lag.value, lag.high) == ("alarm", 1815, 300)
    assert lag.found == "lists follow events after 30 min; up to 5 min is usual"


@pytest.mark.slow
def test_an_alarm_is_announced_once_and_its_end_after_two_checks_without_it(shop: Lake) -> None:
    def hour(number: int) -> list[tuple[str, bool]]:
        watch(shop, CONFIG, f"run-{number}", now=NOW + number * timedelta(minutes=1))
        changes = [change for change in to_announce(shop) if change.check == "people"]
        mark_announced(shop, to_announce(shop))
        return [(change.text.partition(",")[0], change.is_open) for change in changes]

    assert hour(0) == [("minutehand: ALARM", True)]
    assert hour(1) == []
    visits(shop, range(1))
    assert hour(2) == [], "one check without an alarm is not the end yet"
    assert hour(3) == [("minutehand: fine again", False)]
    assert hour(4) == []
    with reading(shop) as con:
        found = con.execute("select state, is_open from ops.health where check_name = 'people' order by checked_at").fetchall()
    assert found == [("alarm", True), ("alarm", True), ("ok", True), ("ok", False), ("ok", False)]
    assert since_watched(shop, NOW + HOUR).state == "ok"
    assert since_watched(shop, NOW + 4 * HOUR).state == "alarm"


def test_a_change_that_a_killed_run_did_not_announce_is_left_to_the_next(shop: Lake) -> None:
    watch(shop, CONFIG, "killed", now=NOW)
    watch(shop, CONFIG, "next", now=NOW + timedelta(minutes=1))
    assert [(change.check, change.checked_at) for change in to_announce(shop) if change.check == "people"] == [("people", NOW)]


def test_a_lake_that_is_not_there_is_an_error_with_a_remedy(lake: Lake) -> None:
    with writing(lake) as con:
        con.execute("drop table eval.prequential")
    with pytest.raises(UserError, match="a table of this lake, or a column, is missing"):
        examine(lake, CONFIG, now=NOW)


def test_the_checks_import_neither_torch_nor_mlflow_nor_prefect() -> None:
    script = "import sys, cli.health, tasks.health.checks; print(sorted({'torch', 'mlflow', 'prefect', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"
