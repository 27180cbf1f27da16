"""Files for a backtest: validated like an ingest, and ordered by an order column or by row order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from models.config import EncoderConfig
from models.errors import UserError
from tasks.config import IngestConfig
from tasks.ingest.sources import ColumnMapping
from tasks.night.dataset import Dataset
from tasks.offline.files import Files, fill_times, load
from tests.models.text.test_encoder import save_tiny_bert

Write = Callable[[str, str], str]
CONFIG = IngestConfig()


def stream(data: Dataset, user: str) -> list[str]:
    """The items of a user, in order."""
    return [data.catalog.item_ids[item] for item in data.events.item[data.events.user == data.user_ids.index(user)]]


def test_ties_keep_row_order_and_a_bad_row_is_reported(write: Write) -> None:
    path = write("e.csv", "user_id,item_id,ts\n" + "".join(f"u,i{n},2024-01-01\n" for n in (3, 1, 2)) + "u,i9,2023-12-31\n,x,2024-01-01\n")
    loaded = load(Files(path), CONFIG)
    assert stream(loaded.dataset, "u") == ["i9", "i3", "i1", "i2"]
    assert [reason["rule"] for reason in loaded.summaries[0].reasons] == ["user_id is empty"]
    assert (loaded.order, loaded.encoding_s) == (None, 0)


@pytest.mark.slow
def test_the_column_pos_is_the_order_if_requested_even_against_time(write: Write) -> None:
    rows = [("u", "a", 2, 1704067200), ("u", "b", 10, 1704067100), ("u", "c", 0, 1704067300), ("v", "a", 1, 5), ("v", "b", 0, 5)]
    path = write("e.csv", "user_id,item_id,pos,timestamp\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows))
    by_position, by_time = (load(Files(path), CONFIG, by_position=flag) for flag in (True, False))
    assert (by_position.order, by_time.order) == ("pos", None)
    assert stream(by_position.dataset, "u") == ["c", "a", "b"], "10 comes after 2, as a number"
    assert stream(by_position.dataset, "v") == ["b", "a"]
    assert stream(by_time.dataset, "u") == ["b", "a", "c"]
    assert stream(by_time.dataset, "v") == ["a", "b"]
    times = dict(zip(by_position.dataset.events.item.tolist(), by_position.dataset.events.time.tolist(), strict=False))
    assert len(times) == 3, "each event keeps its own time"


@pytest.mark.slow
def test_an_event_with_a_position_but_no_time_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    times = {"user_id": [1, 1, 1, 2], "item_id": [7, 8, 9, 7], "pos": [0, 1, 2, 0], "timestamp": [None, 1_600_000_000, None, None]}
    pl.DataFrame(times).write_parquet(path)
    loaded = load(Files(str(path)), CONFIG, by_position=True)
    assert stream(loaded.dataset, "1") == ["7", "8", "9"]
    assert set(loaded.dataset.events.time.tolist()) == {1_600_000_000}
    assert loaded.summaries[0].reasons == [{"rule": "occurred_at is empty", "n_rows": 1}], "user 2 has no time at all"
    assert stream(load(Files(str(path)), CONFIG).dataset, "1") == ["8"]


def test_without_time_the_order_stays_and_all_events_have_the_same_time(write: Write) -> None:
    path = write("e.csv", "user_id,item_id,ts\nu,a,300\nv,x,50\nu,b,100\nu,c,200\nv,y,60\n")
    data = load(Files(path, without_time=True), CONFIG, by_position=True).dataset
    assert (stream(data, "u"), stream(data, "v")) == (["b", "c", "a"], ["x", "y"])
    assert set(data.events.time.tolist()) == {300}


@pytest.mark.slow
def test_a_file_with_an_order_column_needs_no_times(write: Write) -> None:
    path = write("e.csv", "user_id,product_id,order_number\nu,a,2\nu,b,10\nu,c,1\nu,c,3\nv,a,1\nv,b,2\n")
    for files in (Files(path, order="order_number", without_time=True), Files(path, order="order_number")):
        loaded = load(files, CONFIG, by_position=True)
        assert stream(loaded.dataset, "u") == ["c", "a", "c", "b"]
        assert len(set(loaded.dataset.events.time.tolist())) == 1
    with pytest.raises(UserError, match="none whose values are all times"):
        load(Files(path), CONFIG)


@pytest.mark.slow
def test_a_title_that_begins_with_a_quote_loses_no_row_with_an_order(write: Write) -> None:
    lines = [f"u,i{n},{n},{1_600_000_000 if n else ''},{chr(34) if n == 1 else ''}x" for n in range(6)]
    path = write("e.csv", "user_id,item_id,pos,timestamp,title\n" + "\n".join(lines) + "\n")
    assert stream(load(Files(path), CONFIG, by_position=True).dataset, "u") == [f"i{n}" for n in range(6)]


def test_times_are_filled_in_numeric_order_and_blanks_count_as_missing() -> None:
    rows = pl.DataFrame({"who": ["a", "a", "b", "a"], "n": ["10", "9", "1", "2"], "at": ["", None, " ", "2024"]})
    assert fill_times(rows, "who", "at", "n")["at"].to_list() == ["2024", "2024", None, "2024"]


@pytest.mark.slow
def test_columns_are_mapped_as_in_an_ingest_and_json_lines_are_supported(write: Write) -> None:
    path = write("e.jsonl", '{"Customer": "u", "Code": "a", "when": 5, "n": 2}\n{"Customer": "u", "Code": "b", "when": null, "n": 1}\n')
    mapping = ColumnMapping({"user_id": "Customer", "item_id": "Code", "occurred_at": "when"}, predicate='"Code" is not null')
    data = load(Files(path, event_mapping=mapping, order="n"), CONFIG, by_position=True).dataset
    assert stream(data, "u") == ["b", "a"]


@pytest.mark.slow
def test_items_add_titles_and_items_without_events(write: Write) -> None:
    files = Files(write("e.csv", "user_id,item_id,ts\nu,a,5\n"), write("i.csv", "sku,label\na,Tea\nb,Cup\n"))
    files = Files(files.events, files.items, item_mapping=ColumnMapping({"item_id": "sku", "title": "label"}))
    assert load(files, CONFIG).dataset.titles == ("Tea", "Cup")


@pytest.mark.slow
def test_unusable_files_raise_an_error_with_a_remedy(write: Write) -> None:
    good = write("e.csv", "user_id,item_id,ts\nu,a,5\nu,b,6\n")
    cases = [
        (Files(write("no_rows.csv", "user_id,item_id,ts\n")), "has columns, but no rows below them"),
        (Files(write("empty.csv", "")), "0 bytes"),
        (Files(write("bad.csv", "user_id,item_id,ts\n,a,5\n")), r"none of the 1 rows .* user_id is empty \(1\); map its columns"),
        (Files(write("other.csv", "CustomerID,StockCode,when\n1,2,3\n")), "map it with --map occurred_at="),
        (Files(good, event_mapping=ColumnMapping({"user_id": "usr"})), "map it with --map user_id=user_id"),
        (Files(good, order="seq"), r"no column 'seq' in e.csv \(found: user_id, item_id, ts\); name one of them with --order"),
        (Files(good, order="item_id"), "'item_id' of e.csv is its item_id; --order needs one that numbers"),
        (Files(write("words.csv", "user_id,item_id,ts,nth\nu,a,5,first\n"), order="nth"), "1 events have no number in column 'nth'"),
        (Files(str(Path(good).parent / "f.csv")), "did you mean"),
    ]
    for files, message in cases:
        with pytest.raises(UserError, match=message):
            load(files, CONFIG, by_position=True)


@pytest.mark.slow
def test_the_temporary_lake_is_deleted(write: Write, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    load(Files(write("e.csv", "user_id,item_id,ts\nu,a,5\n")), CONFIG)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not home.exists()


@pytest.mark.slow
def test_texts_that_do_not_fit_the_time_limit_are_left_out_with_a_note(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.encoding.QUICK_CHUNK_ITEMS", 2)
    events = write("e.csv", "user_id,item_id,ts\n" + "".join(f"u,i{n},{n + 1}\n" for n in range(5)))
    items = write("i.csv", "item_id,title\n" + "".join(f"i{n},tent number {n}\n" for n in range(5)))
    encoder = EncoderConfig(name=str(save_tiny_bert(tmp_path / "tiny")))
    loaded = load(Files(events, items), CONFIG, encoder=encoder, encode_within_s=0.0)
    assert int((loaded.dataset.text != 0).any(1).sum()) == 2
    assert loaded.summaries[1].notes == ["3 texts were left out: there was no time to encode them"]
