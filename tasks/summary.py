"""Two sentences about what a person is interested in, by the language model that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.config import GeneratorConfig
from tasks.generator import open_writer
from tasks.lake import Lake, reading, statement

PER_DIMENSION = 2
"""At most so many interests of each dimension are summed up, such as two genres and two decades."""
MAX_TITLES = 3


def summary_of(lake: Lake, rows: Sequence[Mapping[str, Any]], config: GeneratorConfig) -> str | None:
    """The summary of the published interests of a user; None if no model is set. rows: those of `reading.interests_of`."""
    if not config.model or not rows:
        return None
    with reading(lake) as con:
        titles, labels = con.execute(statement("read/catalogue_names")).fetchone() or ([], [])
    strongest = sorted(rows, key=lambda row: -row["probability"])
    names: dict[str, list[str]] = {}
    for row in strongest:
        known = names.setdefault(row["dimension"], [])
        if len(known) < PER_DIMENSION and row["name"] not in known:
            known.append(row["name"])
    cited = list(dict.fromkeys(title for row in strongest for title in row["evidence_titles"] or ()))[:MAX_TITLES]
    return open_writer(config, titles, labels).summarise([name for each in names.values() for name in each], cited)
