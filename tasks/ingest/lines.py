"""The lines of text files: found whole before DuckDB reads them, so that no quote and no endless line swallows rows."""

from __future__ import annotations

import gzip
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from models.errors import UserError

CHUNK_BYTES = 1 << 20
LINE_BYTES = 2_000_000
"""DuckDB's own limit: it loses some longer lines without a word."""
ENDLESS_BYTES = 64 << 20
"""A line that goes on for longer is not read to its end: the file is refused."""
RECORD_BYTES = 1 << 20
"""A quoted text with line breaks ends within so many bytes, or its quote is a stray one."""
EXCERPT_BYTES = 500
TAB = b"\t"


@dataclass(frozen=True)
class Content:
    """What one pass over the bytes of a file found."""

    has_quotes: bool = False
    has_long_lines: bool = False
    has_mixed_ends: bool = False

    @property
    def is_odd(self) -> bool:
        """Whether DuckDB would read the lines wrongly, or not at all."""
        return self.has_long_lines or self.has_mixed_ends


@dataclass(frozen=True)
class Lost:
    """A line that is no row: its number as DuckDB counts (the header is 1), how it begins, and what ails it."""

    line: int
    text: str
    rule: str


@dataclass
class Mended:
    """What a clean copy holds: lines whose stray quotes are text now, and placeholders for the lines in lost."""

    n_stray: int = 0
    first_stray: int = 0
    n_doubtful: int = 0
    first_doubtful: int = 0
    lost: list[Lost] = field(default_factory=list)


