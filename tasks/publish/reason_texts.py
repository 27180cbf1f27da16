"""Reasons of list rows in the words of a language model, where a setting asks for them.

The texts are written before a publish, and kept in features.reason_texts: `tasks/publish/reasons.py` puts them in the place of the
templates that they belong to. A reason says "because you viewed X" to everybody who viewed X, so one text serves many rows, and neither
users nor searches are sent to the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from models.results import RankedLists
from models.text.claims import Evidence
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
        cited = cite_events(con, pa.array(item_ids, pa.string()), lists, snapshot, language_of(con, snapshot))
        known = {template for (template,) in con.execute(statement("publish/known_reason_texts"), {"generator": config.model}).fetchall()}
        titles, labels = con.execute(statement("read/catalogue_names")).fetchone() or ([], [])
    wanted = [at for at in _by_rank(cited, config.reason_ranks) if cited.titles[at] is not None and cited.texts[at] not in known][:most]
    writer = open_writer(config if is_night else _of_minute(config), titles, labels)
    worded: dict[str, str | None] = {}
    for at in wanted:
        text = writer.offer_reason(Evidence((cited.titles[at] or "",)), cited.event_types[at])
        if text is not None:
            worded[cited.texts[at]] = text or None
    writer.note()
    if worded:
        with writing(lake) as con:
            con.register("worded", pa.table({"template": list(worded), "text": pa.array(worded.values(), pa.string())}))
            con.execute(statement("publish/insert_reason_texts"), {"generator": config.model, "worded_at": _now()})
    return len(worded)


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
