"""`minutehand ingest events|items`: files into the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.options import (
    AsJson,
    Columns,
    Command,
    Encoding,
    EventType,
    Map,
    NoQuotes,
    NullWords,
    Set,
    Split,
    TimeFormat,
    TimeZone,
    mapping_of,
)
from cli.output import say

if TYPE_CHECKING:
    from tasks.ingest.ingestion import Summary
    from tasks.ingest.sources import ColumnMapping

app = typer.Typer(help="Load files into the lake.", no_args_is_help=True)

Paths = Annotated[
    list[str], typer.Argument(help="Files, globs or folders: .csv .tsv .jsonl .ndjson .json (also .gz), .parquet", show_default=False)
]
Where = Annotated[
    str | None, typer.Option("--where", metavar="SQL", help="Predicate on the file's columns; rows that fail it go to raw.rejected")
]


@app.command("events", cls=Command)
def events(
    paths: Paths,
    map_: Map = None,
    set_: Set = None,
    event_type: EventType = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", metavar="COLUMN", help="Keep this column as JSON in context; repeatable")
    ] = None,
    where: Where = None,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
    columns: Columns = None,
    no_quotes: NoQuotes = False,
    null_words_as_ids: NullWords = False,
    encoding: Encoding = None,
    as_json: AsJson = False,
) -> None:
    """Load events. Columns: user_id, item_id, occurred_at; optional: event_type, value, query, event_id."""
    mapping = mapping_of(
        map_,
        set_,
        event_type=event_type,
        context=context,
        where=where,
        time_format=time_format,
        time_zone=time_zone,
        columns_of_file=columns,
        no_quotes=no_quotes,
        null_words_as_ids=null_words_as_ids,
        encoding=encoding,
    )
    _run("events", paths, mapping, as_json=as_json)


@app.command("items", cls=Command)
def items(
    paths: Paths,
    map_: Map = None,
    set_: Set = None,
    split: Split = None,
    where: Where = None,
    columns: Columns = None,
    no_quotes: NoQuotes = False,
    null_words_as_ids: NullWords = False,
    encoding: Encoding = None,
    as_json: AsJson = False,
) -> None:
    """Load items. Columns: item_id; optional: title, description, categories, tags, price, is_available."""
    mapping = mapping_of(
        map_,
        set_,
        split=split,
        where=where,
        columns_of_file=columns,
        no_quotes=no_quotes,
        null_words_as_ids=null_words_as_ids,
        encoding=encoding,
    )
    _run("items", paths, mapping, as_json=as_json)


def _run(kind: Literal["events", "items"], paths: list[str], mapping: ColumnMapping, *, as_json: bool) -> None:
    from datetime import UTC, datetime

    from models.errors import UserError
    from settings import load
    from tasks.aging import oldest_kept
    from tasks.ingest.ingestion import ingest
    from tasks.lake import locate, migrate
    from tasks.privacy.common_keys import demand_common_keys
    from tasks.reading import text_warning

    settings = load()
    lake = locate(settings.lake, settings.home, settings.store)
    migrate(lake)
    demand_common_keys(lake)
    oldest = oldest_kept(settings.retention, datetime.now(UTC).replace(tzinfo=None))
    summary = ingest(lake, kind, paths, mapping, settings.ingest, oldest=oldest)
    _print(summary, as_json=as_json)
    unknown = text_warning(lake, settings.encoder.name) if kind == "items" else None
    if unknown:
        say(f"warning: {unknown}", err=True)
    if summary.read and summary.rejected == summary.read:
        raise UserError(
            f"no row got in: all {summary.read:,} were refused, most of them because {summary.reasons[0]['rule']}; "
            'minutehand sql "select reason, value, count(*) from raw.rejected group by all order by 3 desc" tells more'
        )


def _print(summary: Summary, *, as_json: bool) -> None:
    from cli.output import show

    if as_json:
        show([{**summary.row(), "reasons": summary.reasons, "notes": summary.notes}], as_json=True)
        return
    for note in summary.notes:
        say(note)
    numbers = {
        name: value for name, value in summary.row().items() if name != "kind" and (value or name not in ("changed", "values_refused"))
    }
    show([numbers], as_json=False, title=f"ingest {summary.kind}")
    if summary.reasons:
        show(summary.reasons, as_json=False, title="refused, in raw.rejected: the most frequent reasons")
    if not summary.read:
        say("no rows: the files have columns, but nothing below them")