def open_bytes(path: Path) -> IO[bytes] | gzip.GzipFile:
    """A file's bytes, unpacked where its name ends in .gz."""
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def survey(path: Path, *, in_lines: bool) -> Content:
    """One pass over a file, in constant memory: a packed file is checked as a whole.

    in_lines: whether rows are lines. Raises UserError where one of them does not end, before the rest of it is read; what gzip raises
    for a packed file that is cut short or damaged: DuckDB checks no sum, and may turn for ever at a cut.
    """
    has_quotes = has_long_lines = False
    n_lines = n_returns = carried = 0
    with open_bytes(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            if not in_lines:
                continue
            has_quotes = has_quotes or b'"' in chunk
            end = b"\n" if b"\n" in chunk else b"\r"
            n_ends = chunk.count(end)
            carried += chunk.find(end) if n_ends else len(chunk)
            has_long_lines = has_long_lines or carried > LINE_BYTES
            if carried > ENDLESS_BYTES:
                raise UserError(
                    f"line {n_lines + 1} of {path.name} is longer than {ENDLESS_BYTES >> 20} MiB; "
                    "a row is one line: end each with a line break, or export the file again"
                )
            if n_ends:
                n_lines += n_ends
                n_returns += chunk.count(b"\r") if end == b"\n" else 0
                carried = len(chunk) - chunk.rfind(end) - 1
    return Content(has_quotes, has_long_lines, has_mixed_ends=0 < n_returns < n_lines)


class Quoting:
    """How a line splits into fields where `"` quotes and `""` is a quote in a quoted field (RFC 4180)."""

    def __init__(self, delimiter: bytes) -> None:
        mark = re.escape(delimiter)
        text = rb'[^"]*+(?:""[^"]*+)*+'
        plain = rb' *+(?:[^" ' + mark + rb"][^" + mark + rb"]*+)?"
        one = rb'(?:"' + text + rb'"|' + plain + rb")"
        rest = rb"(?:" + mark + one + rb")*"
        self.delimiter = delimiter
        self.whole = re.compile(one + rest)
        self.opening = re.compile(rb"(?:" + one + mark + rb')*"' + text)
        self.closing = re.compile(text + rb'"' + rest)
        self.going_on = re.compile(text + rb'(?:"' + rest + mark + rb'"' + text + rb")?")
        self.quoted = re.compile(rb' *"(' + text + rb')" *')
        self.quoted_fields = re.compile(rb"(^|" + mark + rb')"' + text + rb'"(?=' + mark + rb"|$)")
        self.field = re.compile(rb"(?:^|" + mark + rb')("' + text + rb'"|[^' + mark + rb"]*+)")
        spaced = rb'(?: *"' + text + rb'" *|' + plain + rb")"
        self.spaced = re.compile(spaced + rb"(?:" + mark + spaced + rb")*")
        self.spaced_field = re.compile(rb"(?:^|" + mark + rb")(" + spaced + rb")")
        escaped = rb'"(?:[^"\\]|\\.)*+"'
        self.escaped = re.compile(rb"(?:" + escaped + rb"|" + plain + rb")(?:" + mark + rb"(?:" + escaped + rb"|" + plain + rb"))*")
        self.escaped_field = re.compile(rb"(?:^|" + mark + rb")(" + escaped + rb"|" + plain + rb")")

    def pattern(self) -> str:
        """A whole line, for DuckDB's regexp_full_match."""
        mark = re.escape(self.delimiter.decode())
        one = f'(?:"(?:[^"]|"")*"| *(?:[^" {mark}][^{mark}]*)?)'
        return f"{one}(?:{mark}{one})*"

    def fields(self, line: bytes) -> list[bytes]:
        """The fields of a line: by the rule where it fits, else between delimiters, quotes and all."""
        if self.whole.fullmatch(line):
            starts = self.field.finditer(line)
            return [self.unquoted(found[1]) for found in starts]
        return [self.unquoted(part) for part in line.split(self.delimiter)]

    def unquoted(self, text: bytes) -> bytes:
        """A field without its quotes."""
        found = self.quoted.fullmatch(text)
        return found[1].replace(b'""', b'"') if found else text

    def n_columns(self, record: bytes) -> int:
        """How many fields a record has that follows the rule."""
        return self.quoted_fields.sub(rb"\1", record).count(self.delimiter) + 1

    def joined(self, fields: list[bytes]) -> bytes:
        """Fields as a line that follows the rule."""
        return self.delimiter.join(b'"' + one.replace(b'"', b'""') + b'"' for one in fields)

    def unspaced(self, line: bytes) -> list[bytes] | None:
        """The fields of a line that has blanks between delimiters and quotes; None where it is none."""
        if not self.spaced.fullmatch(line):
            return None
        return [self.unquoted(match[1]) for match in self.spaced_field.finditer(line)]

    def unescaped(self, line: bytes) -> list[bytes] | None:
        r"""The fields of a line whose quotes are written \" (MySQL); None where it is none."""
        if not self.escaped.fullmatch(line):
            return None
        found = [match[1] for match in self.escaped_field.finditer(line)]
        return [re.sub(rb'\\(["\\])', rb"\1", one[1:-1]) if one.startswith(b'"') else one for one in found]


def header_of(path: Path, delimiters: str) -> tuple[list[str], str]:
    """The fields of the first line and the delimiter that splits it best; raises UnicodeDecodeError."""
    with open_bytes(path) as file:
        line = file.readline(LINE_BYTES).removeprefix(b"\xef\xbb\xbf")
        if line.count(b'"') % 2:  # a name with a line break in it, unless the quote is a stray one
            more = file.readline(LINE_BYTES)
            if b'"' in more:
                line += more
    cut = line.rstrip(b"\r\n")
    if b'"' not in cut:
        cut = re.split(rb"[\r\n]", cut)[0]
    text = cut.decode("utf-8")
    bare = re.sub(r'"(?:[^"]|"")*"', "", text)
    delimiter = max(delimiters, key=bare.count)
    quoting = Quoting(delimiter.encode())
    if not quoting.whole.fullmatch(cut):
        cut = cut.splitlines()[0]
    return [one.decode("utf-8") for one in quoting.fields(cut)], delimiter


def mend(path: Path, copy: Path, delimiter: bytes, n_columns: int, *, has_quotes: bool) -> Mended:
    """Write a copy in which every record is one that DuckDB reads as it is meant.

    A quote that opens a field and is not closed, or is closed in the middle, is text where the line then has its n_columns. A quoted
    text may span lines, unless each of them is a row by itself: then its quote is a stray one. A line of neither kind is lost, and a
    placeholder that DuckDB refuses holds its number.
    """
    return _Mending(Quoting(delimiter), n_columns, has_quotes).run(path, copy)


class _Mending:
    def __init__(self, quoting: Quoting, n_columns: int, has_quotes: bool) -> None:
        self.quoting, self.n_columns, self.has_quotes = quoting, n_columns, has_quotes
        self.found = Mended()
        self.waiting: deque[bytes] = deque()

    def run(self, path: Path, copy: Path) -> Mended:
        number = 0
        with open_bytes(path) as self.file, copy.open("wb") as out:
            while line := self.waiting.popleft() if self.waiting else self.file.readline():
                number += 1
                out.write(self.record(line, number))
        return self.found

    def record(self, line: bytes, number: int) -> bytes:
        body = line.rstrip(b"\r\n")
        if len(line) > LINE_BYTES:
            return self.lost(body, number, f"it is longer than {LINE_BYTES:,} bytes")
        if not self.has_quotes or b'"' not in body or self.quoting.whole.fullmatch(body):
            return body + b"\n"
        rest = self.rest_of_record(line, number)
        if rest is not None:
            for _ in rest:
                self.waiting.popleft()
            return (line + b"".join(rest)).rstrip(b"\r\n") + b"\n"
        for understood in (self.quoting.unspaced(body), self.quoting.unescaped(body)):
            if understood is not None and len(understood) == self.n_columns:
                return self.quoting.joined(understood) + b"\n"
        fields = [self.quoting.unquoted(part) for part in body.split(self.quoting.delimiter)]
        if len(fields) != self.n_columns:
            return self.lost(body, number, "a quote is opened and not closed")
        self.found.n_stray += 1
        self.found.first_stray = self.found.first_stray or number
        return self.quoting.joined(fields) + b"\n"

    def rest_of_record(self, line: bytes, number: int) -> list[bytes] | None:
        """The lines over which a quoted text of this one goes on; None where its quote is a stray one."""
        if not self.quoting.opening.fullmatch(line.rstrip(b"\r\n")):
            return None
        rest: list[bytes] = []
        size = len(line)
        for following in self.ahead():
            rest.append(following)
            size += len(following)
            if size > RECORD_BYTES:
                return None
            body = following.rstrip(b"\r\n")
            if b'"' not in body:
                continue
            if self.quoting.closing.fullmatch(body):
                break
            if not self.quoting.going_on.fullmatch(body):
                return None
        else:
            return None
        if self.quoting.n_columns((line + b"".join(rest)).rstrip(b"\r\n")) != self.n_columns:
            return None
        if all(one.count(self.quoting.delimiter) == self.n_columns - 1 for one in (line, *rest)):
            if self.n_columns > 2 or self.quoting.delimiter == TAB:
                return None
            self.found.n_doubtful += 1
            self.found.first_doubtful = self.found.first_doubtful or number
        return rest

    def ahead(self) -> Iterator[bytes]:
        place = 0
        while True:
            if place == len(self.waiting):
                line = self.file.readline()
                if not line:
                    return
                self.waiting.append(line)
            yield self.waiting[place]
            place += 1

    def lost(self, body: bytes, number: int, rule: str) -> bytes:
        text = body[:EXCERPT_BYTES].decode("utf-8", errors="replace")
        self.found.lost.append(Lost(number, text, rule))
        return b"x" + self.quoting.delimiter * (self.n_columns + 1) + b"x\n"  # an empty column too many would be none to DuckDB
