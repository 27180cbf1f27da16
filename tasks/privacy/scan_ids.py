"""Finds ids of people in bytes, texts, JSON values and columns; many ids at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

LEAST_RAW = 8
"""Ids of at least this many characters are looked for in all raw bytes."""
LEAST_MIXED = 4
"""Ids of at least this many characters, with a letter and a digit, are looked for as words of every text and column."""
HOLDERS = (
    *("user", "customer", "client", "member", "visitor", "account", "session", "buyer", "reviewer", "shopper", "person", "people"),
    *("kunde", "profile", "subscriber", "device", "uid", "student", "learner", "reader", "alias", "owner", "email", "login"),
    *("utilisateur", "usuario", "用户", "会员", "客户", "顾客"),
)
"""Parts of the names of columns and keys that hold ids of people."""
COUNTS = re.compile(r"^(n|num|count|total)_|_count$", re.IGNORECASE)
FOLLOWED = re.compile(
    rf"""(?<!\bn_)(?<!num_)(?:{"|".join(HOLDERS)})
    (?: s(?=/) | [_\s]?(?:ids?|no|nr|number|key|name) )?   # the plural only in addresses: users: 42 is a number of users
    (?: [\"'\\]{{0,2}} \s? [:=/\#(\[] \s? [\"'\\]{{0,2}} | \s [\"'\\]{{0,2}} )
    (?P<id> [^\s\"',;<>&?#/()\[\]{{}}\\|]+ )""",
    re.IGNORECASE | re.VERBOSE,
)
"""A word that names people, and the token after it: user 42, user:42, "user_id": "42", /users/42."""
WHOLE_NUMBER = re.compile(r"(-?\d+)\.0+")
BLANKS = " \t\n\r\xa0"
CONTEXT = 8
"""Bytes on either side of a finding that tell it from another one of the same id."""
_BLOCK = 1 << 17
_FACTOR = {4: np.uint32(0x9E3779B1), 8: np.uint64(0x9E3779B97F4A7C15)}
_IS_WORD = np.zeros(256, bool)
_IS_WORD[[*range(ord("0"), ord("9") + 1), *range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]] = True


@dataclass(frozen=True)
class Hits:
    """Number of values and words that are an id, and of those that are only a keyed digest of one."""

    ids: int = 0
    digests: int = 0

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.ids + other.ids, self.digests + other.digests)

    def __bool__(self) -> bool:
        return bool(self.ids or self.digests)


@cache
def holds_users(name: str) -> bool:
    """Whether a column or key holds ids of people, by its name: user_id, CustomerID, alias; not n_users."""
    return not COUNTS.search(name) and any(part in name.lower() for part in HOLDERS)


def tidied(text: str) -> str:
    """An id as the lake has it: no blanks around it; 42.0 is 42."""
    stripped = text.strip(BLANKS)
    whole = WHOLE_NUMBER.fullmatch(stripped)
    return whole[1] if whole else stripped


class Patterns:
    """Byte strings that are looked for together. is_digest: for each of them, whether it is a digest."""

    def __init__(self, is_digest: Mapping[bytes, bool], width: int) -> None:
        """width: 4 or 8 bytes that are compared at once; no pattern is shorter."""
        self.is_digest, self.width = is_digest, width
        self.longest = max(map(len, is_digest), default=0)
        lengths = sorted({len(pattern) for pattern in is_digest})
        self._first = self._words(pattern[:width] for pattern in is_digest)
        self._last = {n: self._words(pattern[-width:] for pattern in is_digest if len(pattern) == n) for n in lengths}
        self._bits = min(max(16, 6 + len(is_digest).bit_length()), 24)
        self._may_start = np.zeros(1 << self._bits, bool)
        self._may_start[self._slots(self._first)] = True

    def find(self, data: Bytes) -> list[tuple[int, bytes]]:
        """Start and pattern of every occurrence, in no particular order."""
        n = len(data) - self.width + 1
        if n <= 0 or not self.is_digest:
            return []
        data = np.ascontiguousarray(data)
        words = np.ndarray(n, f"<u{self.width}", data, 0, (1,))  # the word that begins at each byte
        found: list[tuple[int, bytes]] = []
        for begin in range(0, n, _BLOCK):
            block = words[begin : begin + _BLOCK]
            likely = np.flatnonzero(self._may_start[self._slots(block)])
            if len(likely):
                starts = begin + likely[_is_among(block[likely], self._first)]
                found += self._checked(data, words, starts)
        return found

    def _checked(self, data: Bytes, words: NDArray[Any], starts: Ints) -> Iterator[tuple[int, bytes]]:
        for length, last in self._last.items():
            within = starts[starts + length <= len(data)]
            for start in within[_is_among(words[within + length - self.width], last)].tolist():
                pattern = data[start : start + length].tobytes()
                if pattern in self.is_digest:
                    yield start, pattern

    def _words(self, patterns: Iterable[bytes]) -> NDArray[Any]:
        return np.unique(np.frombuffer(b"".join(patterns), f"<u{self.width}"))

    def _slots(self, words: NDArray[Any]) -> NDArray[Any]:
        return (words * _FACTOR[self.width]) >> words.dtype.type(8 * self.width - self._bits)


def _is_among(values: NDArray[Any], among: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value is among sorted ones."""
    if not len(among):
        return np.zeros(len(values), bool)
    return among[np.minimum(np.searchsorted(among, values), len(among) - 1)] == values


class Wanted:
    """The ids that a scan looks for. matched: ids that only the judge has found so far."""

    def __init__(
        self, ids: Iterable[str], digests: Iterable[str] = (), longer: Iterable[str] = (), judge: Callable[[str], bool] | None = None
    ) -> None:
        """longer: ids of other people, within which an id does not count as a word. judge: whether an id that is not known here is wanted;
        it is asked about every id in a place where people are expected."""
        self.judge, self.matched = judge, set[str]()
        self.ids = frozenset(tidied(each) for each in ids) - {""}
        self.digests = frozenset(digests)
        known = {**dict.fromkeys(self.digests, True), **dict.fromkeys(self.ids, False)}
        self.short = frozenset(each for each in self.ids if len(each) < LEAST_RAW)
        telling = {each: is_digest for each, is_digest in known.items() if len(each) >= LEAST_RAW}
        self.raw = Patterns({spelling: is_digest for each, is_digest in telling.items() for spelling in _spellings(each)}, 8)
        mixed = {each for each in self.short if len(each) >= LEAST_MIXED and re.search(r"\d", each) and re.search(r"[^\W\d_]", each)}
        self.mixed = Patterns({spelling: False for each in mixed for spelling in _spellings(each)}, 4)
        self._numbers = frozenset(int(each) for each in self.ids if re.fullmatch(r"-?\d{1,18}", each) and str(int(each)) == each)
        self._long_numbers = frozenset(each for each in self._numbers if len(str(abs(each))) >= LEAST_RAW)
        self._longer = [each.encode("utf-8", "surrogatepass") for each in longer]

    def telling(self) -> Wanted:
        """The same without the ids that only count where people are expected."""
        found = copy(self)
        found.short, found.judge = frozenset(), None
        return found

    @property
    def is_judging(self) -> bool:
        """Whether places where people are expected have to be looked at one by one."""
        return bool(self.short) or self.judge is not None

    def _is_person(self, text: str) -> bool:
        """Whether an id in a place where people are expected is wanted."""
        plain = tidied(text)
        if plain in self.short:
            return True
        if self.judge is None or not self.judge(plain):
            return False
        self.matched.add(plain)
        return True

    @property
    def longest(self) -> int:
        """Length of the longest pattern or longer id, in bytes."""
        return max(self.raw.longest, self.mixed.longest, *map(len, self._longer), 0)

    def in_bytes(self, data: Bytes, *, is_text: bool = True, since: int = 0, until: int | None = None, bounds: Ints | None = None) -> Hits:
        """Whole words that start in [since, until). bounds: ends of values that lie in the bytes without a separator."""
        found = self.raw.find(data) + (self.mixed.find(data) if is_text else [])
        stop = len(data) if until is None else until
        hits = [pattern for start, pattern in found if since <= start < stop and self._is_word(data, start, len(pattern), bounds)]
        n_digests = sum(self.raw.is_digest.get(pattern, False) for pattern in hits)
        return Hits(len(hits) - n_digests, n_digests)

    def contexts(self, data: Bytes, since: int = 0, until: int | None = None) -> list[bytes]:
        """Every occurrence of an id in [since, until), as a word or not, with the bytes next to it."""
        stop = len(data) if until is None else until
        return [
            data[max(start - CONTEXT, 0) : start + len(pattern) + CONTEXT].tobytes()
            for start, pattern in self.raw.find(data)
            if since <= start < stop and not self.raw.is_digest[pattern]
        ]

    def _is_word(self, data: Bytes, start: int, length: int, bounds: Ints | None) -> bool:
        """Whether no letter or digit is next to an occurrence in its value, and no longer id contains it."""
        first, last = 0, len(data)
        if bounds is not None:
            place = int(np.searchsorted(bounds, start, side="right"))
            first, last = int(bounds[place - 1]) if place else 0, int(bounds[place])
        stop = start + length
        if stop > last or (start > first and _IS_WORD[data[start - 1]]) or (stop < last and _IS_WORD[data[stop]]):
            return False
        return not any(self._is_within(each, data, start, length, first, last) for each in self._longer)

    @staticmethod
    def _is_within(longer: bytes, data: Bytes, start: int, length: int, first: int, last: int) -> bool:
        """Whether an occurrence is a part of a longer id in the same value, bytes[first:last]."""
        place = longer.find(data[start : start + length].tobytes())
        begin = start - place
        return place >= 0 and begin >= first and data[begin : min(begin + len(longer), last)].tobytes() == longer

    def in_column(self, name: str, values: pa.Array, *, is_of_users: bool | None = None) -> Hits:
        """Values of a column, also within lists, maps and structs."""
        of_users = holds_users(name) if is_of_users is None else is_of_users
        kind = values.type
        if pa.types.is_dictionary(kind):
            return self._in_dictionary(values, of_users)
        if pa.types.is_struct(kind):
            parts = zip(kind, values.flatten(), strict=True)
            return sum((self.in_column(field.name, part, is_of_users=of_users or None) for field, part in parts), Hits())
        if pa.types.is_map(kind):
            return self.in_column(name, values.keys, is_of_users=of_users) + self._in_items(name, values, of_users)
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            return self.in_column(name, values.flatten(), is_of_users=of_users)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return self._in_numbers(values, of_users)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return self._total(self._per_value(values, of_users))
        return Hits()

    def _in_items(self, name: str, values: pa.Array, of_users: bool) -> Hits:
        """The values of a map; those under a key that names people are judged as ids of people."""
        keys = values.keys
        if of_users or not (pa.types.is_string(keys.type) or pa.types.is_large_string(keys.type)):
            return self.in_column(name, values.items, is_of_users=of_users)
        named = pa.array([holds_users(key) for key in keys.to_pylist()], pa.bool_())
        return self.in_column(name, values.items.filter(named), is_of_users=True) + self.in_column(
            name, values.items.filter(pc.invert(named)), is_of_users=False
        )

    def places_in(self, values: pa.Array) -> list[int]:
        """The places of values that contain an id as a word."""
        return sorted(self._per_value(values, of_users=False))

    def _in_dictionary(self, values: pa.Array, of_users: bool) -> Hits:
        words = values.dictionary
        per_value = self._per_value(words, of_users)
        if not per_value:
            return Hits()
        counts = np.bincount(values.indices.drop_null().to_numpy(zero_copy_only=False), minlength=len(words))
        total = Hits()
        for place, hits in per_value.items():
            total += Hits(hits.ids * int(counts[place]), hits.digests * int(counts[place]))
        return total

    @staticmethod
    def _total(per_value: Mapping[int, Hits]) -> Hits:
        return sum(per_value.values(), Hits())

    def _in_numbers(self, values: pa.Array, of_users: bool) -> Hits:
        if self.judge is not None and of_users:
            counts = pc.value_counts(values.drop_null())
            return Hits(sum(int(each["counts"].as_py()) for each in counts if self._is_person(str(each["values"].as_py()))))
        wanted = self._numbers if of_users else self._long_numbers
        if not wanted or not len(values):
            return Hits()
        if not pa.types.is_integer(values.type):
            if not of_users:
                return Hits()
            found = pc.is_in(pc.cast(values, pa.float64(), safe=False), pa.array([float(each) for each in sorted(wanted)]))
        else:
            found = pc.is_in(pc.cast(values, pa.decimal128(38, 0)), pa.array(sorted(wanted), pa.decimal128(38, 0)))
        return Hits(int(pc.sum(found).as_py() or 0))

    def _per_value(self, values: pa.Array, of_users: bool) -> dict[int, Hits]:
        """Hits of each value that has any, by its place in the column."""
        if not len(values):
            return {}
        texts = values.cast(pa.large_binary())
        offsets, data = _buffers(texts)
        found: dict[int, Hits] = {}
        for start, pattern in self.raw.find(data) + self.mixed.find(data):
            if self._is_word(data, start, len(pattern), offsets[1:]):
                place = int(np.searchsorted(offsets, start, side="right")) - 1
                is_digest = self.raw.is_digest.get(pattern, False)
                found[place] = found.get(place, Hits()) + Hits(int(not is_digest), int(is_digest))
        if self.is_judging and of_users:
            known = pa.array([each.encode() for each in self.short], pa.large_binary())
            unusual = pc.match_substring_regex(texts, "" if self.judge else r"^[ \t\r\n]|[ \t\r\n]$|\.0+$|^[\[{]")
            likely = pc.or_(pc.is_in(texts, known), unusual)
            for place in np.flatnonzero(pc.fill_null(likely, False).to_numpy(zero_copy_only=False)).tolist():
                if place not in found and (n := self.in_short_value(_text(texts[place].as_py()))):
                    found[place] = Hits(n)
        elif self.is_judging:
            likely = pc.match_substring_regex(texts, f"{'|'.join(HOLDERS)}", ignore_case=True)
            for place in np.flatnonzero(pc.fill_null(likely, False).to_numpy(zero_copy_only=False)).tolist():
                if place not in found and (n := self.in_text(_text(texts[place].as_py()))):
                    found[place] = Hits(n)
        return found

    def in_value(self, text: str) -> bool:
        """Whether a text has an id as a word, or a short one where people are expected."""
        return bool(self.in_bytes(np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)) or self.in_text(text))

    def in_short_value(self, text: str) -> int:
        """Number of short ids in the value of a column or key that holds people: the value itself, or a list of them."""
        if self._is_person(text):
            return 1
        loaded = _loaded(text)
        return 0 if loaded is None else self.in_json(loaded, of_users=True)

    def in_text(self, text: str) -> int:
        """Number of short ids in a text: values of JSON under keys that hold people, or tokens after a word that names people."""
        loaded = _loaded(text)
        if loaded is not None:
            return self.in_json(loaded)
        return sum(self._is_short(match["id"]) for match in FOLLOWED.finditer(text))

    def in_json(self, value: Any, *, of_users: bool = False) -> int:
        """Number of short ids among the values and keys of a JSON value. of_users: whether it is under a key that holds people."""
        if isinstance(value, dict):
            keys = sum(of_users and self._is_person(key) for key in value)
            inner = [(each, of_users or holds_users(key)) for key, each in value.items() if not _is_count(key, each)]
            return keys + sum(self.in_json(each, of_users=is_of_users) for each, is_of_users in inner)
        if isinstance(value, list):
            return sum(self.in_json(inner, of_users=of_users) for inner in value)
        if isinstance(value, str) and not of_users:
            return self.in_text(value)
        return int(of_users and not isinstance(value, bool) and value is not None and self._is_person(str(value)))

    def _is_short(self, token: str) -> bool:
        plain = token.rstrip(".:!")
        return self._is_person(plain) or (plain != token and self._is_person(token))


def _is_count(key: str, value: Any) -> bool:
    """Whether a JSON value is a number of people: {"users": 42}."""
    name = key.lower()
    return isinstance(value, int) and name.endswith("s") and not name.endswith("ids")


def _spellings(text: str) -> set[bytes]:
    """An id as files may spell it: in UTF-8, UTF-16 and other encodings, in JSON and in addresses."""
    texts = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], quote(text, safe="", errors="replace")}
    found = {each.encode("utf-8", "surrogatepass") for each in texts}
    found |= {text.encode(encoding, "surrogatepass") for encoding in ("utf-16-le", "utf-16-be")}
    for encoding in ("cp1252", "gb18030") if not text.isascii() else ():
        with suppress(UnicodeEncodeError):
            found.add(text.encode(encoding))
    return found


def _loaded(text: str) -> Any:
    """A JSON object or array; None for any other text."""
    if not text.lstrip()[:1] or text.lstrip()[:1] not in "{[":
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")


def _buffers(values: pa.Array) -> tuple[Ints, Bytes]:
    """Offsets and bytes of a column of large binaries: value n is bytes[offsets[n] : offsets[n + 1]]."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    return bounds - bounds[0], content[bounds[0] : bounds[-1]]
