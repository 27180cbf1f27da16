"""`minutehand sql`: any query on the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.lake import open_lake
from cli.options import AsJson
from cli.output import is_terminal, least_width, say, say_json, show

N_SHOWN = 1000
WIDEST = 40


def sql(
    statement: Annotated[
        str, typer.Argument(metavar="SQL", help="DuckDB SQL that only reads: select, from, describe, ...", show_default=False)
    ],
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write the rows to a .csv, .parquet or .json file; nothing else is written",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --out overwrite a file")] = False,
) -> None:
    """Run SQL that only reads, on the lake and on your files. A terminal shows what fits; a pipe and --json get everything."""
    from models.errors import UserError
    from tasks.reading import export, query

    if out is not None:
        n_rows = export(open_lake(), statement, out, force=force)
        if as_json:
            say_json([{"file": str(out), "rows": n_rows}])
        else:
            say(f"{n_rows:,} row{'' if n_rows == 1 else 's'} in {out}")
        return
    if force:
        raise UserError("--force overwrites the file that --out names; add --out FILE, or leave it away")
    has_room = as_json or not is_terminal()
    answer = query(open_lake(), statement, None if has_room else N_SHOWN)
    if as_json:
        say_json(answer.rows)
        return
    rows, left_out = (answer.rows, []) if has_room else _fitting(answer.rows)
    show(rows, as_json=False)
    if left_out:
        say(f"{len(left_out)} more columns do not fit: {', '.join(left_out)}; select some by name, or add --json", err=True)
    if answer.is_cut:
        say(f"only the first {N_SHOWN:,} rows are shown; --json prints all of them", err=True)


def _fitting(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows in as many columns as the terminal is wide enough for, at least one; and the names of the others."""
    from shutil import get_terminal_size

    room = get_terminal_size().columns - 1
    kept: list[str] = []
    for name in rows[0] if rows else ():
        column = [name, *(str(row[name]) for row in rows)]
        room -= 3 + max(min(max(map(len, column)), WIDEST), least_width(name, column))
        if kept and room < 0:
            break
        kept.append(name)
    left_out = [name for name in (rows[0] if rows else ()) if name not in kept]
    return [{name: row[name] for name in kept} for row in rows], left_out
