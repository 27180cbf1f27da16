"""Converts text files in other encodings to UTF-8 copies before they are read."""

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
"""Bytes that are invalid in the encoding stay unchanged, so that only their line is refused, not the whole file."""


def check_encoding(name: str, place: Place) -> None:
    """Raises UserError if Python knows no text encoding of this name."""
    try:
        codecs.lookup(name)
        "".encode(name)
    except LookupError as error:
        raise UserError(
            f"no text encoding {name!r}; give one that Python knows, such as {place.option('encoding', 'cp1252')} (Western Europe), "
            "gb18030 (Chinese), shift_jis (Japanese) or utf-16 (Excel's Unicode text)"
        ) from error


def decoded(file: Path, encoding: str, folder: Path) -> Path:
    """An unpacked UTF-8 copy of a text file, with the same name, in a folder; for a Parquet file, the file itself."""
    if format_of(file) == "parquet":
        return file
    check_content(file)  # before unpacking
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
