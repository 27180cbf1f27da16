"""Escaping of untrusted text for terminals, logs, markdown and JSON."""

from __future__ import annotations

import math
import re
from typing import Any

CONTROLS = re.compile(
    "["
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and line feed, DEL, C1: move the cursor, clear the screen, write the clipboard
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # reorder the text around them
    r"\u180e\u200b\u2028\u2029\u2060-\u2065\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e007f"  # invisible, or line breaks
    r"\ud800-\udfff"  # lone surrogates, which no terminal and no file accepts
    "]"
)
"""Characters that are always escaped. The joiners U+200C and U+200D, which scripts and emoji need, and the soft hyphen stay."""
BREAKS = re.compile(r"[\t\n]")
MARKUP = re.compile(r"[\\`*\[\]<>|#~]|(?<![^\W_])_|_(?![^\W_])")
"""Characters that mean something in markdown; an underscore within a word does not."""
ADDRESS = re.compile(r"://|www\.|@|(?:mailto|xmpp):|&#?\w+;", re.IGNORECASE)
"""Text that a renderer turns into a link or another character even if it is escaped."""


def visible(text: str) -> str:
    """The text with control characters escaped, such as \\x1b and \\u202e; line breaks and tabs stay."""
    return CONTROLS.sub(_spelt, text)


def visible_line(text: str) -> str:
    """Like `visible`, with line breaks and tabs escaped too: a name cannot imitate another line of a log."""
    return BREAKS.sub(_spelt, visible(text))


def visible_json(text: str) -> str:
    """Equivalent JSON with the control characters in its strings escaped."""
    return CONTROLS.sub(_as_utf16, text)


def to_json_value(value: Any) -> Any:
    """The value as JSON can represent it: null for non-finite numbers, strings as keys."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [to_json_value(part) for part in value]
    if isinstance(value, dict):
        return {str(name): to_json_value(part) for name, part in value.items()}
    return value


def in_markdown(text: str, longest: int = 120) -> str:
    """A title or name as one line of markdown that renders as plain text: no markup, no HTML, no link; cut at `longest` characters."""
    line = visible(" ".join(text.split()))
    line = line if len(line) <= longest else f"{line[: longest - 1]}…"
    return _code(line) if ADDRESS.search(line) else MARKUP.sub(r"\\\g<0>", line)


def _code(line: str) -> str:
    """A code span, in which renderers ignore markup and addresses."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in "\t\n\r":
        return {"\t": r"\t", "\n": r"\n", "\r": r"\r"}[found[0]]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _as_utf16(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2]):04x}" for at in range(0, len(units), 2))
