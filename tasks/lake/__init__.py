"""The lake: DuckLake tables behind short-lived DuckDB connections."""

from tasks.lake.address import ANYONE, Lake, LakeConfig, address, has_catalog
from tasks.lake.connections import (
    AT_HAND,
    NOTHING_FETCHED,
    connect,
    current_snapshot,
    examine,
    extension_path,
    identity,
    load_extension,
    named_files,
)
from tasks.lake.errors import SHORT_OF, LakeError, LastingError, is_disk_full, one_line
from tasks.lake.migrations import migrate
from tasks.lake.statements import SQL, execute, quote, statement
from tasks.lake.transactions import Readable, explained, locate, newest_snapshot, reading, writing

__all__ = [
    "ANYONE",
    "AT_HAND",
    "NOTHING_FETCHED",
    "SHORT_OF",
    "SQL",
    "Lake",
    "LakeConfig",
    "LakeError",
    "LastingError",
    "Readable",
    "address",
    "connect",
    "current_snapshot",
    "examine",
    "execute",
    "explained",
    "extension_path",
    "has_catalog",
    "identity",
    "is_disk_full",
    "load_extension",
    "locate",
    "migrate",
    "named_files",
    "newest_snapshot",
    "one_line",
    "quote",
    "reading",
    "statement",
    "writing",
]
