"""Proposes a column for a missing field: its name and its first values must both fit the field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence, Set
from datetime import UTC, datetime, timedelta

import duckdb

from tasks.ingest.fields import EVENT_ALIASES, ITEM_ALIASES, ITEM_WORDS, NO_ID_WORDS, TIME_WORDS, USER_WORDS, plain
from tasks.ingest.sources import Source
from tasks.lake import statement

N_SAMPLE = 200
DEEP = 4
"""Maximum depth of a proposed path into nested values."""
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
ID_ENDS = ("id", "ids", "nr", "no", "number", "nummer", "code", "key", "uid", "uuid", "编号", "号", "码")
ID_STARTS = ("id", "code")
LONGEST_ID = 64
FIELD_OF = {
    word: name
    for aliases in (EVENT_ALIASES, ITEM_ALIASES)
    for name, tiers in aliases.items()
    for word in (plain(name), *" ".join(tiers).split())
}


def fits(con: duckdb.DuckDBPyConnection, source: Source, name: str, column: str) -> bool:
    """Whether the first values of a column, or of a path into one, fit a field; any values fit a free-text field."""
    values = samples(con, source).get(column, [])
    if name in ("user_id", "item_id"):
        return _may_name(name, column) and _are_ids(con, values)
    if name == "occurred_at":
        return _are_times(con, values)
    if name in ("value", "price"):
        return _are(con, "numbers", values)
    if name == "is_available":
        return _are(con, "availabilities", values)
    return True


def proposed_time(con: duckdb.DuckDBPyConnection, source: Source, taken: set[str]) -> str | None:
    """The only column, or path into one, whose first values are all times of events; None if there is no such column, or several.

    Numbers that could be times are proposed only if the column name suggests a time: they could also be order numbers.
    """
    found = {path: values for path, values in samples(con, source).items() if path not in taken and _are_times(con, values)}
    named = [path for path in found if re.search(TIME_WORDS, path)]
    written = [path for path, values in found.items() if not all(re.fullmatch(r"[\d.]+", value) for value in values)]
    return next((paths[0] for paths in (named, written) if len(paths) == 1), None)


def proposed_id(con: duckdb.DuckDBPyConnection, source: Source, name: str, taken: set[str]) -> str | None:
    """The only column, or path into one, whose name and values fit an id field; None if there is no such column, or several."""
    words, foreign = (USER_WORDS, ITEM_WORDS) if name == "user_id" else (ITEM_WORDS, USER_WORDS)
    exact: list[str] = []
    likely: list[str] = []
    for path, values in samples(con, source).items():
        if path in taken or not _may_name(name, path) or not _are_ids(con, values):
            continue
        last = _last(path)
        is_id = last in words or last.endswith(ID_ENDS) or last.startswith(ID_STARTS)
        if FIELD_OF.get(last) == name:
            exact.append(path)
        elif any(word in last for word in foreign if word not in ID_ENDS):
            continue
        elif (is_id and any(word in last for word in words)) or (last == "id" and any(word in path.lower() for word in words)):
            likely.append(path)
    found = exact or likely
    ids = [path for path in found if plain(path).endswith(ID_ENDS)]
    return found[0] if len(found) == 1 else ids[0] if len(ids) == 1 else None


def samples(con: duckdb.DuckDBPyConnection, source: Source) -> dict[str, list[str]]:
    """The first non-blank values of every column and of every key within JSON, as text.

    An array is represented by its first element: as [0] if no array at this path has more elements, otherwise as [*].
    """
    found: dict[str, list[str]] = {}
    several: set[str] = set()
    rows = con.view("source_rows").limit(N_SAMPLE).fetchall()
    if source.is_json:
        documents = [_loaded(text) for (text,) in rows]
        pairs = (pair for document in documents if isinstance(document, dict) for pair in _leaves(document, "", several))
    else:
        documents = [{name: _loaded(value) for name, value in zip(source.columns, row, strict=True)} for row in rows]
        pairs = (pair for document in documents for pair in _leaves(document, "", several))
    for path, value in pairs:
        found.setdefault(path, []).append(value)
    return {_with_stars(path, several): values for path, values in found.items()}


def _with_stars(path: str, several: Set[str]) -> str:
    for array in sorted(several, key=len, reverse=True):
        if path.startswith(f"{array}[0]"):
            path = f"{array}[*]{path[len(array) + 3 :]}"
    return path


def _loaded(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _leaves(value: object, path: str, several: set[str], depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth < DEEP:
        for key, inner in value.items():
            step = str(key) if not path else f".{key}"
            if not path or STEP.fullmatch(step):
                yield from _leaves(inner, path + step, several, depth + 1)
    elif isinstance(value, list) and value and depth < DEEP:
        if len(value) > 1:
            several.add(path)
        yield from _leaves(value[0], f"{path}[0]", several, depth + 1)
    elif value is not None and not isinstance(value, dict | list) and str(value).strip():
        yield path, str(value)


def _last(path: str) -> str:
    """The last named step of a path, in plain form."""
    return plain(re.split(r"[.\[]", re.sub(r"\[[\d*]+\]$", "", path))[-1])


def _may_name(name: str, path: str) -> bool:
    """Whether a name fits an id field: it is not the name of another field, of an amount or of a text."""
    last = _last(path)
    return FIELD_OF.get(last, name) == name and not re.search(NO_ID_WORDS, last)


def _are_ids(con: duckdb.DuckDBPyConnection, values: Sequence[str]) -> bool:
    """Whether values look like ids: short, no fractions, no times, and mostly single words."""
    if not values or any(re.fullmatch(r"-?\d+[.,]\d*[1-9]\d*", value) or len(value) > LONGEST_ID for value in values):
        return False
    return 2 * sum(" " in value.strip() for value in values) < len(values) and not _are_times(con, values)


def _are_times(con: duckdb.DuckDBPyConnection, values: Sequence[str]) -> bool:
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=366)
    row = con.execute(statement("ingest/are_times"), {"texts": list(values), "latest": latest}).fetchone()
    return bool(row and row[0])


def _are(con: duckdb.DuckDBPyConnection, what: str, values: Sequence[str]) -> bool:
    row = con.execute(statement(f"ingest/are_{what}"), {"texts": list(values)}).fetchone()
    return bool(row and row[0])
