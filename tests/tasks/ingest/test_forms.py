"""Spellings of times, numbers and missing values, and how the ingest reads them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.lake import Lake
from tests.tasks.ingest.taking import events, reasons, rows, standing, take

Write = Callable[[str, str], str]
HEADER = "user_id,item_id,occurred_at\n"
NOON = datetime(2024, 1, 31, 12)


def timed(write: Write, texts: list[str]) -> str:
    """A file with one event per time; item ids are the positions."""
    return write("t.csv", HEADER + "".join(f'u,{place},"{text}"\n' for place, text in enumerate(texts)))


def times_of(lake: Lake, texts: list[str]) -> dict[str, datetime]:
    return {texts[int(place)]: time for place, time in events(lake, "item_id, occurred_at")}


# Times

ISO_FORMS = {
    **dict.fromkeys(
        [
            "2024-01-31T12:00Z",
            "2024-01-31T12:00",
            "2024-01-31 12:00",
            "2024-01-31T12",
            "2024-01-31T12Z",
            "2024-01-31T13:00+01:00",
            "2024-01-31T13:00+0100",
            "2024-01-31T13+01",
            "2024-01-31 13:00:00+01",
            "2024-01-31 13:00:00 +0100",
            "2024-01-31T07:00-05:00",
            "2024-01-31T07:00−05:00",
            "2024-01-31T17:30:00+05:30",
            "20240131T120000Z",
            "20240131T120000",
            "20240131T1200Z",
            "20240131T130000+0100",
            "202401311200",
            "20240131120000",
            "2024-W05-3T12:00Z",
            "2024W053T1200Z",
            "2024-031T12:00:00Z",
            "2024031T120000Z",
            "2024-01-31T12:00:00,000Z",
            "2024-01-31t12:00:00z",
            "2024-01-31T12:00:00.0000000Z",
            "2024-01-31T12:00:00.000000000+00:00",
            "2024-01-31 12:00:00 UTC",
            "2024-01-31 12:00:00.000000 UTC",
            "2024-01-31T13:00:00+01:00[Europe/Berlin]",
            "2024-01-31T13:00:00[Europe/Berlin]",
            "2024-01-31T12:00:00Z[UTC][u-ca=gregory]",
            "2024-01-31T12:00[u-ca=gregory]",
            "2024/01/31 12:00",
            "2024-1-31 12:00",
            "Wed, 31 Jan 2024 12:00:00 GMT",
            "31/Jan/2024:12:00:00 +0000",
            "Jan 31, 2024, 12:00:00 PM",
            "January 31, 2024 12:00",
            "Wed Jan 31 2024 13:00:00 GMT+0100 (Central European Standard Time)",
            "2024-01-31 12:00:00 PM",
            "2024年1月31日 12:00",
        ],
        NOON,
    ),
    "2024-01-31T12:00:00,5Z": datetime(2024, 1, 31, 12, 0, 0, 500000),
    "2024-01-31T12:00:00.123456789Z": datetime(2024, 1, 31, 12, 0, 0, 123456),
    "2024-01-31T12:00:00.12+01:00": datetime(2024, 1, 31, 11, 0, 0, 120000),
    "2024-01-31T24:00:00Z": datetime(2024, 2, 1),
    "2016-12-31T23:59:60Z": datetime(2017, 1, 1),
    "2024-031": datetime(2024, 1, 31),
    "2024-366": datetime(2024, 12, 31),
    "2020-W53-7": datetime(2021, 1, 3),
    "20240131": datetime(2024, 1, 31),
    "2024-01-31+01:00": datetime(2024, 1, 30, 23),
    "20240131120000250": datetime(2024, 1, 31, 12, 0, 0, 250000),
}


def test_every_form_of_iso_8601_and_of_well_known_exports_gets_in(lake: Lake, write: Write) -> None:
    texts = list(ISO_FORMS)
    take(lake, timed(write, texts))
    assert times_of(lake, texts) == ISO_FORMS
    assert reasons(lake) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", ["2024-01-31 12:00:00 EST", "2024-01-31T12:00:00+05:00", "2024-01-31 12:00:00"])
def test_the_zone_of_a_row_never_leaks_into_the_next(lake: Lake, write: Write, first: str) -> None:
    expected = {
        first: {"EST": datetime(2024, 1, 31, 17), ":00": datetime(2024, 1, 31, 7)}.get(first[-3:], NOON),
        "2024-01-31 12:00": NOON,
        "2024-01-31 12:00:00 EST ": datetime(2024, 1, 31, 17),
        "2024-01-31T12:00:00": NOON,
        "2024-01-31 12:00:00 Europe/Berlin": datetime(2024, 1, 31, 11),
        "2024-01-31 12:00:00.0": NOON,
        "2024-07-31 12:00:00 europe/berlin": datetime(2024, 7, 31, 10),
        "2024-01-31": datetime(2024, 1, 31),
        "2024-01-31 12:00:00 CEST": datetime(2024, 1, 31, 10),
        "2024-01-31  12:00": NOON,
    }
    if first.endswith("12:00:00"):
        expected[first] = NOON if not first.endswith("+05:00") else datetime(2024, 1, 31, 7)
    texts = list(expected)
    take(lake, timed(write, texts))
    assert times_of(lake, texts) == expected


NO_TIMES = [
    *(
        "45322.5",
        "0",
        "-1",
        "2024",
        "202401",
        "0001-01-01T00:00:00",
        "1900-01-01",
        "1899-12-30 00:00:00",
        "1970-01-01",
        "1",
        "978307",
        "nan",
        "inf",
    ),
    *(
        "2024-13-01",
        "2024-02-30",
        "2024-01-31T25:00",
        "2024-01-31T12:60",
        "2024-01-31T24:01",
        "2024-W54-1",
        "2024-W05-8",
        "2023-366",
        "2024-000",
    ),
    *(
        "2024-01-31T12:00+99:00",
        "2024-01-31 12:00 Nowhere/City",
        "2024-01-31 12:00 Uhr",
        "20241301",
        "20240231T120000Z",
        "infinity",
        "epoch",
        "now",
    ),
    *("today", "12:00", "31.01.24", "2024-01", "1e300", "2024-01-31 13:00 PM", "9" * 40),
]


def test_implausible_times_are_refused(lake: Lake, write: Write) -> None:
    summary = take(lake, timed(write, NO_TIMES))
    assert times_of(lake, NO_TIMES) == {}
    assert summary.rejected == len(NO_TIMES)
    found = dict(reasons(lake))
    assert found[1].startswith("occurred_at is implausibly early; give ISO 8601 or unix seconds")
    assert "MINUTEHAND_INGEST__EARLIEST_YEAR" in found[6]
    assert [value for _, value in standing(lake)] == NO_TIMES


def test_earlier_years_get_in_where_the_setting_says_so_and_the_summary_dates_them(lake: Lake, write: Write) -> None:
    summary = take(lake, timed(write, ["1969-07-20", "1985-01-01", "2024-01-31"]), config=IngestConfig(earliest_year=1900))
    assert summary.new == 3
    assert "2 events are from before 1990, the oldest from 1969-07-20: check whether these are times" in summary.notes


def test_day_and_month_have_the_order_that_fits_the_whole_column(lake: Lake, write: Write) -> None:
    german = {"01.06.2026 00:16": datetime(2026, 6, 1, 0, 16), "31.05.2026 23:59:58": datetime(2026, 5, 31, 23, 59, 58)}
    take(lake, timed(write, list(german)))
    assert times_of(lake, list(german)) == german
    american = {"1/6/2026 12:16 AM": datetime(2026, 1, 6, 0, 16), "5/31/2026 1:05 PM": datetime(2026, 5, 31, 13, 5)}
    take(lake, write("b.csv", HEADER + "".join(f"v,{place},{text}\n" for place, text in enumerate(american))))
    assert rows(lake, "select occurred_at from raw.events where user_id = 'v' order by item_id") == [(time,) for time in american.values()]


@pytest.mark.slow
@pytest.mark.parametrize("texts", [["01.06.2026 00:16", "02.06.2026 00:16"], ["31.05.2026", "05.31.2026", "01.02.2026"]])
def test_where_the_column_does_not_decide_the_order_the_reason_names_the_option(lake: Lake, write: Write, texts: list[str]) -> None:
    summary = take(lake, timed(write, texts))
    assert (summary.new, summary.rejected) == (0, len(texts))
    assert all(
        reason.startswith("occurred_at may have day or month first; ") and "--time-format '%d.%m.%Y %H:%M'" in reason
        for _, reason in reasons(lake)
    )
    assert take(lake, timed(write, texts[:1]), time_format="%d.%m.%Y %H:%M" if " " in texts[0] else "%d.%m.%Y").new == 1


@pytest.mark.slow
def test_times_without_a_zone_use_the_zone_of_the_option_or_of_the_setting(lake: Lake, write: Write, tmp_path: Path) -> None:
    expected = {
        "2024-01-31 13:00": NOON,
        "2024-07-31 14:00:00": datetime(2024, 7, 31, 12),
        "2024-01-31T12:00Z": NOON,
        "1706702400": NOON,
        "20240131130000": NOON,
        "2024-01-31 12:00:00 UTC": NOON,
        "2024-02-01": datetime(2024, 1, 31, 23),
    }
    texts = list(expected)
    take(lake, timed(write, texts), time_zone="Europe/Berlin")
    assert times_of(lake, texts) == expected
    assert take(lake, timed(write, texts), config=IngestConfig(time_zone="Europe/Berlin")).duplicate == len(texts)
    parquet = str(tmp_path / "a.parquet")
    duckdb.sql("select 'p' as user_id, 'i' as item_id, timestamp '2024-01-31 13:00' as occurred_at").write_parquet(parquet)
    take(lake, parquet, time_zone="europe/berlin")
    path = write("f.csv", HEADER + "p,j,31.01.2024 13:00\n")
    take(lake, path, time_zone="Europe/Berlin", time_format="%d.%m.%Y %H:%M")
    assert rows(lake, "select occurred_at from raw.events where user_id = 'p'") == [(NOON,), (NOON,)]


def test_hours_that_the_clocks_skip_or_show_twice_are_taken_in_with_a_note(lake: Lake, write: Write) -> None:
    texts = ["2026-03-29 02:30", "2026-03-29 03:30", "2026-10-25 02:30", "2026-10-25 03:30", "2026-03-29 01:59:59"]
    summary = take(lake, timed(write, texts), time_zone="Europe/Berlin")
    assert times_of(lake, texts) == {
        texts[0]: datetime(2026, 3, 29, 1, 30),
        texts[1]: datetime(2026, 3, 29, 1, 30),
        texts[2]: datetime(2026, 10, 25, 1, 30),
        texts[3]: datetime(2026, 10, 25, 2, 30),
        texts[4]: datetime(2026, 3, 29, 0, 59, 59),
    }
    assert "1 times fall in an hour that the clocks of Europe/Berlin skip; they were taken as the hour after it" in summary.notes
    assert "1 times fall in an hour that the clocks of Europe/Berlin show twice; they were taken as its second showing" in summary.notes


def test_an_unknown_zone_is_reported(lake: Lake, write: Write) -> None:
    with pytest.raises(UserError, match="no time zone 'Europe/Berln'; did you mean Europe/Berlin"):
        take(lake, timed(write, ["2024-01-31"]), time_zone="Europe/Berln")


# Words for missing values

NOTHING = [
    "NULL",
    "null",
    "nan",
    "NaN",
    "None",
    "none",
    "NA",
    "n/a",
    "#N/A",
    "<NA>",
    "\\N",
    "nil",
    "undefined",
    '""',
    "(null)",
    "-",
    "?",
    "NaT",
    "(not set)",
]


def test_words_for_missing_values_are_no_ids(lake: Lake, write: Write) -> None:
    lines = [",".join((cell, "i", "2024-01-31")) for cell in ('"' + word.replace('"', '""') + '"' for word in NOTHING)]
    lines += [",".join(("u", cell, "2024-01-31")) for cell in ('"' + word.replace('"', '""') + '"' for word in NOTHING)]
    path = write("a.csv", HEADER + "\n".join(lines) + "\nNora,nana,2024-01-31\n")
    summary = take(lake, path)
    assert (summary.new, summary.rejected) == (1, 2 * len(NOTHING))
    assert events(lake, "user_id, item_id") == [("Nora", "nana")]
    assert {reason["rule"]: reason["n_rows"] for reason in summary.reasons} == {
        "user_id is empty": len(NOTHING),
        "item_id is empty": len(NOTHING),
    }
    assert reasons(lake)[0][1].startswith("user_id is empty; fill it, or map another column with --map user_id=COLUMN; if it is a valid id")


def test_a_shop_with_a_user_called_none_lets_them_in(lake: Lake, write: Write) -> None:
    path = write("a.csv", HEADER + "none,i,2024-01-31\n,j,2024-01-31\n")
    assert take(lake, path, null_words_as_ids=True).new == 1
    assert take(lake, path, config=IngestConfig(null_words_as_ids=True)).duplicate == 1


def test_nulls_in_json_and_in_items_are_missing_values(lake: Lake, write: Write) -> None:
    path = write("a.jsonl", '{"user_id": null, "item_id": "i", "ts": 1706702400}\n{"user_id": "None", "item_id": "i", "ts": 1706702400}\n')
    assert take(lake, path).rejected == 2
    assert take(lake, write("i.csv", "item_id,title\nnull,x\n1,None\n"), kind="items").rejected == 1
    assert rows(lake, "select item_id, title from raw.items") == [("1", "None")]


# Numbers and availability


@pytest.mark.slow
@pytest.mark.parametrize(
    ("texts", "prices"),
    [
        (["46,91", "1.234,56 €", "1.234", "€ 7", "12,-", "1.234.567"], [46.91, 1234.56, 1234.0, 7.0, 12.0, 1234567.0]),
        (["$1,234.56", "1,234", "0.5", "USD 3.10", "-0", "1e3"], [1234.56, 1234.0, 0.5, 3.1, 0.0, 1000.0]),
        (
            ["1 234,56", "1'234.50", "1\u202f234,5", "¥ 99", "99 元", "CHF 12.50", "12.50 kr"],
            [1234.56, 1234.5, 1234.5, 99.0, 99.0, 12.5, 12.5],
        ),
        (["1,234", "1.234", "0,123", "5"], [None, 1.234, 0.123, 5.0]),
        (["1,2,3", "12.34.5", "1.23,456,7", "free", "1,,2", "3 items in 2", "2024-01-31"], [None] * 7),
    ],
)
def test_prices_are_read_as_they_are_written(lake: Lake, write: Write, texts: list[str], prices: list[float | None]) -> None:
    path = write("i.csv", "item_id;price\n" + "".join(f"{place};{text}\n" for place, text in enumerate(texts)))
    summary = take(lake, path, kind="items")
    assert [price for (price,) in rows(lake, "select price from raw.items order by item_id::int")] == prices
    assert summary.values_refused == prices.count(None)


def test_the_value_of_an_event_may_have_a_comma(lake: Lake, write: Write) -> None:
    path = write("e.csv", "user_id;item_id;occurred_at;amount\nu;i;2024-01-31;46,91\nu;j;2024-01-31;1.234,50 EUR\n")
    take(lake, path)
    assert events(lake, "value") == [(46.91,), (1234.5,)]


AVAILABLE = [
    "in stock",
    "in_stock",
    "InStock",
    "https://schema.org/InStock",
    "Yes",
    "auf Lager",
    "lieferbar",
    "Ja",
    "wahr",
    "en stock",
    "disponible",
]
AVAILABLE += ["oui", "vrai", "sí", "verdadero", "En existencias", "有货", "现货", "是", "有库存", "1", "1.0", "TRUE", "verfügbar"]
SOLD = [
    "out of stock",
    "out_of_stock",
    "OutOfStock",
    "http://schema.org/OutOfStock",
    "sold out",
    "No",
    "nicht auf Lager",
    "ausverkauft",
    "nein",
    "falsch",
]
SOLD += [
    "épuisé",
    "rupture de stock",
    "en rupture de stock",
    "non",
    "faux",
    "agotado",
    "no disponible",
    "falso",
    "缺货",
    "无货",
    "否",
    "售罄",
    "0",
    "0.0",
    "False",
]
SOLD += ["nicht verfügbar", "indisponible", "sin existencias"]


def test_availability_is_read_in_five_languages(lake: Lake, write: Write) -> None:
    words = [*AVAILABLE, *SOLD]
    summary = take(lake, write("i.csv", "item_id,available\n" + "".join(f"{n},{word}\n" for n, word in enumerate(words))), kind="items")
    assert summary.values_refused == 0
    found = [words[int(item)] for (item,) in rows(lake, "select item_id from raw.items where is_available order by item_id::int")]
    assert found == AVAILABLE


def test_texts_of_other_encodings_are_read_where_the_option_names_them(lake: Lake, tmp_path: Path) -> None:
    text = "item_id;Titel;Preis;verfügbar\r\n1;Zelt für Gäste;1.234,56 €;ja\r\n2;Töpfe;46,91;nein\r\n"
    for place, encoding in enumerate(("cp1252", "utf-16", "utf-8-sig")):
        path = tmp_path / f"{place}.csv"
        path.write_bytes(text.encode(encoding))
        assert take(lake, str(path), kind="items", encoding=encoding).rejected == 0
        assert rows(lake, "select title, price, is_available from raw.items order by item_id") == [
            ("Zelt für Gäste", 1234.56, True),
            ("Töpfe", 46.91, False),
        ]
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress("商品编号,标题,价格\n9,红色帐篷,￥99\n".encode("gb18030")))
    take(lake, str(tmp_path / "c.csv.gz"), kind="items", encoding="GB18030", columns={"item_id": "商品编号"})
    assert rows(lake, "select title, price from raw.items where item_id = '9'") == [("红色帐篷", 99.0)]


def test_a_file_that_is_not_utf_8_names_the_option_and_so_does_a_line(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for encoding, option in (("cp1252", "--encoding cp1252"), ("utf-16", "--encoding utf-16")):
        path.write_bytes("item_id;Größe\n1;2\n".encode(encoding))
        with pytest.raises(UserError, match=rf"a\.csv is not UTF-8 text .* let ingest read it with {option}"):
            take(lake, str(path), kind="items")
    with pytest.raises(UserError, match="no text encoding 'cp1522'; give one that Python knows, such as --encoding cp1252"):
        take(lake, str(path), kind="items", encoding="cp1522")
    path.write_bytes("item_id;title\n1;Töpfe\n2;Tent\n".encode("cp1252"))
    assert take(lake, str(path), kind="items").rejected == 1
    assert "name its encoding with --encoding" in reasons(lake)[0][1]
    assert take(lake, str(path), kind="items", encoding="cp1252").new == 1
    assert reasons(lake) == []


def test_a_byte_that_is_invalid_in_the_encoding_costs_only_its_line(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"item_id,title\n1,\xba\xec\n2,\xff\xff\n3,x\n")
    summary = take(lake, str(path), kind="items", encoding="gb18030")
    assert (summary.new, summary.rejected) == (2, 1)
    assert rows(lake, "select title from raw.items order by item_id") == [("红",), ("x",)]


def test_for_items_without_a_title_a_note_names_the_columns_that_are_left_out(lake: Lake, write: Write) -> None:
    summary = take(lake, write("i.csv", "item_id,Benennung,Farbe\n1,Zelt,rot\n"), kind="items")
    assert summary.notes == ["i.csv: no column is title or description, and Benennung, Farbe are left out; map one with --map title=COLUMN"]


def test_a_note_says_that_events_without_a_type_are_views_if_a_column_may_be_the_type(lake: Lake, write: Write) -> None:
    path = write("e.csv", "user_id,item_id,occurred_at,Aktion\nu,i,2026-01-01,Kauf\n")
    note = "e.csv: every event is a view, as no column is event_type, and Aktion is left out; map one with --map event_type=COLUMN"
    assert take(lake, path).notes == [note]
    assert take(lake, path, columns={"event_type": "Aktion"}).notes == []
    assert take(lake, path, constants={"event_type": "purchase"}).notes == []


def test_a_large_whole_decimal_keeps_its_id(lake: Lake, tmp_path: Path) -> None:
    path = str(tmp_path / "a.parquet")
    duckdb.sql(
        "select 12345678901234567890::decimal(22, 2) as user_id, 17850.0::double as item_id, timestamp '2024-01-31' as ts"
    ).write_parquet(path)
    take(lake, path)
    assert events(lake, "user_id, item_id") == [("12345678901234567890", "17850")]
