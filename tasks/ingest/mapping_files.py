"""Mapping files of the landing folder: the options of `minutehand ingest` as TOML."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import duckdb

from models.errors import UserError
from models.visible import visible_line
from tasks.ingest.columns import check_fields
from tasks.ingest.encodings import check_encoding
from tasks.ingest.fields import ALIASES, Kind
from tasks.ingest.places import Place
from tasks.ingest.sources import FORMAT_ENDS, ColumnMapping
from tasks.ingest.times import set_zones
from tasks.lake import NOTHING_FETCHED

NAME = "mapping.toml"
DEFAULT = ColumnMapping(separator="|")
MAX_BYTES = 100_000
EXAMPLES = {
    "map": 'map.item_id = "sku"',
    "set": 'set.event_type = "purchase"',
    "event_type": 'event_type = "purchase"',
    "context": 'context = ["country"]',
    "split": 'split = "|"',
    "where": 'where = "price::double > 0"',
    "time_format": 'time_format = "%d.%m.%Y %H:%M"',
    "time_zone": 'time_zone = "Europe/Berlin"',
    "columns": 'columns = ["user_id", "item_id", "occurred_at"]',
    "no_quotes": "no_quotes = true",
    "null_words_as_ids": "null_words_as_ids = true",
    "encoding": 'encoding = "cp1252"',
}
"""Every key, with an example line."""
KEYS: Mapping[Kind, tuple[str, ...]] = {
    "events": tuple(key for key in EXAMPLES if key != "split"),
    "items": tuple(key for key in EXAMPLES if key not in ("event_type", "context", "time_format", "time_zone")),
}


class MappingError(UserError):
    """A mapping file is invalid; its files wait until it is corrected."""


def is_mapping(file: Path) -> bool:
    """Whether a file of the landing folder is a mapping file."""
    return file.name == NAME or file.name.endswith(f".{NAME}")


def find(landing: Path, kind: Kind, file: Path) -> Path | None:
    """The mapping file of a landed file: NAME.mapping.toml next to it, else mapping.toml in the nearest folder upwards."""
    names = [file.name]
    for end in FORMAT_ENDS:
        if file.name.lower().endswith(end):
            names.append(file.name[: -len(end)])
    own = [file.with_name(f"{name}.{NAME}") for name in names]
    folders = [folder for folder in file.parents if folder == landing or landing in folder.parents]
    return next((path for path in (*own, *(folder / NAME for folder in folders)) if os.path.lexists(path) and not path.is_dir()), None)


def read(landing: Path, kind: Kind, path: Path | None) -> ColumnMapping:
    """The mapping in a mapping file for one kind of files; the file in the landing folder itself has a section for each kind.

    Raises MappingError, in one line, for an unreadable file, an unknown key and an invalid value.
    """
    if path is None:
        place = Place((Path(landing.name) / NAME).as_posix(), f"{kind}.")
        return replace(DEFAULT, place=place)
    shown = visible_line(path.relative_to(landing.parent).as_posix())
    is_for_all = path.parent == landing
    content = _loaded(path, shown)
    if is_for_all:
        for key in content:
            if key not in KEYS:
                raise MappingError(f"{shown} has no section {key!r}; its keys begin with events. or items., as in events.{EXAMPLES['map']}")
        content = content.get(kind, {})
        if not isinstance(content, dict):
            raise MappingError(f"{kind} of {shown} is {content!r}; write keys of it, such as {kind}.{EXAMPLES['map']}")
    place = Place(shown, f"{kind}." if is_for_all else "")
    try:
        return _mapping(content, kind, place)
    except MappingError:
        raise
    except UserError as error:
        raise MappingError(f"{shown}: {error}") from error


def _loaded(path: Path, shown: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MappingError(f"{shown} is longer than {MAX_BYTES:,} bytes; a mapping is a few lines")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise MappingError(f"cannot read {shown}: {error.strerror or error}; put a text file there that this user may read") from error
    except UnicodeDecodeError as error:
        raise MappingError(f"{shown} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except RecursionError as error:
        raise MappingError(f"{shown} is nested too deeply; a mapping has keys, tables of them and lists of texts") from error
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{shown} is no TOML: {error}; a line of it looks like events.{EXAMPLES['map']}") from error


def _mapping(content: Mapping[str, Any], kind: Kind, place: Place) -> ColumnMapping:
    for key in content:
        if key not in KEYS[kind]:
            near = get_close_matches(key, KEYS[kind], n=1)
            hint = f"did you mean {near[0]}?" if near else f"{kind} have {', '.join(KEYS[kind])}"
            raise MappingError(f"{place.file} has no key {place.prefix}{key}; {hint}")

    def get(key: str, taken: Callable[[Any], Any | None]) -> Any:
        return _taken(content, key, taken, place)

    constants = get("set", _texts_of_fields) or {}
    event_type = get("event_type", _text)
    if event_type is not None:
        constants = {**constants, "event_type": event_type}
    mapping = ColumnMapping(
        columns=get("map", _columns_of_fields) or {},
        constants=constants,
        context=tuple(get("context", _texts) or ()),
        separator=get("split", _text) or DEFAULT.separator,
        predicate=get("where", _text),
        time_format=get("time_format", _text),
        time_zone=get("time_zone", _text),
        names=tuple(get("columns", _texts) or ()),
        has_no_quotes=get("no_quotes", _switch) or False,
        null_words_as_ids=get("null_words_as_ids", _switch) or False,
        encoding=get("encoding", _text),
        place=place,
    )
    check_fields(mapping, ALIASES[kind], kind)
    if mapping.encoding:
        check_encoding(mapping.encoding, place)
    if mapping.time_zone:
        with duckdb.connect(config=NOTHING_FETCHED) as con:
            set_zones(con, mapping.time_zone, mapping.time_format)
    return mapping


def _taken(content: Mapping[str, Any], key: str, taken: Callable[[Any], Any | None], place: Place) -> Any:
    """The converted value of a key; None if the key is missing. Raises MappingError for an invalid value."""
    if key not in content:
        return None
    value = taken(content[key])
    if value is None:
        raise MappingError(f"{place.prefix}{key} of {place.file} is {content[key]!r}; write it as in {place.prefix}{EXAMPLES[key]}")
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _switch(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _texts(value: Any) -> list[str] | None:
    is_list = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
    return value if is_list else None


def _columns_of_fields(value: Any) -> dict[str, str] | None:
    is_table = isinstance(value, dict) and all(isinstance(column, str) for column in value.values())
    return value if is_table else None


def _texts_of_fields(value: Any) -> dict[str, str] | None:
    if not isinstance(value, dict) or not all(isinstance(one, str | bool | int | float | date) for one in value.values()):
        return None
    return {name: _as_text(one) for name, one in value.items()}


def _as_text(value: str | bool | int | float | date) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
