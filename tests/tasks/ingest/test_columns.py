"""Column names of any form: they never cause a refusal, are never confused, and never become part of SQL."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import UserError
from tasks.ingest.places import Place
from tasks.lake import Lake
from tests.tasks.ingest.taking import events, rows, take

Write = Callable[[str, str], str]
ODD = [
    "price.usd",
    '5" disk',
    '"quoted"',
    "*",
    "a b",
    "🛒",
    "select",
    "c0",
    "C1",
    "line",
    "rowid",
    "filename",
    "position",
    "document",
    "c",
    "__document",
    "row_json",
    "passes",
    "file_row_number",
    "a'b",
    "a/b~c",
    "items[0]",
    "$.x",
    "#1",
    "a\\b",
    "--",
    "x;drop table staged",
    "",
    "{0}",
    "%s",
    "column3",
]


VALUES = {name: f"v{place}" for place, name in enumerate(ODD)}
NAMED = {name: value for name, value in VALUES.items() if name not in ("", "column3")}


def check_that_each_is_read(lake: Lake, path: str) -> None:
    """Ingest the file with no column mapped, with every column as context, with two mapped by name, and with a predicate."""
    assert take(lake, path).new == 1
    take(lake, path, context=tuple(NAMED), predicate="item_id = 'i' and \"price.usd\" = 'v0'")
    assert json.loads(events(lake, "context")[-1][0]) == NAMED
    for name in ('5" disk', "*", "rowid", "items[0]"):
        take(lake, path, columns={"query": name})
        assert events(lake, "query")[-1] == (VALUES[name],), name


@pytest.mark.slow
def test_a_csv_column_of_any_name_keeps_no_file_out_and_can_be_mapped(lake: Lake, write: Write) -> None:
    header = ",".join('"' + name.replace('"', '""') + '"' for name in ODD)
    values = ",".join(VALUES.values())
    check_that_each_is_read(lake, write("a.csv", f"user_id,item_id,occurred_at,{header}\nu,i,2026-11-20,{values}\n"))
    take(lake, write("b.csv", f"user_id,item_id,occurred_at,{header}\n,i,2026-11-20,{values}\n"))
    kept = json.loads(rows(lake, "select row_json from raw.rejected")[0][0])
    assert {name: kept[name] for name in NAMED} == NAMED


@pytest.mark.slow
def test_a_json_key_of_any_name_keeps_no_file_out_and_can_be_mapped(lake: Lake, write: Write) -> None:
    row = {"user_id": "u", "item_id": "i", "occurred_at": "2026-11-20", **VALUES}
    check_that_each_is_read(lake, write("a.jsonl", json.dumps(row) + "\n"))


@pytest.mark.slow
def test_a_parquet_column_of_any_name_keeps_no_file_out_and_can_be_mapped(lake: Lake, tmp_path: Path) -> None:
    row = {"user_id": "u", "item_id": "i", "occurred_at": "2026-11-20", **VALUES}
    path = str(tmp_path / "a.parquet")
    pq.write_table(pa.table({name: [value] for name, value in row.items()}), path)
    check_that_each_is_read(lake, path)


def test_a_dotted_name_means_its_own_column_and_never_a_path_into_another(lake: Lake, tmp_path: Path) -> None:
    path = str(tmp_path / "k.parquet")
    duckdb.sql(
        "select {'id': 'WRONG'} as \"user\", 'right' as \"user.id\", 'i' as item_id, timestamp '2026-11-20' as occurred_at"
    ).write_parquet(path)
    take(lake, path, columns={"user_id": "user.id"})
    assert events(lake, "user_id") == [("right",)]


def test_names_that_differ_only_in_case_are_separate_columns(lake: Lake, write: Write, tmp_path: Path) -> None:
    csv = write("a.csv", "user_id,item_id,occurred_at,Note,NOTE\nu,i,2026-11-20,a,b\n")
    jsonl = write("a.jsonl", '{"user_id": "v", "item_id": "i", "occurred_at": "2026-11-20", "Note": "a", "NOTE": "b"}\n')
    parquet = str(tmp_path / "a.parquet")
    pq.write_table(pa.table({"user_id": ["w"], "item_id": ["i"], "occurred_at": ["2026-11-20"], "Note": ["a"], "NOTE": ["b"]}), parquet)
    take(lake, csv, jsonl, parquet, columns={"query": "NOTE"}, predicate="item_id = 'i'")
    assert events(lake, "user_id, query") == [("u", "b"), ("v", "b"), ("w", "b")]
    with pytest.raises(UserError, match=r"no column 'note' .* map it with --map query="):
        take(lake, csv, columns={"query": "note"})


def test_columns_of_one_name_are_numbered(lake: Lake, write: Write, tmp_path: Path) -> None:
    csv = write("a.csv", "user_id,item_id,occurred_at,x,x,x_1\nu,i,2026-11-20,a,b,c\n")
    parquet = str(tmp_path / "a.parquet")
    names = ["user_id", "item_id", "occurred_at", "x", "x"]
    pq.write_table(pa.table([pa.array([value]) for value in ("v", "i", "2026-11-20", "a", "b")], names=names), parquet)
    assert take(lake, csv, parquet, columns={"query": "x_2"}).new == 2
    assert events(lake, "query") == [("b",), ("b",)]


def test_a_folder_called_like_a_column_does_not_replace_it(lake: Lake, write: Write, tmp_path: Path) -> None:
    csv = write("user_id=WRONG/a.csv", "user_id,item_id,occurred_at\nu,i,2026-11-20\n")
    parquet = str(tmp_path / "user_id=WRONG" / "a.parquet")
    duckdb.sql("select 'v' as user_id, 'i' as item_id, '2026-11-20' as occurred_at").write_parquet(parquet)
    take(lake, csv, parquet)
    assert events(lake, "user_id") == [("u",), ("v",)]


@pytest.mark.slow
def test_a_file_name_with_signs_of_patterns_is_that_file(lake: Lake, write: Write) -> None:
    for place, name in enumerate(["a[1]*.csv", "b\\c.csv", "d?'\".csv", "e\nf.csv"]):
        assert take(lake, write(name, f"user_id,item_id,occurred_at\nu{place},i,2026-11-20\n")).new == 1, name


# Paths into nested values

GA4 = {"event_name": "view_item", "event_timestamp": "1706700000000000", "user_pseudo_id": "u1", "items": [{"item_id": "i1"}]}
SEGMENT = {"event": "Product Viewed", "userId": "u1", "timestamp": "2024-01-31T12:00:00.000Z", "properties": {"product_id": "p1"}}


def test_a_path_leads_into_nested_json(lake: Lake, write: Write) -> None:
    ga4, segment = (write(f"{place}.jsonl", json.dumps(row)) for place, row in enumerate((GA4, SEGMENT)))
    take(lake, ga4, columns={"user_id": "user_pseudo_id", "occurred_at": "event_timestamp", "item_id": "items[0].item_id"})
    take(lake, segment, columns={"item_id": "properties.product_id"})
    assert events(lake, "user_id, item_id, event_type") == [("u1", "i1", "view_item"), ("u1", "p1", "product viewed")]


def test_a_path_leads_into_a_struct_of_parquet_and_json_text_in_csv(lake: Lake, write: Write, tmp_path: Path) -> None:
    parquet = str(tmp_path / "a.parquet")
    duckdb.sql("select 'u' as user_id, [{'id': 7}] as items, timestamp '2026-11-20' as occurred_at").write_parquet(parquet)
    csv = write("a.csv", 'user_id,items,occurred_at\nu,"[{""id"": 8}]",2026-11-20\n')
    take(lake, parquet, csv, columns={"item_id": "items[0].id"})
    assert events(lake, "item_id") == [("7",), ("8",)]


def test_a_note_says_if_a_path_takes_one_of_several_elements(lake: Lake, write: Write) -> None:
    rows_of_file = [{**GA4, "items": [{"item_id": f"i{k}"} for k in range(n)]} for n in range(1, 4)]
    path = write("a.jsonl", "\n".join(map(json.dumps, rows_of_file)))
    columns = {"user_id": "user_pseudo_id", "occurred_at": "event_timestamp", "item_id": "items[0].item_id"}
    note = "a.jsonl: 2 rows have more elements than the one that items[0].item_id takes; map [*] instead to get one row per element"
    assert note in take(lake, path, columns=columns).notes


def test_the_remedy_names_the_path_whose_values_are_ids(lake: Lake, write: Write) -> None:
    with pytest.raises(UserError, match=r"no column 'item_id' .* map it with --map item_id=properties\.product_id$"):
        take(lake, write("s.jsonl", json.dumps(SEGMENT)))
    with pytest.raises(UserError, match=r"map it with --map 'item_id=items\[0\]\.item_id'$"):
        take(lake, write("g.jsonl", json.dumps(GA4)), columns={"user_id": "user_pseudo_id"})


@pytest.mark.parametrize("path", ["items", "properties"])
def test_an_object_or_an_array_is_no_id(lake: Lake, write: Write, path: str) -> None:
    row = {"user_id": "u", "occurred_at": "2026-11-20", "items": [{"item_id": "i1"}], "properties": {"product_id": "p1"}}
    assert take(lake, write("a.jsonl", json.dumps(row)), columns={"item_id": path}).rejected == 1
    ((reason, value),) = rows(lake, "select reason, value from raw.rejected")
    assert reason == "item_id is a JSON object or array; map a value inside it, such as --map item_id=items[0].item_id"
    assert json.loads(value) == row[path]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"reviewerID":"A1","asin":"B1","overall":5.0,"unixReviewTime":1400000000}', "--map occurred_at=unixReviewTime$"),
        ('{"user":"A1","item":"B1","stars":5,"year":2024}', "and none whose values are all times; .*--set occurred_at=2024-01-01"),
        ('{"user":"A1","price":5.5,"ts":1400000000}', "--map item_id=COLUMN$"),
        ('{"Kunde_Nr":"A1","item":"B1","ts":1400000000}', "--map user_id=Kunde_Nr$"),
        ('{"user":"A1","produkt_preis":5,"produkt_name":"tent","ts":1400000000}', "--map item_id=COLUMN$"),
        ('{"user":"A1","Artikel":"red tent","Artikelbezeichnung":"x","ts":1400000000}', "--map item_id=COLUMN$"),
        ('{"user":"A1","item_brand_id":"b7","product_reviewer_id":"r1","ts":1400000000}', "--map item_id=COLUMN$"),
        ('{"customer_zip_code":"10115","customer_age":"33","item":"B1","ts":1400000000}', "--map user_id=COLUMN$"),
        ('{"user":"A1","Artikel_Nr":"0815","Artikelpreis":12,"ts":1400000000}', "--map item_id=Artikel_Nr$"),
        (
            '{"用户编号":"u7","商品编号":"g1","商品价格":12,"时间":"2026/6/1 0:16"}',
            "--map user_id=用户编号 --map item_id=商品编号 --map occurred_at=时间$",
        ),
        ('{"Kundennr":"A1","Artikelnr":"B1","Zeit":"1.6.2026"}', "--map user_id=Kundennr --map item_id=Artikelnr --map occurred_at=Zeit$"),
        ('{"user":"A1","item":"B1","商品时间":"2026/6/1 0:16"}', "--map occurred_at=商品时间$"),
        ('{"user":"A1","item":"B1","Zeit":"01.06.2026 00:16"}', "--map occurred_at=Zeit$"),
        ('{"user":"A1","item":"B1","order_number":1400000000}', "and none whose values are all times"),
        ('{"user":"A1","item":"B1","Zeit":"nachmittags"}', "and none whose values are all times"),
        (
            '{"session":1,"events":[{"aid":7,"ts":1661724000278},{"aid":8,"ts":1661724000279}]}',
            r"unnest\(events\) .*take in that file with --map item_id=element\.COLUMN --map occurred_at=element\.ts$",
        ),
        ('{"user":1,"ts":1661724000,"items":[{"item_id":7},{"item_id":8}]}', r"unnest\(items\) .* --map item_id=element\.item_id$"),
    ],
)
def test_a_remedy_looks_at_values_or_proposes_nothing(lake: Lake, write: Write, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        take(lake, write("a.jsonl", text + "\n"))


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ({"user": "A1", "price_eur": 5, "ts": 1400000000}, {"item_id": "price_euro"}, "--map item_id=COLUMN$"),
        ({"user": "A1", "title": "Tent", "ts": 1400000000}, {"item_id": "titles"}, "--map item_id=COLUMN$"),
        ({"user": "A1", "item": "B1", "when_text": "late"}, {"occurred_at": "when_txt"}, "--map occurred_at=COLUMN$"),
        ({"user": "A1", "item": "B1", "amount": "cheap", "ts": 1400000000}, {"value": "amounts"}, "--map value=COLUMN$"),
        ({"user": "A1", "item": "B1", "amount": "1.234,56 €", "ts": 1400000000}, {"value": "amounts"}, "--map value=amount$"),
        ({"user": "A1", "sku": "B1", "ts": 1400000000}, {"item_id": "skus"}, "--map item_id=sku$"),
    ],
)
def test_a_name_that_is_mistyped_is_corrected_to_a_column_with_fitting_values_only(
    lake: Lake, write: Write, row: dict[str, Any], columns: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        take(lake, write("a.jsonl", json.dumps(row) + "\n"), columns=columns)


def test_in_a_mapping_file_the_remedy_is_the_line_to_write(lake: Lake, write: Write) -> None:
    place = Place("landing/mapping.toml", "events.")
    with pytest.raises(UserError, match=r'map it with events\.map\.user_id = "Kunde_Nr" in landing/mapping\.toml$'):
        take(lake, write("a.jsonl", '{"Kunde_Nr":"A1","item":"B1","ts":1400000000}\n'), place=place)
    with pytest.raises(
        UserError, match=r'with events\.map\.occurred_at = "COLUMN", name its format with events\.time_format, or .* in landing'
    ):
        take(lake, write("a.jsonl", '{"user":"A1","item":"B1"}\n'), place=place)


def test_a_path_to_all_elements_is_refused_with_a_command_that_makes_rows_of_them(
    lake: Lake, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = [json.dumps({**GA4, "items": [{"item_id": f"i{n}"}, {"item_id": f"j{n}"}]}) for n in range(2)]
    path = write("ga4.jsonl", "\n".join(lines))
    columns = {"user_id": "user_pseudo_id", "occurred_at": "event_timestamp", "item_id": "items[*].item_id"}
    with pytest.raises(UserError, match=r"'items\[\*\]\.item_id' leads to several values.*--map item_id=element\.item_id$") as refused:
        take(lake, path, columns=columns)
    command = re.search(r"run: (python -c .*), and take in", str(refused.value))
    assert command is not None
    monkeypatch.chdir(tmp_path)
    subprocess.run(command[1].replace("python", sys.executable, 1), shell=True, check=True)
    assert take(lake, "ga4.parquet", columns={**columns, "item_id": "element.item_id"}).new == 4
    assert sorted(events(lake, "item_id")) == [("i0",), ("i1",), ("j0",), ("j1",)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "predicate",
    [
        "exists (from read_text('{secret}'))",
        "(select count(*) from read_csv('{secret}')) > 0",
        "exists (from glob('{secret}*'))",
        "exists (from sqlite_scan('{secret}', 'x'))",
        "true) or exists (from read_text('{secret}')",
        "true); copy (select 1) to '{secret}'; select (true",
    ],
)
def test_a_predicate_reaches_no_other_file_and_fetches_no_extension(lake: Lake, write: Write, predicate: str) -> None:
    secret = write("secret.txt", "x\n")
    path = write("in/a.csv", "user_id,item_id,occurred_at\nu,i,2026-11-20\n")
    with pytest.raises(UserError, match=r"--where .* does not fit") as refused:
        take(lake, path, predicate=predicate.replace("{secret}", secret))
    assert "automatically install" not in str(refused.value)
    assert Path(secret).read_text(encoding="utf-8") == "x\n"
    assert take(lake, path, predicate="user_id = 'u' -- and no other").new == 1


# Files without a header


def test_a_first_line_of_values_is_refused_and_names_the_option(lake: Lake, write: Write) -> None:
    path = write("in.csv", "1,10,5,978300760\n1,11,3,978302109\n2,10,4,978301968\n")
    with pytest.raises(UserError, match=r"the first line of in\.csv looks like data \(1, 10, 5, 978300760\).*with --columns"):
        take(lake, path)
    with pytest.raises(UserError, match=r"--columns gives 2 names, but the first line of in\.csv has 4 columns"):
        take(lake, path, names=("user_id", "item_id"))
    assert take(lake, path, names=("user_id", "item_id", "value", "occurred_at")).new == 3
    assert take(lake, path, names=("user_id", "item_id", "", "occurred_at"), columns={"value": "column2"}).duplicate == 3


@pytest.mark.parametrize("line", ["anna,lamp,view,2026-01-01T10:00:00Z", "anna,lamp,view,web,1767261600"])
def test_a_first_line_with_a_date_and_time_is_data_with_any_other_content(lake: Lake, write: Write, line: str) -> None:
    with pytest.raises(UserError, match=r"the first line of in\.csv looks like data"):
        take(lake, write("in.csv", f"{line}\n"))


def test_mapping_the_values_of_the_first_line_loses_no_row(lake: Lake, write: Write) -> None:
    path = write("in.csv", "1,10,5,978300760\n1,11,3,978302109\n2,10,4,978301968\n")
    columns = {"user_id": "1", "item_id": "10", "value": "5", "occurred_at": "978300760"}
    assert take(lake, path, columns=columns).new == 3
    assert events(lake, "item_id") == [("10",), ("11",), ("10",)]


@pytest.mark.parametrize("header", ["user_id,item_id,occurred_at,2024", "kunde,artikel,zeit,2024"])
def test_a_header_with_a_number_in_it_is_a_header(lake: Lake, write: Write, header: str) -> None:
    columns: dict[str, Any] = dict(zip(("user_id", "item_id", "occurred_at"), header.split(","), strict=False))
    assert take(lake, write("a.csv", f"{header}\nu,i,2026-11-20,4\n"), columns=columns).new == 1
