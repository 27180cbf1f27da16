"""How a text of a catalogue is read as labels."""

from __future__ import annotations

import re
import unicodedata

LONGEST_LABEL = 100
"""A longer text is a description and no label."""


def split_label(raw: str) -> list[tuple[str, ...]]:
    """The paths in a label: 'a > b' is one of two parts, 'a|b' are two; none for a label in brackets such as '(none)'."""
    out = []
    for each in raw.split("|"):
        parts = tuple(name for part in each.split(">") if (name := re.sub(r"\s+", " ", part).strip()))
        if parts and not any(part[0] in "([" and part[-1] in ")]" for part in parts) and sum(map(len, parts)) <= LONGEST_LABEL:
            out.append(parts)
    return out


def normal(label: str) -> str:
    """A label in the form in which it is compared: case, width and spaces do not count."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", label)).strip().casefold()
