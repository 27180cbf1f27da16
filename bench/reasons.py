"""Whether the reasons of a night are evidence: python -m bench.reasons [DATASET ...] [--home FOLDER].

Checks all rows of all lists of a night. A cited event, search or interest must be the user's. Where an event is cited, the model scores
the row's item again without the events on the cited item: its score must fall. Each data set gets a home of its own, which is deleted
afterwards; with --home, the newest lists of an existing home are checked instead, and they must be those of a night.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from bench.nightly import INGEST, minutehand
from bench.table import keep, there
from models.evaluation.evaluator import make_evaluator
from models.events import Events, Floats, Ints
from models.ranking.scorer import Scorer
from models.text.encoder import find_encoder
from models.text.sentences import Sentences, sentences_for
from settings import load
from tasks import lake
from tasks.live import load_live
from tasks.night.dataset import Dataset, load_dataset
from tasks.night.learning import in_kinds_of, renewed
from tasks.publish.reasons import find_reasons
from tasks.registry.versions import open_registry

SHOP = "simulated-shop"
ROWS = "select user_id, item_id, rank, reason from recs.recommendations where user_id <> '*' order by user_id, rank"
LABELS = "select item_id, list_concat(coalesce(categories, []), coalesce(tags, [])) from raw.items"
SEARCHES = "select user_id, query from features.user_searches"
BLOCK = 5000


@dataclass(frozen=True)
class Row:
    """A list row that cites an event: user and item as rows of the dataset, rank, and the cited item."""

    user: int
    item: int
    rank: int
    because: int


@dataclass(frozen=True)
class Checked:
    """The rows of a night by what they cite; foreign: reasons that cite nothing of the user's."""

    events: list[Row]
    n_interests: int
    n_searches: int
    n_popular: int
    foreign: list[str]


def check(data: Dataset, rows: list[tuple[str, str, int, str]], labels: Mapping[str, list[str]], searches: Mapping[str, str]) -> Checked:
    """Compare the reason of each row with everything that the user did."""
    sentences = sentences_for(data.titles)
    number, item_row = ({name: row for row, name in enumerate(names)} for names in (data.user_ids, data.catalog.item_ids))
    label_of = {item: {label.split(">")[-1].strip() for label in found} for item, found in labels.items()}
    found, counts, foreign = list[Row](), {"interest": 0, "search": 0, "popular": 0}, list[str]()
    last_user, texts, again, interests = None, dict[str, int](), dict[tuple[int, str], int](), set[str]()
    for user_id, item_id, rank, reason in rows:
        if user_id != last_user:
            texts, again, interests = own_texts(data, sentences, number.get(user_id), label_of)
            last_user = user_id
        item = item_row[item_id]
        cited = again.get((item, reason), texts.get(reason, -1))
        shared = {sentences.interest(label) for label in interests & label_of.get(item_id, set())}
        if cited >= 0:
            found.append(Row(number[user_id], item, rank, cited))
        elif reason in shared:
            counts["interest"] += 1
        elif user_id in searches and reason == sentences.searched(searches[user_id]):
            counts["search"] += 1
        elif reason == sentences.popular:
            counts["popular"] += 1
        else:
            foreign.append(f"{user_id}, {item_id}: {reason}")
    return Checked(found, counts["interest"], counts["search"], counts["popular"], foreign)


def own_texts(
    data: Dataset, sentences: Sentences, user: int | None, label_of: Mapping[str, set[str]]
) -> tuple[dict[str, int], dict[tuple[int, str], int], set[str]]:
    """The sentences that may cite a user's events, those for items that come again, and the labels of their items."""
    if user is None or user >= data.events.n_users:
        return {}, {}, set()
    part = slice(*data.events.offsets[[user, user + 1]])
    events = set(zip(data.events.item[part].tolist(), data.events.kind[part].tolist(), strict=True))
    texts = {sentences.because(data.kinds[kind], data.titles[item]): item for item, kind in sorted(events)}
    again = {(item, sentences.once_more(data.kinds[kind])): item for item, kind in events}
    return texts, again, set().union(*(label_of.get(data.catalog.item_ids[item], set()) for item, _ in events))


def falls(scorer: Scorer, events: Events, trend: Floats, rows: list[Row]) -> Ints:
    """[rows, 2] whether the sequence model's part of the item's score, and the whole score, fall without the cited item."""
    out = np.zeros((len(rows), 2), np.int64)
    for users in blocks(events.n_users):
        mine = [number for number, row in enumerate(rows) if row.user in users]
        whole = scores_of(scorer, events, trend, [(user, -1) for user in users], [(rows[n].user - users.start, rows[n].item) for n in mine])
        pairs = sorted({(rows[n].user, rows[n].because) for n in mine})
        place = {pair: number for number, pair in enumerate(pairs)}
        less = scores_of(scorer, events, trend, pairs, [(place[rows[n].user, rows[n].because], rows[n].item) for n in mine])
        out[mine] = less < whole
    return out


def blocks(n_users: int) -> Iterator[range]:
    for first in range(0, n_users, BLOCK):
        yield range(first, min(first + BLOCK, n_users))


