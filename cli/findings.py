"""What `minutehand doctor` reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    check: str
    state: Literal["ok", "warn", "bad"]
    found: str
    remedy: str = ""


def split(message: str, remedy: str = "") -> tuple[str, str]:
    """What was found and its remedy, from a message that says both."""
    found, _, advice = message.rpartition("; ")
    return (found, advice) if found else (message, remedy)
