"""How commands print: a table on a terminal, plain columns into a pipe, JSON for programs.

No control character of the data reaches the terminal as such, and no id is broken, cut or wrapped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import typer

from models.errors import error_text
from models.visible import to_json_value, visible, visible_json, visible_line

LIST_COLUMNS = ("rank", "item_id", "title", "probability", "similarity", "reason")
LONGEST_WORD, LONGEST_ADDRESS = 40, 120
ADDRESS = re.compile(r"\w+://|/")


def say(text: str, *, err: bool = False) -> None:
    """Print a line or several."""
    typer.echo(visible(text), err=err)


def say_json(value: Any) -> None:
    """Print a value as JSON; null for numbers that are not finite."""
    typer.echo(visible_json(json.dumps(to_json_value(value), default=str, ensure_ascii=False, indent=2, allow_nan=False)))


def traceback_shown(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that no command caught, as `sys.excepthook` does."""
    typer.echo(error_text(kind, error, trace), err=True, nl=False)


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str | None = None) -> None:
    """Print rows of equal keys: as a table on a terminal, as plain columns where the output is no terminal, or as a JSON array."""
    if as_json:
        say_json([dict(row) for row in rows])
        return
    if title is not None:
        say(title)
    names = list(rows[0]) if rows else ["nothing to show"]
    is_number = [isinstance(value, int | float) and not isinstance(value, bool) for value in rows[0].values()] if rows else [False]
    cells = [[_cell(value) for value in row.values()] for row in rows]
    if is_terminal():
        _print_table(names, cells, is_number)
    else:
        _print_columns(names, cells, is_number)


def is_terminal() -> bool:
    """Whether the output goes to a terminal."""
    from rich.console import Console

    return Console().is_terminal


def least_width(name: str, column: Sequence[str]) -> int:
    """How narrow a column of a table may get. No id is broken, for ids are copied, and no word or address unless it is very long."""
    if name.endswith("_id") or name in ("id", "user", "item"):
        return max(map(_width, column))
    words = [word for text in column for word in text.split()]
    return max((min(_width(word), LONGEST_ADDRESS if ADDRESS.match(word) else LONGEST_WORD) for word in words), default=1)


def _print_table(names: Sequence[str], cells: Sequence[Sequence[str]], is_number: Sequence[bool]) -> None:
    """A table as wide as the terminal, wider only where an id or an address would be broken."""
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)  # a title such as "[REC] :x:" is not markup
    columns = [[visible(name), *(row[place] for row in cells)] for place, name in enumerate(names)]
    borders = 3 * len(names) + 1
    longest = [min(max(map(_width, column)), console.width) for column in columns]
    least = [least_width(name, column) for name, column in zip(names, columns, strict=True)]
    widths = _fitted(longest, least, console.width - borders)
    table = Table(header_style="bold")
    for (name, *_), width, numeric in zip(columns, widths, is_number, strict=True):
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", width=width)
    for row in cells:
        table.add_row(*row)
    Console(markup=False, emoji=False, highlight=False, width=max(console.width, sum(widths) + borders)).print(table)


def _print_columns(names: Sequence[str], cells: Sequence[Sequence[str]], is_number: Sequence[bool]) -> None:
    """A line per row, nothing folded or cut, the columns aligned by blanks."""
    from rich.cells import cell_len

    lines = [[visible_line(text) for text in line] for line in (names, *cells)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]

    def aligned(text: str, width: int, numeric: bool) -> str:
        pad = " " * (width - cell_len(text))
        return f"{pad}{text}" if numeric else f"{text}{pad}"

    typer.echo("\n".join("  ".join(map(aligned, line, widths, is_number)).rstrip() for line in lines))


def _width(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.splitlines()), default=0)


def _fitted(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths that fit into the room, if they can: the widest is narrowed first, and none below its least."""
    fitted = list(map(max, widths, least))
    while sum(fitted) > room:
        wide = [place for place, width in enumerate(fitted) if width > least[place]]
        if not wide:
            break
        fitted[max(wide, key=fitted.__getitem__)] -= 1
    return fitted


def show_list(rows: list[dict[str, Any]], subject: str) -> None:
    """Print one published list as a table, with its origin in the title."""
    from datetime import UTC, datetime

    from tasks.reading import age

    if not rows:
        say(f"{subject}: the list is empty")
        return
    origin = rows[0]
    when = age(origin["generated_at"], datetime.now(UTC).replace(tzinfo=None))
    title = f"{subject}: model version {origin['model_version']}, snapshot {origin['data_snapshot']}, {when}"
    show([{name: row[name] for name in LIST_COLUMNS if name in row} for row in rows], as_json=False, title=title)


def tell_ingest(summaries: Sequence[Mapping[str, Any]]) -> None:
    """Print the guesses about the files of a backtest or replay, and the numbers of duplicate and rejected rows."""
    for summary in summaries:
        for note in summary["notes"]:
            say(note)
        lost = ", ".join(f"{summary[name]:,} {name}" for name in ("duplicate", "rejected") if summary[name])
        if lost:
            reasons = "; ".join(f"{reason['rule']} ({reason['n_rows']:,})" for reason in summary["reasons"])
            say(f"{summary['read']:,} {summary['kind']} read, of them {lost}{f': {reasons}' if reasons else ''}")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, list):
        return visible(", ".join(str(part) for part in value))
    return visible(str(value))
