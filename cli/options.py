"""Options that several commands share, and the objects built from them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from settings import Settings
    from tasks.ingest.sources import ColumnMapping
    from tasks.offline.backtest import BacktestSettings

AnySettings = TypeVar("AnySettings", bound="BacktestSettings")

K = Annotated[int, typer.Option("-k", min=1, help="Maximum number of items")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Random seed; MINUTEHAND_SEED if not given", show_default=False)]

Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Read FIELD from COLUMN; repeatable. An empty COLUMN leaves the field out"),
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set FIELD to VALUE in every row; repeatable")]
EventType = Annotated[str | None, typer.Option("--event-type", help="Event type of every row; short for --set event_type=...")]
TimeFormat = Annotated[
    str | None, typer.Option("--time-format", help="Format of the times, such as '%m/%d/%Y %H:%M'; detected if not given")
]
TimeZone = Annotated[
    str | None,
    typer.Option("--time-zone", help="Time zone of times that name none, such as Europe/Berlin; MINUTEHAND_INGEST__TIME_ZONE if not given"),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="NAME,NAME,...", help="Names of all columns, in order, for text files without a header"),
]
NoQuotes = Annotated[bool, typer.Option("--no-quotes", help="Treat quotes in text files as part of the text")]
NullWords = Annotated[bool, typer.Option("--null-words-as-ids", help="Keep ids such as null, None and NA as text, not as missing")]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of text files that are not UTF-8, such as cp1252 (Western Europe) or gb18030 (Chinese)"),
]
Split = Annotated[str | None, typer.Option("--split", help="Separator of categories and tags in one text column, such as '|'")]

EventFiles = Annotated[str, typer.Option("--events", help="File, glob or folder of events, as `minutehand ingest events` takes them")]
ItemFiles = Annotated[str | None, typer.Option("--items", help="File, glob or folder of item descriptions; without it, items have no text")]
EventsWhere = Annotated[
    str | None, typer.Option("--where", metavar="SQL", help="Predicate on the columns of the events; rows that fail it are left out")
]
MapItems = Annotated[list[str] | None, typer.Option("--map-items", metavar="FIELD=COLUMN", help="Like --map, for the items; repeatable")]
ResultAsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables")]


class Command(TyperCommand):
    """A command that refuses an option given twice, unless the option can be repeated: one of the two values would be ignored."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from models.errors import UserError

        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, n_times in Counter(given).items():
            if n_times > 1 and not getattr(option, "multiple", False):
                name = max(option.opts, key=len)
                raise UserError(f"{name} is given {n_times} times, and only one of them can count; keep one")
        return super().parse_args(ctx, args)


def mapping_of(
    columns: list[str] | None,
    constants: list[str] | None = None,
    *,
    event_type: str | None = None,
    context: list[str] | None = None,
    split: str | None = None,
    where: str | None = None,
    time_format: str | None = None,
    time_zone: str | None = None,
    columns_of_file: str | None = None,
    no_quotes: bool = False,
    null_words_as_ids: bool = False,
    encoding: str | None = None,
    option: str = "--map",
) -> ColumnMapping:
    """The column mapping of these options. option: name of the option that gives columns, for error messages."""
    from tasks.ingest.sources import ColumnMapping

    refuse_empty("--event-type", event_type, "click")
    refuse_empty("--split", split, "'|'")
    refuse_empty("--where", where, "'price > 0'")
    refuse_empty("--time-format", time_format, "'%m/%d/%Y %H:%M'")
    refuse_empty("--time-zone", time_zone, "Europe/Berlin")
    refuse_empty("--encoding", encoding, "cp1252")
    refuse_empty("--columns", columns_of_file, "user_id,item_id,occurred_at")
    values = [*(constants or []), *([] if event_type is None else [f"event_type={event_type}"])]
    return ColumnMapping(
        columns=pairs(columns, option),
        constants=pairs(values, "--set"),
        context=tuple(context or ()),
        separator=split,
        predicate=where,
        time_format=time_format,
        time_zone=time_zone,
        names=tuple(columns_of_file.split(",")) if columns_of_file else (),
        has_no_quotes=no_quotes,
        null_words_as_ids=null_words_as_ids,
        encoding=encoding,
    )


def refuse_empty(option: str, value: str | None, example: str) -> None:
    """Raises UserError for an option whose value is empty and so would have no effect."""
    from models.errors import UserError

    if value == "":
        raise UserError(f"{option} is empty, and that says nothing; give a value such as {option} {example}, or leave it out")


def settings_of(kind: type[AnySettings], settings: Settings, seed: int | None) -> AnySettings:
    """The settings of a backtest or a replay; seed: replaces the seed of the settings."""
    parts = {name: getattr(settings, name) for name in kind.parts}
    return kind(**parts, seed=settings.seed if seed is None else seed, threads=settings.threads)


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """FIELD=... as a dictionary; raises UserError for another form or a repeated field."""
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
