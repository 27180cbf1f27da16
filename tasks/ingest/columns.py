"""Maps the columns of a file to fields, and proposes a mapping in the error message if a column is missing or ambiguous."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import duckdb

from models.errors import UserError
from models.visible import visible_line
from tasks.ingest.fields import Aliases, plain
from tasks.ingest.places import Place
from tasks.ingest.proposals import STEP, fits, proposed_id, proposed_time
from tasks.ingest.sources import ColumnMapping, Source

N_LISTED = 30


def check_fields(mapping: ColumnMapping, aliases: Aliases, kind: str) -> None:
    """Raises UserError for an unknown field, and for a field that has two sources."""
    place = mapping.place
    for name in (*mapping.columns, *mapping.constants):
        if name not in aliases:
            near = get_close_matches(name, aliases, n=1)
            hint = f"did you mean {near[0]}?" if near else f"keep other columns of events with {place.context(name)}"
            raise UserError(f"{kind} have no field {name!r} (they have {', '.join(aliases)}); {hint}")
    for name in mapping.columns.keys() & mapping.constants.keys():
        raise UserError(f"{name} is given by {place.option('map')} and by {place.option('set')}; keep one")
    if "context" in mapping.columns and mapping.context:
        raise UserError(f"context is given by {place.option('map')} and by {place.option('context')}; keep one")


def resolve(
    con: duckdb.DuckDBPyConnection, source: Source, mapping: ColumnMapping, aliases: Aliases, required: Iterable[str]
) -> tuple[dict[str, str], list[str]]:
    """The column of each field, or a path into a column, and notes about guessed columns.

    A column `position` is the place in a list only next to a column with the list: elsewhere the word means many other things.

    Raises UserError for a missing column, for a field that could be any of several columns, and for a required field without a column.
    """
    place = mapping.place
    chosen = {name: _existing(con, source, name, column, place) for name, column in mapping.columns.items() if column}
    taken = {*chosen.values(), *(_existing(con, source, "context", column, place) for column in mapping.context)}
    notes = []
    for name, tiers in aliases.items():
        if name in mapping.columns or name in mapping.constants or (name == "context" and mapping.context):
            continue
        if name == "position" and "recommendation_id" not in chosen:
            continue
        column = _guess(source, name, tiers, taken, place)
        if column is not None:
            chosen[name] = column
            if column != name:
                notes.append(f"{source.path.name}: took column {visible_line(column)} as {name}")
    missing = [name for name in required if name not in chosen and name not in mapping.constants]
    if missing:
        raise _missing(con, source, missing, taken | set(chosen.values()), place)
    return chosen, notes


def split_path(source: Source, text: str) -> tuple[str, str] | None:
    """The column and the JSON pointer of a path such as items[0].item_id; None if the path does not start with a column.

    A column whose name equals the whole path wins. Otherwise the longest column name at the start of the path wins.
    """
    if text in source.columns:
        return text, ""
    for column in sorted(source.columns, key=len, reverse=True):
        rest = text[len(column) :]
        if column and text.startswith(column) and STEP.match(rest):
            steps = STEP.findall(rest)
            if "".join(f".{key}" if key else f"[{place}]" for key, place in steps) == rest:
                return column, "".join(pointer(key or place) for key, place in steps)
    return None


def pointer(key: str) -> str:
    """One step of a JSON pointer."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _existing(con: duckdb.DuckDBPyConnection, source: Source, name: str, column: str, place: Place) -> str:
    if column in source.columns:
        return column
    same = [other for other in source.columns if other.lower() == column.lower()]
    if len(same) == 1:
        return same[0]
    if not same and split_path(source, column) is not None:
        return column
    if "[*]" in column:
        array = column.partition("[*]")[0]
        raise UserError(
            f"{column!r} leads to several values, and a path takes one of a row ({array}[0] is the first); "
            f"{_rows_of(source, {name: column}, place)}"
        )
    near = same or get_close_matches(column, source.columns, n=1, cutoff=0.6)
    candidate = near[0] if near and fits(con, source, name, near[0]) else name if name in source.columns else None
    raise _refusal(source, column, name, candidate, place)


def _rows_of(source: Source, paths: Mapping[str, str | None], place: Place) -> str:
    """A command that makes one row per element of an array, and the mapping options for its result."""
    array = next(path for path in paths.values() if path and "[*]" in path).partition("[*]")[0]
    columns = {
        name: f"element{path[len(array) + 3 :]}" if path and path.startswith(f"{array}[*]") else path or "element.COLUMN"
        for name, path in paths.items()
    }
    file = source.path.name
    if not re.fullmatch(r"\w+(\.\w+)*", array) or not re.fullmatch(r"[\w. -]+", file):
        return f"first make one row per element of {array}, with DuckDB's unnest"
    elements = f"{array}::json::json[]" if source.format == "text" else array
    command = f"copy (select *, unnest({elements}) as element from '{file}') to '{file.split('.')[0]}.parquet'"
    return (
        f"to get one row per element, run: python -c \"import duckdb; duckdb.sql('''{command} ''')\", "
        f"and take in that file with {place.maps(columns)}{place.within}"
    )


def _missing(con: duckdb.DuckDBPyConnection, source: Source, names: Sequence[str], taken: set[str], place: Place) -> UserError:
    """The error for missing required fields: it explains the first one and proposes columns for all of them."""
    found = {name: proposed_time(con, source, taken) if name == "occurred_at" else proposed_id(con, source, name, taken) for name in names}
    name = names[0]
    if any(path and "[*]" in path for path in found.values()):
        return UserError(f"{_not_there(source, name)}; {_rows_of(source, found, place)}")
    if name != "occurred_at" or found[name] is not None:
        others = {other: column for other, column in found.items() if column is not None and other != name}
        return _refusal(source, name, name, found[name], place, others)
    return UserError(
        f"{_not_there(source, name)}, and none whose values are all times; "
        f"map it with {place.map('occurred_at', 'COLUMN')}, name its format with {place.option('time-format')}, "
        f"or give every row the same time with {place.set('occurred_at', '2024-01-01')}{place.within}"
    )


def _refusal(
    source: Source, column: str, name: str, candidate: str | None, place: Place, others: Mapping[str, str] | None = None
) -> UserError:
    wanted = candidate or "COLUMN"
    options = place.context(wanted) if name == "context" else place.maps({name: wanted, **(others or {})})
    return UserError(f"{_not_there(source, column)}; map it with {visible_line(options)}{place.within}")


def _not_there(source: Source, column: str) -> str:
    names = [visible_line(name) for name in source.columns]
    more = f" and {len(names) - N_LISTED} more" if len(names) > N_LISTED else ""
    found = ", ".join(names[:N_LISTED]) + more or "none"
    return f"no column {column!r} in {visible_line(source.path.name)} (found: {found})"


def _guess(source: Source, name: str, tiers: Sequence[str], taken: set[str], place: Place) -> str | None:
    free = [column for column in source.columns if column not in taken]
    if name in free:
        return name
    for tier in tiers:
        found = [column for column in free if plain(column) in tier.split()]
        if len(found) > 1:
            raise UserError(
                f"{name} could be any of {', '.join(found)} in {source.path.name}; choose with {place.map(name, found[0])}"
                + (f", or leave it out with {place.map(name, '')}" if name not in ("user_id", "item_id", "occurred_at") else "")
                + place.within
            )
        if found:
            return found[0]
    return None
