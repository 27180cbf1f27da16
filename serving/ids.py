"""Ids in requests, by the rules of an ingest."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

MAX_ID = 512
BLANKS = r" \t\n\r\u00a0"
SHAPE = {"type": "string", "pattern": rf"^[{BLANKS}]*[^\u0000{BLANKS}]([^\u0000]{{0,{MAX_ID - 2}}}[^\u0000{BLANKS}])?[{BLANKS}]*$"}
"""The rules as JSON schema."""


def checked(text: str) -> str:
    """The id without blanks around it. Raises ValueError if no event could have it."""
    found = text.strip(" \t\n\r\xa0")
    if not found:
        raise ValueError("an id has at least one character")
    if len(found) > MAX_ID:
        raise ValueError(f"an id has at most {MAX_ID} characters")
    if "\0" in found:
        raise ValueError("an id has no NUL byte")
    if any("\ud800" <= letter <= "\udfff" for letter in found):
        raise ValueError("an id is valid Unicode")
    return found


Id = Annotated[str, AfterValidator(checked), WithJsonSchema(SHAPE)]
