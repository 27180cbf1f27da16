"""Whether an encoder that knows English alone is given texts of another language; light to import."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache

MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
ENGLISH_ALONE = re.compile(r"(?:.*/)?(?:all-(?:minilm|mpnet|distilroberta)-.*|.*-en(?:-.*)?)/?", re.IGNORECASE)
"""Names of encoders, or ends of paths to them, that say so: the family of the bundled one, and what is called -en."""
COMMON = 0.1
"""Share of the texts from which on a language is told of."""
FEWEST = 3
"""Texts that a language of Latin letters is told by at least."""
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
"""Words that hardly a longer text does without, and that English has not."""
WORD = re.compile(r"[^\W\d_]+")


def language_warning(encoder: str, texts: Sequence[str]) -> str | None:
    """What to do about texts that the encoder of that name does not know, in one line; None where there is no reason to think so."""
    found = foreign_script(texts) if ENGLISH_ALONE.fullmatch(encoder) else None
    if found is None:
        return None
    how, share = found
    return (
        f"about {share:.0%} of the item texts are {how}, and the encoder {encoder} knows English alone: items get poor neighbours by their "
        f"texts; set MINUTEHAND_ENCODER__NAME to a multilingual model such as {MULTILINGUAL}, and run minutehand nightly"
    )


def foreign_script(texts: Sequence[str]) -> tuple[str, float] | None:
    """How texts that are not English are written, and their share of those with letters; None where they are few or in doubt."""
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
    """The script of most letters, by the first word of their names in Unicode; None for a text without letters.

    Letters that are others in disguise, such as mathematical bold ones, count as those.
    """
    counts = Counter(script for letter in unicodedata.normalize("NFKC", text) if (script := _script(letter)))
    return counts.most_common(1)[0][0] if counts else None


@cache
def _script(letter: str) -> str | None:
    return unicodedata.name(letter, "").partition(" ")[0] or None if letter.isalpha() else None
