"""An export of a person has every row about them, and no row of anybody else."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from models.errors import UserError
from tasks.lake import Lake, writing
from tasks.privacy.export import export_person
from tests.lakes import put
from tests.tasks.conftest import lake_config

INSERTS = (
    "insert into raw.user_aliases values ('s-9', '42', now()::timestamp)",
    "insert into graph.nodes by name select 'user:42' as node, 'user' as kind, '42' as id, '42' as name, 1 as weight, 1 as degree, "
    "'1' as model_version, 1 as data_snapshot, now()::timestamp as generated_at",
    "insert into raw.rejected by name select 'f.csv' as source, 1 as line, 'no time' as reason, now()::timestamp as rejected_at, "
    'unnest([\'{"CustomerID": "42", "StockCode": "7"}\', \'{"CustomerID": "7", "StockCode": "42"}\']) as row_json',
    "create table ops.likes as select '42' as customer_id, 7 as n union all select '421', 8",
)


@pytest.fixture
def shop(lake: Lake) -> Lake:
    put(lake, [("42", "tent", 0.0), ("s-9", "tent", 1.0), ("421", "42", 2.0)])
    with writing(lake) as con:
        for insert in INSERTS:
            con.execute(insert)
    return lake


def test_all_tables_are_exported_with_merged_ids_and_columns_that_anybody_has_added(shop: Lake, home: Path) -> None:
    found = export_person(home, shop, "42.0")
    assert found["ids"] == ["42", "s-9"]
    assert {table: len(rows) for table, rows in found["tables"].items()} == {
        "graph.nodes": 1,
        "ops.likes": 1,
        "raw.events": 2,
        "raw.rejected": 1,
        "raw.user_aliases": 1,
    }
    assert found["tables"]["ops.likes"] == [{"customer_id": "42", "n": 7}]
    assert found["tables"]["raw.rejected"][0]["row_json"].startswith('{"CustomerID": "42"')
    assert export_person(home, shop, "s-9")["tables"] == found["tables"]


def test_an_export_names_the_files_that_hold_the_id(shop: Lake, home: Path) -> None:
    (home / "landing" / "events").mkdir(parents=True)
    (home / "landing" / "events" / "a.csv").write_text("user_id,item_id\n42,tent\n")
    assert export_person(home, shop, "42")["elsewhere"] == [{"store": "landing", "place": "landing/events/a.csv", "n": 1}]


@pytest.mark.parametrize("user_id", ["nobody", "*", " "])
def test_an_id_of_nobody_is_an_error_with_a_remedy(shop: Lake, home: Path, user_id: str) -> None:
    with pytest.raises(UserError, match=r"as in raw\.events"):
        export_person(home, shop, user_id)


@pytest.mark.slow
def test_the_command_writes_a_file_that_only_its_owner_can_read_and_replaces_none(
    shop: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINUTEHAND_LAKE__CATALOG", shop.catalog)
    out = tmp_path / "person.json"
    done = CliRunner().invoke(app, ["export-person", "42", "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert len(json.loads(out.read_text())["tables"]["raw.events"]) == 2
    with pytest.raises(UserError, match="name a file that does not exist yet"):
        CliRunner().invoke(app, ["export-person", "42", "--out", str(out)], catch_exceptions=False)


__all__ = ["lake_config"]
