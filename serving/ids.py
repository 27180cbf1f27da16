"""Ids in requests, by the rules of an ingest."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

MAX_ID = 512
BLANKS = " \t\n\r\xa0"
WHOLE = re.compile(r"(-?\d+)\.0+")
_BLANK = r" \t\n\r\u00a0"
SHAPE = {"type": "string", "pattern": rf"^[{_BLANK}]*[^\u0000{_BLANK}]([^\u0000]{{0,{MAX_ID - 2}}}[^\u0000{_BLANK}])?[{_BLANK}]*$"}
"""The rules as JSON schema."""


def tidied(text: str) -> str:
    """The id without blanks around it; a whole number without its decimals, as some programs write 12.0 for 12."""
    stripped = text.strip(BLANKS)
    whole = WHOLE.fullmatch(stripped)
    return whole[1] if whole else stripped


def is_unicode(text: str) -> bool:
    """Whether the text has no half of a surrogate pair."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def checked(text: str) -> str:
    """The id as events have it. Raises ValueError if no event could have it."""
    found = tidied(text)
    if not found:
        raise ValueError("an id has at least one character")
    if len(found) > MAX_ID:
        raise ValueError(f"an id has at most {MAX_ID} characters")
    if "\0" in found:
        raise ValueError("an id has no NUL byte")
    if not is_unicode(found):
        raise ValueError("an id is valid Unicode")
    return found


Id = Annotated[str, AfterValidator(checked), WithJsonSchema(SHAPE)]
