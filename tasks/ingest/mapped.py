"""Maps the rows of a file to fields as text; the source of a field is a column, a path into a column, or a constant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import duckdb

from models.errors import UserError
from tasks.ingest.columns import pointer, split_path
from tasks.ingest.fields import ALIASES, Kind
from tasks.ingest.sources import ColumnMapping, Source

N_PEEKED = 1000
"""Number of first rows that decide whether the whole file is scanned for the format of its times and numbers."""


def map_columns(con: duckdb.DuckDBPyConnection, source: Source, kind: Kind, chosen: Mapping[str, str], mapping: ColumnMapping) -> None:
    """Create the view mapped of a source's rows: every field as text (null without a column), and the row as JSON."""
    rows, place = rows_of(con, source, named=bool(mapping.predicate))
    null = duckdb.ConstantExpression(None).cast("varchar")
    fields = []
    for name in ALIASES[kind]:
        if name in mapping.constants:
            expression = duckdb.ConstantExpression(mapping.constants[name])
        elif name in chosen:
            expression = text_of(source, chosen[name], place)
        else:
            expression = null
        if name == "context" and mapping.context:
            expression = as_json(source, sorted(mapping.context), place)
        fields.append(expression.cast("varchar").alias(name))
    document = _column(place, 0)
    is_object = duckdb.FunctionExpression("is_json_object", document) if source.is_json else duckdb.ConstantExpression(True)
    whole_row = document if source.is_json else as_json(source, list(source.columns), place)
    try:
        passes = _checked(mapping.predicate) if mapping.predicate else duckdb.ConstantExpression(True)
        verdicts = [is_object.alias("is_document"), passes.alias("passes"), whole_row.cast("varchar").alias("row_json")]
        rows.select(*fields, *verdicts).create_view("mapped", replace=True)
        con.view("mapped").limit(N_PEEKED).create_view("first_rows", replace=True)
    except duckdb.Error as error:
        if not mapping.predicate:
            raise
        columns = ", ".join(source.columns) + (
            "" if source.format == "parquet" else "; all are text: compare numbers as in price::double > 5"
        )
        option, first_line = mapping.place.option("where"), str(error).splitlines()[0]
        raise UserError(
            f"{option} {mapping.predicate!r}{mapping.place.within} does not fit {source.path.name}: {first_line}; its columns are {columns}"
        ) from error


def _checked(predicate: str) -> duckdb.Expression:
    """A predicate that is null for rows on which it raises an error. Raises DuckDB's ParserException if the text is not one expression."""
    duckdb.SQLExpression(predicate)
    return duckdb.SQLExpression(f"try({predicate}\n)")


def rows_of(con: duckdb.DuckDBPyConnection, source: Source, *, named: bool = True) -> tuple[duckdb.DuckDBPyRelation, str]:
    """The rows of the view source_rows with columns named by position, and the prefix of these names.

    For JSON, the only column is the whole document. named: also add the columns under their names in the file. Names that differ only
    in case are the same name in SQL, so they are numbered.
    """
    rows = con.view("source_rows")
    names = sql_names(source.columns) if named else []
    place = "c"
    while any(name.lower().startswith(place) for name in names):
        place = f"_{place}"
    rows = rows.select(*(duckdb.SQLExpression(f"#{number + 1}").alias(f"{place}{number}") for number in range(len(rows.columns))))
    if source.is_json:
        rows = rows.filter(~duckdb.FunctionExpression("tidy", _column(place, 0)).isnull())
    if not named:
        return rows, place
    if source.is_json:
        columns = [_within(_column(place, 0), pointer(key)) for key in source.columns]
    else:
        columns = [_column(place, number) for number in range(len(names))]
    return rows.select(duckdb.StarExpression(), *(one.alias(name) for one, name in zip(columns, names, strict=True))), place


def sql_names(columns: Iterable[str]) -> list[str]:
    """Column names for SQL, which ignores case and allows no empty names."""
    names = [name or "column" for name in columns]
    lower = Counter(name.lower() for name in names)
    found: list[str] = []
    taken = set(lower)
    for name in names:
        numbered = name if lower[name.lower()] == 1 else f"{name}_{sum(one.lower().startswith(name.lower()) for one in found) + 1}"
        while lower[name.lower()] > 1 and numbered.lower() in taken:
            numbered += "_"
        taken.add(numbered.lower())
        found.append(numbered)
    return found


def _column(place: str, number: int) -> duckdb.Expression:
    """A column by its position, so that no parser reads the name that the file gives it."""
    return duckdb.ColumnExpression(f"{place}{number}")


def _within(document: duckdb.Expression, path: str) -> duckdb.Expression:
    parsed = duckdb.FunctionExpression("json_or_null", document)
    return duckdb.FunctionExpression("json_extract_string", parsed, duckdb.ConstantExpression(path))


def text_of(source: Source, path: str, place: str) -> duckdb.Expression:
    """A column, or the value of a path in it, as text: whole floats without '.0', nested values as JSON."""
    split = split_path(source, path)
    assert split is not None, path
    column, inner = split
    if source.is_json:
        return _within(_column(place, 0), pointer(column) + inner)
    number = list(source.columns).index(column)
    text = as_text(_column(place, number), source.columns[column])
    return _within(text, inner) if inner else text


def as_text(expression: duckdb.Expression, kind: str) -> duckdb.Expression:
    """A value of a DuckDB type as text."""
    if kind.startswith(("FLOAT", "DOUBLE")):
        return duckdb.FunctionExpression("plain_number", expression.cast("double"))
    if kind.startswith("DECIMAL"):
        return duckdb.FunctionExpression("plain_decimal", expression.cast("varchar"))
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return duckdb.FunctionExpression("to_json", expression).cast("varchar")
    return expression.cast("varchar")


def as_json(source: Source, columns: Sequence[str], place: str) -> duckdb.Expression:
    """Columns as one JSON object of texts."""
    by_lower = {name.lower(): name for name in source.columns}
    parts: list[duckdb.Expression] = []
    for name in columns:
        own = name if name in source.columns else by_lower[name.lower()]
        parts += [duckdb.ConstantExpression(own), text_of(source, own, place)]
    return duckdb.FunctionExpression("json_object", *parts)


def n_with_more(con: duckdb.DuckDBPyConnection, source: Source, path: str) -> int:
    """Number of rows in the view source_rows whose array has more elements than the one that a path takes; 0 for paths without arrays."""
    split = split_path(source, path)
    step = re.search(r"\[(\d+)\]", path[len(split[0]) :]) if split else None
    if split is None or step is None:
        return 0
    rows, place = rows_of(con, source, named=False)
    next_one = f"{path[: len(split[0]) + step.start()]}[{int(step[1]) + 1}]"
    found = rows.filter(text_of(source, next_one, place).isnotnull()).count("*").fetchone()
    return int(found[0]) if found else 0
