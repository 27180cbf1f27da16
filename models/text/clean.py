"""What every text goes through before an encoder or a generator sees it. Importing this module is fast."""

from __future__ import annotations

import re

from models.visible import CONTROLS

MAX_CHARS = 2000
"""A longer text is cut here, because people name the important things first."""
ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[PX\]^_][^\x07\x1b]*(?:\x07|\x1b\\)")
"""Escape sequences of terminals: colours, the movement of the cursor, the title of the window, the clipboard."""


def clean_text(text: str) -> str:
    """The text without escape sequences and control characters, with single spaces, and not longer than MAX_CHARS.

    A text without such characters stays as it is, so that stored vectors of ordinary texts remain valid.
    """
    visible = CONTROLS.sub(" ", ESCAPES.sub(" ", text))
    return " ".join(visible.split())[:MAX_CHARS].rstrip()


def has_words(text: str) -> bool:
    """Whether a text, once cleaned, has a letter or a digit; punctuation alone gets a vector that says nothing."""
    return any(letter.isalnum() for letter in clean_text(text))
