"""Which column of a file is which field, and what to propose where that is not clear."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

import duckdb

from models.errors import UserError
from models.visible import visible_line
from tasks.ingest.fields import ITEM_WORDS, USER_WORDS, Aliases, plain
from tasks.ingest.sources import ColumnMapping, Source
from tasks.lake import statement

N_SAMPLE = 200
N_LISTED = 30
DEEP = 4
"""Keys within keys within keys: where a path that is proposed ends."""
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def check_fields(mapping: ColumnMapping, aliases: Aliases, kind: str) -> None:
    """Refuses fields that events or items do not have, and fields that are given twice."""
    for name in (*mapping.columns, *mapping.constants):
        if name not in aliases:
            near = get_close_matches(name, aliases, n=1)
            hint = f"did you mean {near[0]}?" if near else f"keep other columns of events with --context {name}"
            raise UserError(f"{kind} have no field {name!r} (they have {', '.join(aliases)}); {hint}")
    for name in mapping.columns.keys() & mapping.constants.keys():
        raise UserError(f"{name} is given by --map and by --set; keep one")
    if "context" in mapping.columns and mapping.context:
        raise UserError("context is given by --map and by --context; keep one")


def resolve(
    con: duckdb.DuckDBPyConnection, source: Source, mapping: ColumnMapping, aliases: Aliases, required: Iterable[str]
) -> tuple[dict[str, str], list[str]]:
    """Which column, or path into one, is which field, and what was guessed, in words.

    Raises UserError for a column that is not there, a field that could be several columns, and a required field without one.
    """
    chosen = {name: _existing(source, name, column) for name, column in mapping.columns.items() if column}
    taken = {*chosen.values(), *(_existing(source, "context", column) for column in mapping.context)}
    notes = []
    for name, tiers in aliases.items():
        if name in mapping.columns or name in mapping.constants or (name == "context" and mapping.context):
            continue
        column = _guess(source, name, tiers, taken)
        if column is not None:
            chosen[name] = column
            if column != name:
                notes.append(f"{source.path.name}: took column {visible_line(column)} as {name}")
    for name in required:
        if name not in chosen and name not in mapping.constants:
            raise _missing(con, source, name, aliases, taken | set(chosen.values()))
    return chosen, notes


def split_path(source: Source, text: str) -> tuple[str, str] | None:
    """The column and the JSON pointer that a path such as items[0].item_id means; None where no column begins it.

    A column of that very name is the column, and the longest name that begins a path is its column.
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


def _existing(source: Source, name: str, column: str) -> str:
    if column in source.columns:
        return column
    same = [other for other in source.columns if other.lower() == column.lower()]
    if len(same) == 1:
        return same[0]
    if not same and split_path(source, column) is not None:
        return column
    near = same or get_close_matches(column, source.columns, n=1, cutoff=0.6)
    raise _refusal(source, column, name, near[0] if near else name if name in source.columns else None)


def _missing(con: duckdb.DuckDBPyConnection, source: Source, name: str, aliases: Aliases, taken: set[str]) -> UserError:
    if name == "occurred_at":
        found = proposed_time(con, source, taken)
        if found is None:
            return UserError(
                f"no column {name!r} in {visible_line(source.path.name)} (found: {_listed(source)}), and none whose values are all times; "
                "map it with --map occurred_at=COLUMN, name its format with --time-format, "
                "or give every row the same time with --set occurred_at=2024-01-01"
            )
        return _refusal(source, name, name, found)
    return _refusal(source, name, name, proposed_id(con, source, name, aliases, taken))


def _refusal(source: Source, column: str, name: str, candidate: str | None) -> UserError:
    option = f"--context {candidate or 'COLUMN'}" if name == "context" else f"--map {name}={candidate or 'COLUMN'}"
    quoted = option if candidate is None or re.fullmatch(r"[\w.=-]+ ?[\w.=-]*", option) else f"--map '{name}={candidate}'"
    return UserError(
        f"no column {column!r} in {visible_line(source.path.name)} (found: {_listed(source)}); map it with {visible_line(quoted)}"
    )