def scores_of(scorer: Scorer, events: Events, trend: Floats, left_out: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> Floats:
    """[wanted, 2] U . C and the whole score of (history, item) pairs. left_out: the user of each history, and the item it lacks, or -1."""
    user, item = np.array(left_out, np.int64).reshape(-1, 2).T
    start, stop = events.offsets[user], events.offsets[user + 1]
    number = np.repeat(np.arange(len(user)), stop - start)
    row = np.arange(len(number)) - np.repeat(np.cumsum(stop - start) - (stop - start), stop - start) + np.repeat(start, stop - start)
    keep_row = events.item[row] != item[number]
    number, row = number[keep_row], row[keep_row]
    columns = (number, events.item[row], events.kind[row], events.time[row], events.weight[row])
    histories = Events(*columns, len(user), events.n_items, events.n_kinds)
    history, listed = np.array(wanted, np.int64).reshape(-1, 2).T
    out = np.zeros((len(wanted), 2), np.float32)
    for scored in scorer.score_blocks(histories, len(user), now=None, trend=trend[row], earlier=None):
        inside = np.flatnonzero((history >= scored.users.start) & (history < scored.users.stop))
        at = torch.from_numpy(history[inside] - scored.users.start), torch.from_numpy(listed[inside])
        out[inside] = torch.stack([scored.sequence[at], scored.scores[at]], 1).numpy()
    return out


def measure(name: str, home: Path) -> dict[str, object]:
    """One row of figures about the newest lists of a home."""
    os.environ["MINUTEHAND_HOME"] = str(home)
    settings = load()
    tables = lake.locate(settings.lake, settings.home, settings.store)
    artifacts = settings.home.resolve() / "mlflow" / "artifacts"
    _, version = load_live(
        tables, lambda: open_registry(settings.tracking_uri, settings.registry.model_name, artifacts, settings.registry.artifacts)
    )
    with lake.reading(tables) as con:
        cadence, snapshot = con.execute("select cadence, data_snapshot from recs.publications order by published_at desc").fetchall()[0]
        rows, labels, searches = con.execute(ROWS).fetchall(), dict(con.execute(LABELS).fetchall()), dict(con.execute(SEARCHES).fetchall())
    assert cadence == "nightly", "the newest lists are those of a minute"
    data = load_dataset(tables, snapshot, settings.ingest.event_weights, find_encoder(settings.encoder).key)
    trend, scorer = make_evaluator(data.events, settings.evaluation).trend, renewed(version, data).scorer()
    kind, n_kinds = in_kinds_of(version, data)
    events, n = replace(data.events, kind=kind, n_kinds=n_kinds), settings.publish.n_recommendations
    began = time.process_time()
    scorer.rank(events, events.n_users, n, trend=trend, explain=False)
    plain = time.process_time()
    lists = scorer.rank(events, events.n_users, n, trend=trend)
    explained = time.process_time()
    with lake.reading(tables) as con:
        find_reasons(con, pa.array(data.catalog.item_ids), replace(lists, user_ids=data.user_ids, kind_names=version.kinds), snapshot)
    worded = time.process_time()
    found = check(data, rows, labels, searches)
    for text in found.foreign[:5]:
        print(f"not the user's: {text}")
    fell = falls(scorer, events, trend, found.events)
    top = np.array([row.rank <= 10 for row in found.events])
    return {
        "data": name,
        "users": len(data.user_ids),
        "rows": len(rows),
        "event": round(len(found.events) / len(rows), 3),
        "event_top_10": round(top.sum() / sum(rank <= 10 for _, _, rank, _ in rows), 3),
        "interest": round(found.n_interests / len(rows), 3),
        "search": round(found.n_searches / len(rows), 3),
        "popular": round(found.n_popular / len(rows), 3),
        "not_theirs": len(found.foreign),
        "sequence_falls": round(float(fell[:, 0].mean()), 4),
        "score_falls": round(float(fell[:, 1].mean()), 4),
        "rank_s": round(plain - began, 1),
        "events_s": round((explained - plain) - (plain - began), 1),
        "texts_s": round(worded - explained, 1),
    }


def spend_night(name: str, home: Path, data: Path) -> None:
    """Take the data in, and spend a night on it."""
    if name == SHOP:
        minutehand(home, "simulate")
        for kind in ("items", "events"):
            minutehand(home, "ingest", kind, str(home / "shop" / f"{kind}.parquet"))
    else:
        for line in INGEST[name]:
            minutehand(home, "ingest", *(word.format(data=data / name) for word in line.split()))
    minutehand(home, "nightly")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="*", default=["movietweetings", SHOP], metavar="DATASET", help=", ".join([SHOP, *INGEST]))
    parser.add_argument("--home", type=Path, help="check the lists of this home; spend no night")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.home is not None:
        keep("reasons", [measure(options.home.name, options.home)])
        return
    rows = []
    for name in [*there([name for name in options.datasets if name != SHOP], options.data), *(n for n in options.datasets if n == SHOP)]:
        with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
            spend_night(name, Path(folder), options.data)
            rows.append(measure(name, Path(folder)))
    keep("reasons", rows)


if __name__ == "__main__":
    main()
