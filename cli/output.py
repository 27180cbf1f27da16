"""How commands print: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

LIST_COLUMNS = ("rank", "item_id", "title", "probability", "similarity", "reason")


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str | None = None) -> None:
    """Print rows of equal keys as a table, or as a JSON array of objects."""
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], default=str, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    for name in rows[0] if rows else ("nothing to show",):
        numeric = bool(rows) and isinstance(rows[0][name], int | float) and not isinstance(rows[0][name], bool)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(markup=False, emoji=False, highlight=False).print(table)  # a title such as "[REC] :x:" is not markup


def show_json(rows: list[dict[str, Any]]) -> None:
    """Print rows as a JSON array of objects; null for numbers that are not finite."""
    from tasks.offline.results import plain

    show([plain(row) for row in rows], as_json=True)


def show_list(rows: list[dict[str, Any]], subject: str) -> None:
    """Print one published list as a table, with its origin in the title."""
    from datetime import UTC, datetime

    from tasks.reading import age

    if not rows:
        typer.echo(f"{subject}: the list is empty")
        return
    origin = rows[0]
    when = age(origin["generated_at"], datetime.now(UTC).replace(tzinfo=None))
    title = f"{subject}: model version {origin['model_version']}, snapshot {origin['data_snapshot']}, {when}"
    show([{name: row[name] for name in LIST_COLUMNS if name in row} for row in rows], as_json=False, title=title)


def tell_ingest(summaries: Sequence[Mapping[str, Any]]) -> None:
    """Print what was guessed about the files of a backtest or replay, and what became of rows that are not in it."""
    for summary in summaries:
        for note in summary["notes"]:
            typer.echo(note)
        lost = ", ".join(f"{summary[name]:,} {name}" for name in ("duplicate", "rejected") if summary[name])
        if lost:
            reasons = "; ".join(f"{reason['rule']} ({reason['n_rows']:,})" for reason in summary["reasons"])
            typer.echo(f"{summary['read']:,} {summary['kind']} read, of them {lost}{f': {reasons}' if reasons else ''}")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return str(value)
