"""The border: pseudonyms instead of ids, and only the columns and context keys that are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.lake import Lake
from tasks.privacy.border import Border, border_of, stored_ids
from tasks.privacy.keyed import keys_file, load_keys
from tests.tasks.ingest.taking import events, rows, take

Write = Callable[[str, str], str]
HEADER = "user_id,item_id,occurred_at\n"
PSEUDONYMS = IngestConfig(pseudonyms=True)


def test_with_pseudonyms_no_table_and_no_file_of_the_lake_holds_a_clear_id(lake: Lake, write: Write) -> None:
    bad = "customer-77,,2024-01-02\ncustomer-77,b,never\ncustomer-77\n" + "customer-77" * 50 + ",b,2024-01-02\n"
    summary = take(lake, write("a.csv", HEADER + "customer-77,a,2024-01-01\n" + bad), config=PSEUDONYMS)
    assert (summary.new, summary.rejected) == (1, 4)
    assert events(lake, "user_id") == [(load_keys(lake.home).digest("customer-77"),)]
    refused = rows(lake, "select reason, value, row_json from raw.rejected order by line")
    assert len(refused) == 4
    assert "customer-77" not in str(refused)
    assert all(b"customer-77" not in file.read_bytes() for file in lake.home.rglob("*") if file.is_file())


def test_an_id_and_its_pseudonym_are_the_same_person_and_an_event_of_both_gets_in_once(lake: Lake, write: Write) -> None:
    digest = load_keys(lake.home).digest("müller")
    take(lake, write("a.csv", HEADER + "müller,a,2024-01-01\n"), config=PSEUDONYMS)
    again = take(lake, write("b.csv", HEADER + f"{digest},a,2024-01-01\n"), config=PSEUDONYMS)
    assert (again.new, again.duplicate) == (0, 1)
    assert stored_ids(lake, ["müller", digest]) == [digest, digest]


def test_a_lake_of_clear_ids_takes_no_pseudonyms_and_says_what_to_do(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", HEADER + "u,a,2024-01-01\n"))
    with pytest.raises(UserError, match="holds clear ids; turn them into pseudonyms first: minutehand pseudonyms rewrite"):
        take(lake, write("b.csv", HEADER + "v,a,2024-01-01\n"), config=PSEUDONYMS)
    load_keys(lake.home)
    assert stored_ids(lake, ["u"]) == ["u"]


def test_a_lake_of_pseudonyms_takes_no_clear_ids_and_says_what_to_do(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", HEADER + "u,a,2024-01-01\n"), config=PSEUDONYMS)
    with pytest.raises(UserError, match="set MINUTEHAND_INGEST__PSEUDONYMS=true"):
        take(lake, write("b.csv", HEADER + "v,a,2024-01-01\n"))


def test_without_its_key_a_lake_of_pseudonyms_takes_nothing_in_and_no_new_key_replaces_it(lake: Lake, write: Write) -> None:
    take(lake, write("a.csv", HEADER + "u,a,2024-01-01\n"), config=PSEUDONYMS)
    keys_file(lake.home).write_text("{")
    with pytest.raises(UserError, match="restore it from a backup"):
        take(lake, write("b.csv", HEADER + "v,a,2024-01-01\n"), config=PSEUDONYMS)


def test_columns_and_context_keys_that_are_not_kept_are_nowhere_in_the_lake_and_the_ingest_says_so(lake: Lake, write: Write) -> None:
    config = IngestConfig(keep_columns="context", keep_context="device")
    lines = '{"user_id": "u", "item_id": "a", "occurred_at": "2024-01-01", "value": 77, "context": {"ip": "10.1.2.3", "device": "tv"}}\n'
    summary = take(lake, write("a.jsonl", lines + lines.replace("2024-01-01", "never")), config=config)
    assert summary.notes == [
        "value dropped before anything was stored, by MINUTEHAND_INGEST__KEEP_COLUMNS",
        "context.ip dropped before anything was stored, by MINUTEHAND_INGEST__KEEP_CONTEXT",
    ]
    assert events(lake, "value, context::json->>'device', context::json->>'ip'") == [(None, "tv", None)]
    ((row,),) = rows(lake, "select row_json from raw.rejected")
    assert "10.1.2.3" not in row
    assert "77" not in row
    assert '"device":"tv"' in row.replace("\\", "").replace(" ", "")


def test_a_context_of_which_nothing_is_kept_is_null_and_kept_contexts_stay_as_they_are(lake: Lake, write: Write) -> None:
    lines = ['{"user_id": "u", "item_id": "a", "occurred_at": "2024-01-01", "context": {"ip": 1}}']
    lines += ['{"user_id": "u", "item_id": "b", "occurred_at": "2024-01-01", "context": {"b": null, "a": {"ip": 2}}}']
    take(lake, write("a.jsonl", "\n".join(lines)), config=IngestConfig(keep_context="a, b"))
    assert [context and context.replace(" ", "") for (context,) in events(lake, "context")] == [None, '{"b":null,"a":{"ip":2}}']


def test_searches_are_refused_with_a_remedy_if_queries_are_not_kept(lake: Lake, write: Write) -> None:
    summary = take(
        lake, write("a.csv", "user_id,query,event_type,occurred_at\nu,tents,search,2024-01-01\n"), config=IngestConfig(keep_columns="")
    )
    assert summary.reasons[0]["rule"] == "searches are not kept"
    assert "tents" not in str(rows(lake, "select * from raw.rejected"))


def test_a_posted_event_is_reduced_as_an_ingest_reduces_it() -> None:
    border = Border(columns=frozenset({"context"}), context=frozenset({"device"}))
    kept, gone = border.reduced({"user_id": "u", "value": 1, "query": None, "context": {"device": "tv", "ip": "10.1.2.3"}})
    assert kept == {"user_id": "u", "query": None, "context": {"device": "tv"}}
    assert gone == ["value", "context.ip"]


def test_an_open_border_of_a_lake_without_tables_is_that_of_the_settings(home: Path) -> None:
    from tasks.lake import LakeConfig, locate

    assert border_of(locate(LakeConfig(), home), IngestConfig()) == Border()
