"""Errors of the lake, and what they mean: a full disk, a missing permission, a damaged catalog."""

from __future__ import annotations

import errno

import duckdb

from models.errors import UserError, without_secrets
from tasks.store import is_remote

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_ALLOWED = (errno.EROFS, errno.EACCES, errno.EPERM)
NOT_ALLOWED_SIGNS = ("permission denied", "read-only file system", "readonly database", "operation not permitted")
DISK_FULL_SIGNS = (
    "no space left",
    "disk is full",
    "disk i/o error",
    "file too large",
    "quota exceeded",
    "could not write all bytes",
    "max_temp_directory_size",
)
SHORT_OF = (*DISK_FULL, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Error numbers for a resource of the machine that is used up; no single file is the cause."""
MAKE_ROOM = "the disk is full: nothing was changed; free some space there, or move MINUTEHAND_HOME to a larger disk, and run it again"
MAKE_WRITABLE = "make it readable and writable for the user that runs minutehand, or set MINUTEHAND_HOME to a folder that is"
GIVE_MEMORY = (
    "DuckDB is out of memory; nothing was changed; raise MINUTEHAND_INGEST__MEMORY_MB for an ingest, MINUTEHAND_PUBLISH__MEMORY_MB for a "
    "night with more users than MINUTEHAND_PUBLISH__SHARD_USERS, else free some memory"
)
RESTORE_CATALOG = "restore it from a backup, and leave the folder of the Parquet files as it is"
CATALOG_DAMAGE_SIGNS = ("database disk image is malformed", "file is not a database")


class LakeError(UserError):
    """The lake cannot be opened; the message says what to do."""


class LastingError(LakeError):
    """A LakeError that a retry cannot fix: something is lost, or must not be written to."""


def is_damaged(error: duckdb.Error) -> bool:
    return any(sign in str(error).lower() for sign in CATALOG_DAMAGE_SIGNS)


def one_line(message: str) -> str:
    """A DuckDB message without line breaks."""
    return " ".join(message.split())


def is_disk_full(error: Exception) -> bool:
    """Whether an error means that the disk is full."""
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    return any(sign in str(error).lower() for sign in DISK_FULL_SIGNS)


def is_not_allowed(error: OSError | duckdb.Error) -> bool:
    """Whether an error means that this user lacks the permission for a file or folder."""
    if isinstance(error, OSError):
        return error.errno in NOT_ALLOWED
    return any(sign in str(error).lower() for sign in NOT_ALLOWED_SIGNS)


def is_of_store(error: BaseException, data_path: str) -> bool:
    """Whether an error of DuckDB is one of the object store with the files of a lake."""
    about_http = (
        "http error",
        "http get",
        "http put",
        "http head",
        "s3://",
        "could not establish connection",
        "could not connect to server",
    )
    return is_remote(data_path) and isinstance(error, duckdb.IOException) and any(sign in str(error).lower() for sign in about_http)


def store_error(error: duckdb.Error, data_path: str) -> LakeError:
    """The error with what to look at. Only its beginning: the rest may be the answer of the store, with the id of the key."""
    first = without_secrets(str(error).strip().partition("\n")[0])
    return LakeError(f"the object store at {data_path} refuses or does not answer: {first}; `minutehand doctor` looks for the cause")
