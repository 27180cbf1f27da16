"""`minutehand ingest events|items`: files into the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from tasks.ingestion import Summary

app = typer.Typer(help="Take files into the lake.", no_args_is_help=True)

Paths = Annotated[
    list[str], typer.Argument(help="Files, globs or folders: .csv .tsv .jsonl .ndjson .json (also .gz), .parquet", show_default=False)
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Which column a field is; repeat. An empty column leaves the field out"),
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="The same value for every row; repeat")]
Where = Annotated[
    str | None, typer.Option("--where", metavar="SQL", help="Predicate on the file's columns; rows that fail it go to raw.rejected")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")]


@app.command("events")
def events(
    paths: Paths,
    map_: Map = None,
    set_: Set = None,
    event_type: Annotated[str | None, typer.Option("--event-type", help="Short for --set event_type=...")] = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", metavar="COLUMN", help="Keep this column as JSON in context; repeat")
    ] = None,
    where: Where = None,
    time_format: Annotated[
        str | None, typer.Option("--time-format", help="How times are written, such as '%m/%d/%Y %H:%M'; else they are recognised")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take in what users did: user_id, item_id, occurred_at, and event_type, value, query, event_id where there."""
    constants = [*(set_ or []), *([f"event_type={event_type}"] if event_type else [])]
    _run("events", paths, map_, constants, context=context, where=where, time_format=time_format, as_json=as_json)


@app.command("items")
def items(
    paths: Paths,
    map_: Map = None,
    set_: Set = None,
    split: Annotated[
        str | None, typer.Option("--split", help="What separates categories and tags that are given as text, such as '|'")
    ] = None,
    where: Where = None,
    as_json: AsJson = False,
) -> None:
    """Take in what there is: item_id, and title, description, categories, tags, price, is_available where there."""
    _run("items", paths, map_, set_, split=split, where=where, as_json=as_json)


def _run(
    kind: Literal["events", "items"],
    paths: list[str],
    columns: list[str] | None,
    constants: list[str] | None,
    *,
    context: list[str] | None = None,
    split: str | None = None,
    where: str | None = None,
    time_format: str | None = None,
    as_json: bool,
) -> None:
    from settings import load
    from tasks.ingestion import ingest
    from tasks.lake import locate, migrate
    from tasks.sources import ColumnMapping

    settings = load()
    mapping = ColumnMapping(pairs(columns, "--map"), pairs(constants, "--set"), tuple(context or ()), split or None, where, time_format)
    lake = locate(settings.lake, settings.home)
    migrate(lake)
    _print(ingest(lake, kind, paths, mapping, settings.ingest), as_json=as_json)


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    from models.errors import UserError

    pairs: dict[str, str] = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UserError(f"{option} {text!r} is not of the form FIELD=...; an example is {option} user_id=CustomerID")
        if name in pairs:
            raise UserError(f"{option} gives {name} twice ({pairs[name]!r} and {value!r}); keep one")
        pairs[name] = value
    return pairs


def _print(summary: Summary, *, as_json: bool) -> None:
    from cli.output import show

    if as_json:
        show([{**summary.row(), "reasons": summary.reasons, "notes": summary.notes}], as_json=True)
        return
    for note in summary.notes:
        typer.echo(note)
    numbers = {
        name: value for name, value in summary.row().items() if name != "kind" and (value or name not in ("changed", "values_refused"))
    }
    show([numbers], as_json=False, title=f"ingest {summary.kind}")
    if summary.reasons:
        show(summary.reasons, as_json=False, title="refused, in raw.rejected: the most frequent reasons")
    if not summary.read:
        typer.echo("no rows: the files have columns, but nothing below them")
