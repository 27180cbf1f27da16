"""Generated requests in words, with the items that fulfil each of them: the training data of the towers.

They are made from what a catalogue says about its items: labels (categories and tags), a decade from a year in the title, and titles. The
templates name no kind of product, so that they fit films, clothes and recipes alike.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

LABEL = (
    "{l}",
    "something {l}",
    "I want {l}",
    "show me {l}",
    "I am interested in {l}",
    "good {l} for tonight",
    "the best {l}",
    "anything {l}",
)
DECADE = ("{d}", "from the {d}", "something from the {d}", "made in the {d}")
LABEL_DECADE = (
    *("{l} of the {d}", "{l} from the {d}", "something {l} from the {d}", "I want {l}, made in the {d}", "{d} {l}", "a {d} {l}"),
    *("{l} movies of the {d}", "the best {l} of the {d}"),
)
TWO_LABELS = ("{l} and {m}", "{l} {m}", "{l} with {m}")
TITLE = ("{t}", "like {t}", "something like {t}")
TITLE_DECADE = ("{t} from the {d}", "like {t}, from the {d}", "{d} {t}", "something with {t} from the {d}")
NAMES = ("twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties")
DECADES = dict(zip(range(1920, 2000, 10), NAMES, strict=True))
YEAR = re.compile(r"\((1[89]\d\d|20\d\d)\)\s*$")
MAX_LABELS = 500
MAX_PAIRS = 400
MAX_TITLES = 6000
LEAST_ITEMS = 3
"""A label, or a combination of labels, of fewer items makes no request."""
PARTS = 4
"""A request asks for at most this many labels and decades together."""


@dataclass(frozen=True)
class Requests:
    """Texts, and which facts an item must have to fulfil each: rows of `facts` [facts, items]; row 0 holds for every item.

    needs: [requests, PARTS] rows of facts, padded with 0. n_labels: how many requests, the first ones, are made from labels.
    """

    texts: tuple[str, ...]
    needs: NDArray[np.int64]
    facts: NDArray[np.bool_]
    n_labels: int


def make_requests(titles: Sequence[str], labels: Sequence[Sequence[str]], seed: int) -> Requests:
    """Requests for a catalogue; none if no label is shared by LEAST_ITEMS items. labels: those of each item."""
    rng = random.Random(seed)
    cleaned = [sorted({name for raw in each if (name := clean_label(raw))}) for each in labels]
    counts = Counter(name for each in cleaned for name in each)
    names = [name for name, n in counts.most_common(MAX_LABELS) if n >= LEAST_ITEMS]
    decades = [decade_of(title) for title in titles]
    years = sorted({decade for decade in decades if decade is not None})
    row = {name: 1 + n for n, name in enumerate(names)} | {year: 1 + len(names) + n for n, year in enumerate(years)}
    facts = np.zeros((1 + len(row), len(titles)), bool)
    facts[0] = True
    for item, (each, decade) in enumerate(zip(cleaned, decades, strict=True)):
        facts[[row[name] for name in each if name in row], item] = True
        if decade is not None:
            facts[row[decade], item] = True
    found: list[tuple[str, tuple[int, ...]]] = []

    def add(text: str, *needs: int) -> None:
        if facts[list(needs)].all(0).sum() >= LEAST_ITEMS:
            found.append((text, needs))

    for name in names:
        for template in LABEL:
            add(template.format(l=name), row[name])
        for year in years:
            for template in rng.sample(LABEL_DECADE, 4):
                add(template.format(l=name, d=_spoken(year, rng)), row[name], row[year])
    for year in years:
        for template in DECADE:
            add(template.format(d=_spoken(year, rng)), row[year])
    pairs = list(combinations(names[:100], 2))
    for one, other in rng.sample(pairs, min(len(pairs), MAX_PAIRS)):
        add(rng.choice(TWO_LABELS).format(l=one, m=other), row[one], row[other])
    n_labels = len(found)
    described = [item for item, each in enumerate(cleaned) if any(name in row for name in each)]
    for item in rng.sample(described, min(len(described), MAX_TITLES)):
        needs = [row[name] for name in cleaned[item] if name in row][: PARTS - 1]
        title, decade = YEAR.sub("", titles[item]).strip(), decades[item]
        if decade is not None and rng.random() < 0.6:
            add(rng.choice(TITLE_DECADE).format(t=title, d=_spoken(decade, rng)), *needs, row[decade])
        else:
            add(rng.choice(TITLE).format(t=title), *needs)
    padded = np.array([(*needs, *([0] * (PARTS - len(needs)))) for _, needs in found], np.int64).reshape(-1, PARTS)
    return Requests(tuple(text for text, _ in found), padded, facts, n_labels)


def request_for(labels: Sequence[str], rng: random.Random) -> str | None:
    """A request that names one or two labels of an item; None for an item without labels."""
    names = sorted({name for raw in labels if (name := clean_label(raw))})
    return " ".join(rng.sample(names, min(len(names), rng.choice((1, 2))))) if names else None


def clean_label(raw: str) -> str:
    """The last part of a path such as 'Kitchen > Pans', in lower case; empty for a label in brackets such as '(none)'."""
    name = raw.split(">")[-1].strip().lower()
    return "" if name.startswith("(") else name


def decade_of(title: str) -> int | None:
    """The decade of a year in brackets at the end of a title."""
    found = YEAR.search(title)
    return None if found is None else int(found[1]) // 10 * 10


def _spoken(decade: int, rng: random.Random) -> str:
    words = [f"{decade}s", *([f"{decade % 100}s", DECADES[decade], DECADES[decade]] if decade in DECADES else [])]
    return rng.choice(words)
