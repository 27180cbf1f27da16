"""Takes out of PostgreSQL what it keeps of deleted rows of a catalog: dead rows, and values of columns in the statistics of its planner."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.sql import SQL, Identifier

from models.errors import without_secrets
from tasks.advisory import CLIENT, UnreachableError, address

logger = logging.getLogger("minutehand.erasure")
TABLES = r"select schemaname, tablename from pg_tables where tablename like 'ducklake\_%' order by 1, 2"
COLUMNS = """
    select attname, format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = format('%%I.%%I', %s::text, %s::text)::regclass and attnum > 0 and not attisdropped
        and attname in (select attname from pg_stats where schemaname = %s and tablename = %s)
"""


def vacuum_catalog(catalog: str, wait_s: float) -> int:
    """Rewrite the tables of a catalog without dead rows, and take their statistics again; returns the bytes saved.

    PostgreSQL keeps the statistics of a table that is empty now, and `analyze` does not change them. A change of a column's type deletes
    them, also a change to the same type, which rewrites nothing. The caller holds the writer's lock.
    wait_s: how long a table waits for its readers; where that is too short, a warning says so.
    Raises UnreachableError if the database cannot be reached or refuses.
    """
    try:
        return _vacuum(catalog, wait_s)
    except psycopg.Error as error:
        reason = without_secrets(" ".join(str(error).split()))
        raise UnreachableError(
            f"cannot take deleted rows out of the tables of {without_secrets(catalog)}: {reason}; run this again"
        ) from None


def _vacuum(catalog: str, wait_s: float) -> int:
    saved = 0
    with psycopg.connect(address(catalog), autocommit=True, application_name="minutehand vacuum", **CLIENT) as con:
        con.execute("select set_config('lock_timeout', %s, false)", (f"{wait_s * 1000:.0f}",))
        tables = con.execute(TABLES).fetchall()
        for schema, name in tables:
            with _warned(schema, name):
                for column, kind in con.execute(COLUMNS, (schema, name, schema, name)).fetchall():
                    alter = SQL("alter table {} alter column {} type {}")
                    con.execute(alter.format(Identifier(schema, name), Identifier(column), SQL(kind)))
        for schema, name in [*tables, ("pg_catalog", "pg_statistic")]:
            before = _size(con, schema, name)
            with _warned(schema, name):
                con.execute(SQL("vacuum (full, analyze) {}").format(Identifier(schema, name)))
            saved += before - _size(con, schema, name)
    return saved


@contextmanager
def _warned(schema: str, name: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.LockNotAvailable:
        logger.warning("readers of %s.%s keep its deleted rows in PostgreSQL; the next upkeep tries again", schema, name)


def _size(con: psycopg.Connection, schema: str, name: str) -> int:
    row = con.execute("select pg_total_relation_size(format('%%I.%%I', %s::text, %s::text)::regclass)", (schema, name)).fetchone()
    return 0 if row is None else int(row[0])
