"""Which posted events are accepted: the rules of an ingest, so that an accepted event is never refused later."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from serving.ids import BLANKS, MAX_ID, is_unicode, tidied
from tasks.config import IngestConfig
from tasks.ingest.lines import LINE_BYTES
from tasks.lake import ANYONE
from tasks.privacy.border import Border

FIELDS = (
    *("event_id", "user_id", "session_id", "item_id", "event_type", "value", "query", "occurred_at"),
    *("recommendation_id", "position", "context"),
)
NULL_WORDS = re.compile(
    r"(?i)null|nil|none|[+-]?nan|nat|na|n/a|n\.a\.|#n/a( n/a)?|#na|<na>|<null>|<none>|<nil>|[(]null[)]|[(]none[)]|[(]not set[)]|\[null\]"
    r"|\\n|undefined|\"\"|''|\?|-+|[+-]?1\.#(ind|qnan)|#(null!|ref!|value!|div/0!|name\?|num!)"
)
"""Words for a missing value, as in sql/ingest/macros/as_id.sql."""
MAX_LINE = LINE_BYTES - 1000
MAX_POSITION = 1_000_000


@dataclass(frozen=True)
class Event:
    """An accepted event. line: what an ingest reads, as one JSON object without line break. query: only of a search.

    left_out: names of given columns and context keys that are not kept.
    """

    event_id: str
    user_id: str
    item_id: str | None
    event_type: str
    query: str | None
    time_s: int
    line: bytes
    left_out: tuple[str, ...] = ()


class RefusedError(ValueError):
    """The event breaks a rule, which the message names."""


def accept(given: Any, now: datetime, config: IngestConfig, border: Border | None = None) -> Event:
    """The event of one JSON object. Raises RefusedError with the first rule that it breaks. now: UTC, the time of an event without one.

    border: what the event becomes before it is stored; None leaves it as it is.
    """
    if not isinstance(given, dict):
        raise RefusedError("not a JSON object")
    unknown = [name for name in given if name not in FIELDS]
    if unknown:
        raise RefusedError(f"unknown field {unknown[0][:40]!r}; an event has {', '.join(FIELDS)}")
    left_out: list[str] = []
    if border is not None:
        given, left_out = border.reduced(given)
    session_id = id_of(given, "session_id", null_words_as_ids=config.null_words_as_ids)
    user_id = id_of(given, "user_id", null_words_as_ids=config.null_words_as_ids) or session_id
    if user_id is None:
        raise RefusedError("user_id is empty")
    if user_id == ANYONE:
        raise RefusedError(f"user_id is {ANYONE}, which stands for unknown users in the tables")
    user_id = user_id if border is None else border.id_of(user_id)
    event_type = (id_of(given, "event_type") or "view").lower()
    query = text_of(given, "query", config.max_text_chars)
    item_id = id_of(given, "item_id", null_words_as_ids=config.null_words_as_ids)
    if event_type == "search":
        if query is None:
            raise RefusedError("searches are not kept" if "query" in left_out else "a search has no query")
        item_id = None
    elif item_id is None:
        raise RefusedError("item_id is empty")
    moment = _time(given, now, config)
    value = _value(given)
    if event_type in {"purchase", "cart"} and value is not None and value < 0:
        event_type = "return"
    context = given.get("context")
    if context is not None and not isinstance(context, dict):
        raise RefusedError("context is not a JSON object")
    row = {
        "user_id": user_id,
        "item_id": item_id,
        "event_type": event_type,
        "value": value,
        "query": query,
        "occurred_at": moment.isoformat(timespec="microseconds") + "Z",
        "context": None if context is None else json.dumps(context, ensure_ascii=False),
    }
    answered = {
        "recommendation_id": id_of(given, "recommendation_id", null_words_as_ids=config.null_words_as_ids),
        "position": _position(given),
    }
    row |= {name: value for name, value in answered.items() if value is not None}
    event_id = (
        id_of(given, "event_id", null_words_as_ids=config.null_words_as_ids)
        or hashlib.blake2b(json.dumps(row).encode(), digest_size=16).hexdigest()
    )
    line = json.dumps({"event_id": event_id, **row}, ensure_ascii=False).encode("utf-8", "replace")
    demand_short(line, "event")
    happened = min(moment, now.astimezone(UTC).replace(tzinfo=None))  # the clock of the sender may be ahead, as in sql/macros/happened_at
    return Event(event_id, user_id, item_id, event_type, query, round(happened.replace(tzinfo=UTC).timestamp()), line, tuple(left_out))


def demand_short(line: bytes, what: str) -> None:
    """Raises RefusedError for a line that the ingest would find too long."""
    if len(line) > MAX_LINE:
        raise RefusedError(f"the {what} is longer than {MAX_LINE:,} bytes")


def id_of(given: dict[str, Any], name: str, *, null_words_as_ids: bool = False) -> str | None:
    """A field as an id; None if it is missing or empty. Raises RefusedError for anything that cannot be one."""
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RefusedError(f"{name} is not a text")
    text = tidied(str(value))
    if NULL_WORDS.fullmatch(text) and not null_words_as_ids:
        return None
    if "\0" in text:
        raise RefusedError(f"{name} contains a NUL byte")
    if len(text) > MAX_ID:
        raise RefusedError(f"{name} is longer than {MAX_ID} characters")
    if not is_unicode(text):
        raise RefusedError(f"{name} is not valid Unicode")
    if _is_nested(text):
        raise RefusedError(f"{name} is a JSON object or array")
    return text or None


def _is_nested(text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def text_of(given: dict[str, Any], name: str, max_chars: int) -> str | None:
    """A field as text of at most max_chars characters; None if nothing is left of it. Raises RefusedError for anything but text."""
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise RefusedError(f"{name} is not a text")
    text = value.encode("utf-8", "replace").decode()  # as the line of the log has it
    return text.replace("\0", "").strip(BLANKS)[:max_chars] or None


def _value(given: dict[str, Any]) -> float | None:
    value = given.get("value")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError("value is not a number")
    try:
        number = float(value)
    except OverflowError:
        raise RefusedError("value is not finite") from None
    if not math.isfinite(number):
        raise RefusedError("value is not finite")
    return number


def _position(given: dict[str, Any]) -> int | None:
    value = given.get("position")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_POSITION:
        raise RefusedError(f"position is not a whole number from 1 to {MAX_POSITION:,}")
    return value


def _time(given: dict[str, Any], now: datetime, config: IngestConfig) -> datetime:
    """UTC without a zone."""
    value = given.get("occurred_at")
    if value is None:
        return now.astimezone(UTC).replace(tzinfo=None)
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (TypeError, ValueError, OverflowError):
        raise RefusedError("occurred_at is not a time; send one such as 2026-11-28T07:42:00Z") from None
    if moment.year < config.earliest_year:
        raise RefusedError("occurred_at is implausibly early")
    if moment > now.astimezone(UTC).replace(tzinfo=None) + timedelta(hours=config.future_tolerance_hours):
        raise RefusedError("occurred_at is in the future")
    return moment
