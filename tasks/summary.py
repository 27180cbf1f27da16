"""What a person is interested in and why they are shown an item, in the words of the language model that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.text.claims import Evidence
from tasks.config import GeneratorConfig
from tasks.generator import Writer, open_writer
from tasks.lake import Lake, reading, statement

PER_DIMENSION = 3
"""At most so many interests of each dimension are summed up, such as three genres and three decades."""
LEAST_SHARE = 0.5
"""An interest is left out if its probability is below this share of the strongest of its dimension."""
MAX_TITLES = 3


def summary_of(lake: Lake, rows: Sequence[Mapping[str, Any]], config: GeneratorConfig) -> str | None:
    """The summary of the published interests of a user; None if no model is set. rows: those of `reading.interests_of`."""
    if not config.model or not rows:
        return None
    strongest = sorted(rows, key=lambda row: -row["probability"])
    names: dict[str, list[str]] = {row["dimension"]: [] for row in rows}
    best = {row["dimension"]: row["probability"] for row in reversed(strongest)}
    for row in strongest:
        known = names[row["dimension"]]
        if row["name"] not in known and len(known) < PER_DIMENSION and row["probability"] >= LEAST_SHARE * best[row["dimension"]]:
            known.append(row["name"])
    cited = list(dict.fromkeys(title for row in strongest for title in row["evidence_titles"] or ()))[:MAX_TITLES]
    return _writer(lake, config).summarise([name for each in names.values() for name in each], cited)


def reason_of(
    lake: Lake, reason: str, events: Sequence[Mapping[str, Any]], shared: Sequence[Mapping[str, Any]], config: GeneratorConfig
) -> str:
    """The published reason in new words, from the events on which the item rests most and the labels that it shares with the history.

    events, shared: those of `why.explain`.
    """
    if not config.model:
        return reason
    titles = [each["title"] for each in events if each["title"] and each["effect"] > 0][:MAX_TITLES]
    labels = [each["label"] for each in shared][:PER_DIMENSION]
    return _writer(lake, config).word_reason(Evidence(tuple(titles), tuple(labels)), reason)


def _writer(lake: Lake, config: GeneratorConfig) -> Writer:
    """A writer that knows the titles and labels of the whole catalogue."""
    with reading(lake) as con:
        titles, labels = con.execute(statement("read/catalogue_names")).fetchone() or ([], [])
    return open_writer(config, titles, labels)
