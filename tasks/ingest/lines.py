"""Checks and repairs the lines of text files before DuckDB reads them, so that stray quotes and endless lines swallow no rows."""

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
"""DuckDB's own limit: it silently loses some longer lines."""
ENDLESS_BYTES = 64 << 20
"""A file with a longer line is refused without reading the line to its end."""
RECORD_BYTES = 1 << 20
"""Maximum length of a quoted text with line breaks; if it does not end within this length, its quote is a stray quote."""
EXCERPT_BYTES = 500
TAB = b"\t"


@dataclass(frozen=True)
class Content:
    """Findings of one pass over the bytes of a file."""

    has_quotes: bool = False
    has_long_lines: bool = False
    has_mixed_ends: bool = False

    @property
    def is_odd(self) -> bool:
        """Whether DuckDB would misread or lose lines."""
        return self.has_long_lines or self.has_mixed_ends


@dataclass(frozen=True)
class Lost:
    """A line that cannot become a row: its number as DuckDB counts (the header is 1), its beginning, and the reason."""

    line: int
    text: str
    rule: str


@dataclass
class Repaired:
    """Repairs in a copy of a file: stray quotes that became text, doubtful quoted texts, and lost lines with placeholders."""

    n_stray: int = 0
    first_stray: int = 0
    n_doubtful: int = 0
    first_doubtful: int = 0
    lost: list[Lost] = field(default_factory=list)


def open_bytes(path: Path) -> IO[bytes] | gzip.GzipFile:
    """The bytes of a file, unpacked if its name ends in .gz."""
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def survey(path: Path, *, in_lines: bool) -> Content:
    """Examine a file in one pass and in constant memory; a packed file is checked completely.

    in_lines: whether each row is a line. Raises UserError for an endless line, before the rest of it is read. Raises gzip's errors for
    a packed file that is cut short or damaged: DuckDB does not verify checksums and may loop forever at a cut.
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
    """Splits lines into fields by RFC 4180: `"` quotes a field, and `""` is a quote within a quoted field."""

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
        """A pattern for a complete line, for DuckDB's regexp_full_match."""
        mark = re.escape(self.delimiter.decode())
        one = f'(?:"(?:[^"]|"")*"| *(?:[^" {mark}][^{mark}]*)?)'
        return f"{one}(?:{mark}{one})*"

    def fields(self, line: bytes) -> list[bytes]:
        """The fields of a line: by RFC 4180 if the line follows it, otherwise a plain split at delimiters that keeps quotes."""
        if self.whole.fullmatch(line):
            starts = self.field.finditer(line)
            return [self.unquoted(found[1]) for found in starts]
        return [self.unquoted(part) for part in line.split(self.delimiter)]

    def unquoted(self, text: bytes) -> bytes:
        """A field without its quotes."""
        found = self.quoted.fullmatch(text)
        return found[1].replace(b'""', b'"') if found else text

    def n_columns(self, record: bytes) -> int:
        """The number of fields of a record that follows RFC 4180."""
        return self.quoted_fields.sub(rb"\1", record).count(self.delimiter) + 1

    def joined(self, fields: list[bytes]) -> bytes:
        """A line with these fields, quoted by RFC 4180."""
        return self.delimiter.join(b'"' + one.replace(b'"', b'""') + b'"' for one in fields)

    def unspaced(self, line: bytes) -> list[bytes] | None:
        """The fields of a line with blanks between delimiters and quotes; None for a line of another form."""
        if not self.spaced.fullmatch(line):
            return None
        return [self.unquoted(match[1]) for match in self.spaced_field.finditer(line)]

    def unescaped(self, line: bytes) -> list[bytes] | None:
        r"""The fields of a line whose quotes are escaped as \" (MySQL); None for a line of another form."""
        if not self.escaped.fullmatch(line):
            return None
        found = [match[1] for match in self.escaped_field.finditer(line)]
        return [re.sub(rb'\\(["\\])', rb"\1", one[1:-1]) if one.startswith(b'"') else one for one in found]


def header_of(path: Path, delimiters: str) -> tuple[list[str], str]:
    """The fields of the first line, and the delimiter that occurs most often in it; raises UnicodeDecodeError."""
    with open_bytes(path) as file:
        line = file.readline(LINE_BYTES).removeprefix(b"\xef\xbb\xbf")
        if line.count(b'"') % 2:  # a column name with a line break in it, or a stray quote
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


def repair(path: Path, copy: Path, delimiter: bytes, n_columns: int, *, has_quotes: bool) -> Repaired:
    """Write a copy of a file in which DuckDB reads every record correctly.

    A quote that opens a field and is not closed, or is closed in the middle, becomes text if the line then has n_columns fields. A
    quoted text may span several lines, unless each line is a row on its own: then the quote is a stray quote. Any other line is lost;
    a placeholder that DuckDB refuses keeps the line numbers correct.
    """
    return _Repairing(Quoting(delimiter), n_columns, has_quotes).run(path, copy)


class _Repairing:
    def __init__(self, quoting: Quoting, n_columns: int, has_quotes: bool) -> None:
        self.quoting, self.n_columns, self.has_quotes = quoting, n_columns, has_quotes
        self.found = Repaired()
        self.waiting: deque[bytes] = deque()

    def run(self, path: Path, copy: Path) -> Repaired:
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
        """The further lines of a quoted text that starts in this line; None if its quote is a stray quote."""
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
        return b"x" + self.quoting.delimiter * (self.n_columns + 1) + b"x\n"  # DuckDB would ignore an empty extra column
