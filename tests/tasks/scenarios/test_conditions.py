"""A `where` is one condition on one item: it sees nothing else and changes nothing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from models.errors import UserError
from tasks.scenarios.conditions import fingerprint, meets

ITEMS = pa.table(
    {
        "item_id": ["a", "b", "c"],
        "title": ["Tent", None, "Lamp"],
        "tags": pa.array([["rain", "sun"], [], None], pa.list_(pa.string())),
        "price": [120.0, None, 30.0],
        "is_available": [True, True, False],
        "first_seen_at": pa.array([datetime(2020, 1, 1), datetime(2100, 1, 1), datetime(2100, 1, 1)], pa.timestamp("us")),
    }
)


@pytest.mark.parametrize(
    ("where", "allowed"),
    [
        ("is_available and price < 100", []),
        ("price < 100", [2]),
        ("price < 100 or price is null -- cheap or free", [1, 2]),
        ("not list_contains(tags, 'rain')", [1]),
        ("len(list_filter(tags, lambda tag: tag = 'sun')) = 1", [0]),
        ("title ilike 't%'", [0]),
        ("coalesce(title, '') <> 'range(3)'", [0, 1, 2]),
        ("first_seen_at > now() - interval 30 day", [1, 2]),
        ("title::integer > 3", []),
        ("false", []),
    ],
)
def test_a_condition_allows_the_items_that_meet_it_and_null_and_failed_casts_count_as_no(where: str, allowed: list[int]) -> None:
    assert meets(ITEMS, where).nonzero()[0].tolist() == allowed


@pytest.mark.parametrize(
    ("where", "rule"),
    [
        ("price in (select 1)", "is refused: it reads other rows than its own"),
        ("exists (from raw.events)", "is refused: it reads other rows than its own"),
        ("(select count(*) from read_text('/etc/passwd')) > 0", "is refused: it reads other rows than its own"),
        ("random() < 0.5", "is refused: its function gives another result at each call"),
        ("nextval('s') > 1", "does not work"),
        ("write_log('x') is null", "is refused|does not work"),
        ("sum(price) > 1", "is refused: a condition looks at one item at a time"),
        ("row_number() over () > 1", "is refused: a condition looks at one item at a time"),
        ("unnest([true])", "is refused: a condition looks at one item at a time"),
        ("true) or (true", "does not work: Parser Error"),
        ("true; drop table raw.items", "does not work: Parser Error"),
        ("true, true", "does not work"),
        ("*", "does not work"),
        ("price > $1", "does not work"),
        ("ITEMS is not null", "names the column 'ITEMS', which raw.items does not have"),
        ("prize < 3", "names the column 'prize', which raw.items does not have; did you mean price"),
        ("colour = 'red'", "names the column 'colour', which raw.items does not have; the columns are item_id, title"),
        ("list_sum(list_transform(range(10000000000), lambda n: n)) > 1", "is refused: range makes a value of any length"),
        ("len([n for n in generate_series(1, 10000000000)]) > 1", "is refused: generate_series makes a value of any length"),
        ("(10000000000).range().len() > 1", "is refused: range makes"),
        ("len(title.REPEAT(1000000000)) > 1", "is refused: repeat makes"),
        ("price", "is not a condition, as its result is DOUBLE; compare it, such as price < 100"),
        ("", "does not work"),
        ("-- nothing", "does not work"),
        ("\0", "does not work"),
    ],
)
def test_anything_else_is_refused_in_one_line(where: str, rule: str) -> None:
    with pytest.raises(UserError, match=rule) as raised:
        meets(ITEMS, where)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("function", ["read_text", "read_csv", "glob", "sniff_csv"])
def test_a_condition_reads_no_file(tmp_path: Path, function: str) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(UserError):
        meets(ITEMS, f"len({function}('{file}')) > 0")
    with pytest.raises(UserError):
        meets(ITEMS, f"title in (from '{file}')")


def test_a_strict_check_reports_what_a_publication_counts_as_no() -> None:
    with pytest.raises(UserError, match="does not work: Conversion Error"):
        meets(ITEMS, "title::integer > 3", is_strict=True)


def test_the_fingerprint_follows_the_allowed_items_only() -> None:
    assert fingerprint(ITEMS, "price < 100") == fingerprint(ITEMS, "price < 50") == fingerprint(ITEMS.slice(1), "price < 100")
    assert len({fingerprint(ITEMS, where) for where in ("price < 100", "price > 100", "false", "true")}) == 4
