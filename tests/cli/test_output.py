"""How results look: a table on a terminal, plain columns in a pipe, and every id in one piece."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from cli.output import show

ITEM = "item-" + "0123456789" * 4
RUN = "be6b613a59444b6eb92ff1fd25225915"
ADDRESS = "http://127.0.0.1:5000/#/experiments/1/runs/" + RUN
LIST = [
    {"rank": 1, "item_id": ITEM, "title": "Mahogany guitar capo, stage edition", "probability": 0.1453, "reason": "because of Ukulele"},
    {"rank": 10, "item_id": "漢字 b", "title": "Two\nlines", "probability": 0.05, "reason": None},
]


def shown(capsys: pytest.CaptureFixture[str], rows: list[dict[str, object]], title: str | None = None) -> list[str]:
    show(rows, as_json=False, title=title)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Standard output counts as a terminal of 80 columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    return monkeypatch


def test_a_pipe_gets_aligned_columns_without_boxes_colours_or_cuts(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, LIST, "user u") == [
        "user u",
        f"rank  item_id{' ' * 38}  title                                probability  reason",
        f"   1  {ITEM}  Mahogany guitar capo, stage edition       0.1453  because of Ukulele",
        f"  10  漢字 b{' ' * 39}  Two\\nlines                                0.0500",
    ]


@pytest.mark.parametrize("columns", ["80", "40", "10"])
def test_no_id_run_or_address_is_broken_on_a_narrow_terminal(
    columns: str, terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setenv("COLUMNS", columns)
    text = "\n".join(shown(capsys, LIST) + shown(capsys, [{"what": "MLflow run", "value": RUN}, {"what": "page", "value": ADDRESS}]))
    for whole in (ITEM, "漢字 b", RUN, ADDRESS, "Mahogany", "probability"):
        assert f" {whole} " in text


def test_a_table_fills_80_columns_at_most_where_its_ids_let_it_and_breaks_no_word(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**row, "item_id": "guitars-001", "reason": "because of Mahogany acoustic guitar, stage edition"} for row in LIST]
    lines = shown(capsys, rows)
    assert {cell_len(line) for line in lines} == {80}
    for word in " ".join(str(value) for value in rows[0].values()).replace("0.1453", "").split():
        assert any(f"{word} " in line for line in lines), word


def test_nothing_is_said_to_be_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, []) == ["nothing to show"]
