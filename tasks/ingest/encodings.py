"""Text files that are not UTF-8: copied as UTF-8 before they are read."""

from __future__ import annotations

import codecs
import io
import shutil
from pathlib import Path

from models.errors import UserError
from tasks.ingest.lines import CHUNK_BYTES, open_bytes
from tasks.ingest.places import Place
from tasks.ingest.sources import check_content, format_of, reading_of

KEPT = "surrogateescape"
"""Bytes that are none of the encoding stay as they are, so that the line they stand on is refused, and not the file."""


def check_encoding(name: str, place: Place) -> None:
    """Raises UserError for a name that is none of a text encoding."""
    try:
        codecs.lookup(name)
        "".encode(name)
    except LookupError as error:
        raise UserError(
            f"no text encoding {name!r}; give one that Python knows, such as {place.option('encoding', 'cp1252')} (Western Europe), "
            "gb18030 (Chinese), shift_jis (Japanese) or utf-16 (Excel's Unicode text)"
        ) from error


def decoded(file: Path, encoding: str, folder: Path) -> Path:
    """A copy of a text file as UTF-8, unpacked, under its own name in a folder; a Parquet file is itself."""
    if format_of(file) == "parquet":
        return file
    check_content(file)  # before it is unpacked
    folder.mkdir()
    copy = folder / (file.name[:-3] if file.name.lower().endswith(".gz") else file.name)
    with (
        reading_of(file),
        open_bytes(file) as raw,
        io.TextIOWrapper(raw, encoding, KEPT, newline="") as text,
        copy.open("w", encoding="utf-8", errors=KEPT, newline="") as out,
    ):
        shutil.copyfileobj(text, out, CHUNK_BYTES)
    return copy