def _listed(source: Source) -> str:
    names = [visible_line(name) for name in source.columns]
    more = f" and {len(names) - N_LISTED} more" if len(names) > N_LISTED else ""
    return ", ".join(names[:N_LISTED]) + more or "none"


def _guess(source: Source, name: str, tiers: Sequence[str], taken: set[str]) -> str | None:
    free = [column for column in source.columns if column not in taken]
    if name in free:
        return name
    for tier in tiers:
        found = [column for column in free if plain(column) in tier.split()]
        if len(found) > 1:
            raise UserError(
                f"{name} could be any of {', '.join(found)} in {source.path.name}; choose with --map {name}={found[0]}"
                + (f", or leave it out with --map {name}=" if name not in ("user_id", "item_id", "occurred_at") else "")
            )
        if found:
            return found[0]
    return None


def samples(con: duckdb.DuckDBPyConnection, source: Source) -> dict[str, list[str]]:
    """The first values of every column, and of the keys within JSON, as text, blank ones left out."""
    found: dict[str, list[str]] = {}
    rows = con.view("source_rows").limit(N_SAMPLE).fetchall()
    if source.is_json:
        documents = [_loaded(text) for (text,) in rows]
        pairs = (pair for document in documents if isinstance(document, dict) for pair in _leaves(document, ""))
    else:
        pairs = (
            pair for row in rows for name, value in zip(source.columns, row, strict=True) for pair in _leaves({name: _loaded(value)}, "")
        )
    for path, value in pairs:
        found.setdefault(path, []).append(value)
    return found


def _loaded(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _leaves(value: object, path: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth < DEEP:
        for key, inner in value.items():
            step = str(key) if not path else f".{key}"
            if not path or STEP.fullmatch(step):
                yield from _leaves(inner, path + step, depth + 1)
    elif isinstance(value, list) and value and depth < DEEP:
        yield from _leaves(value[0], f"{path}[0]", depth + 1)
    elif value is not None and not isinstance(value, dict | list) and str(value).strip():
        yield path, str(value)


def proposed_time(con: duckdb.DuckDBPyConnection, source: Source, taken: set[str]) -> str | None:
    """The column, or path into one, all of whose first values are times of events; None where none or several are."""
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=366)
    found = []
    for path, values in samples(con, source).items():
        if path not in taken:
            row = con.execute(statement("ingest/are_times"), {"texts": values, "latest": latest}).fetchone()
            if row and row[0]:
                found.append(path)
    named = [path for path in found if re.search(r"time|date|zeit|datum|_at$|At$|\bts\b|stamp", path)]
    return named[0] if len(named) == 1 else found[0] if len(found) == 1 else None


def proposed_id(con: duckdb.DuckDBPyConnection, source: Source, name: str, aliases: Aliases, taken: set[str]) -> str | None:
    """The column, or path into one, whose name and values are those of an id; None where none or several are."""
    words = USER_WORDS if name == "user_id" else ITEM_WORDS
    known = {name.replace("_", ""), *" ".join(aliases[name]).split()}
    likely: list[str] = []
    exact: list[str] = []
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=366)
    for path, values in samples(con, source).items():
        last = plain(re.split(r"[.\[]", re.sub(r"\[\d+\]$", "", path))[-1])
        if path in taken or any(re.fullmatch(r"-?\d+\.\d*[1-9]", value) or len(value) > 64 for value in values):
            continue
        if last in known:
            exact.append(path)
        elif any(word in last for word in words) or (last == "id" and any(word in path.lower() for word in words)):
            row = con.execute(statement("ingest/are_times"), {"texts": values, "latest": latest}).fetchone()
            if not (row and row[0]):
                likely.append(path)
    found = exact or likely
    ids = [path for path in found if plain(path).endswith(("id", "nr", "no", "number", "code", "key"))]
    return found[0] if len(found) == 1 else ids[0] if len(ids) == 1 else None
