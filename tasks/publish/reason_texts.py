"""Reasons of list rows in the words of a language model, where a setting asks for them.

The texts are written before a publish, and kept in features.reason_texts: `tasks/publish/reasons.py` puts them in the place of the
templates that they belong to. A reason says "because you viewed X" to everybody who viewed X, so one text serves many rows, and neither
users nor searches are sent to the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from models.results import RankedLists
from models.text.claims import Evidence
from models.text.sentences import Sentences
from tasks.config import GeneratorConfig
from tasks.generator import open_writer
from tasks.lake import Lake, reading, statement, writing
from tasks.publish.reasons import CitedEvents, cite_events, language_of

KEEP_DAYS = 30
"""Texts are written again after so many days, and those that no list needs any more go."""


def word_reasons(lake: Lake, item_ids: Sequence[str], lists: RankedLists, snapshot: int, config: GeneratorConfig, *, is_night: bool) -> int:
    """Word the reasons of these lists that were not worded before, the first ranks first; returns how many texts the model gave.

    A night also deletes old texts; all of them if the setting is off.
    """
    if is_night:
        _forget(lake, config)
    most = config.reasons if is_night else config.minute_reasons
    if not (config.model and config.reasons and most):
        return 0
    with reading(lake) as con:
        sentences = language_of(con, snapshot)
        cited = cite_events(con, pa.array(item_ids, pa.string()), lists, snapshot, sentences)
        asked = {cited.texts[at]: _of_event(cited, at) for at in _by_rank(cited, config.reason_ranks) if cited.titles[at] is not None}
        if is_night:
            asked |= _of_interests(con, sentences, config)
        known = {template for (template,) in con.execute(statement("publish/known_reason_texts"), {"generator": config.model}).fetchall()}
        titles, labels = con.execute(statement("read/catalogue_names")).fetchone() or ([], [])
    writer = open_writer(config if is_night else _of_minute(config), titles, labels)
    worded: dict[str, str | None] = {}
    for template in [template for template in asked if template not in known][:most]:
        text = writer.offer_reason(*asked[template])
        if text is not None:
            worded[template] = text or None
    writer.note()
    if worded:
        with writing(lake) as con:
            con.register("worded", pa.table({"template": list(worded), "text": pa.array(worded.values(), pa.string())}))
            con.execute(statement("publish/insert_reason_texts"), {"generator": config.model, "worded_at": _now()})
    return len(worded)


def _of_event(cited: CitedEvents, at: int) -> tuple[Evidence, str | None]:
    return Evidence((cited.titles[at] or "",)), cited.event_types[at]


def _of_interests(con: duckdb.DuckDBPyConnection, sentences: Sentences, config: GeneratorConfig) -> dict[str, tuple[Evidence, str | None]]:
    """What the reasons that cite an interest cite, in the lists that this night replaces: its own are not known before it publishes."""
    prefix, suffix = sentences.of_interest.split("{name}")
    asked = {"prefix": prefix, "suffix": suffix, "ranks": config.reason_ranks, "n": config.reasons}
    found = con.execute(statement("publish/published_reasons"), asked).fetchall()
    names = {reason: reason.removeprefix(prefix).removesuffix(suffix) for (reason,) in found}
    return {reason: (Evidence(labels=(name,)), None) for reason, name in names.items() if not name.endswith("…")}


def _by_rank(cited: CitedEvents, n_ranks: int) -> list[int]:
    """The numbers of the texts in the first ranks: by their best rank, then by the number of rows."""
    rows = cited.number[:, :n_ranks]
    _, rank = np.nonzero(rows >= 0)
    number = rows[rows >= 0]
    best, n_rows = np.full(len(cited.texts), n_ranks), np.bincount(number, minlength=len(cited.texts))
    np.minimum.at(best, number, rank)
    order = np.lexsort((-n_rows, best))
    return [int(at) for at in order if best[at] < n_ranks]


def _of_minute(config: GeneratorConfig) -> GeneratorConfig:
    return config.model_copy(update={"budget_s": config.minute_budget_s, "timeout_s": min(config.timeout_s, config.minute_budget_s)})


def _forget(lake: Lake, config: GeneratorConfig) -> None:
    is_on = bool(config.model and config.reasons)
    old = {"generator": config.model if is_on else None, "before": _now() - timedelta(days=KEEP_DAYS)}
    with reading(lake) as con:
        (n,) = con.execute(statement("publish/count_old_reason_texts"), old).fetchone() or (0,)
    if n:
        with writing(lake) as con:
            con.execute(statement("publish/delete_reason_texts"), old)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
