"""The capture heads compared with counts, on two data sets and a simulated shop with known interests: python -m bench.capture.

movietweetings: the genres of the next item, in equal shares; training 80 %, validation 10 % and test 10 % of time.
p5-beauty: the cluster of the title of each user's last item. bench/capture_p5_beauty.json has the cluster of each of 12,101 items, made by
`--clusters`. Baselines are smoothed as is best on validation; all figures are of the test events.
cross_entropy: in nats, against the shares of the item's interests. less, low, high: cross-entropy of the capture minus that of this way,
with a 95 % interval over users. recall_at_3: mean share of the item that is in the three most probable interests.
ece: calibration error of the most probable interest, the mean difference of its probability and its share in 15 bins of as many events.
ece_all: the same for all pairs of event and interest together, times the number of interests.

Shop: short and long tell how far users' interests are in the planted order (see `ordered_alike`). unseen: share of the planted leaves on
which their user has no event. known_order: the agreement of an answer that knows the planted order of all other leaves, and takes
popularity for the unseen ones. after 1 to after 5: see `drifted`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import faiss
import numpy as np
import polars as pl
import torch
from scipy.sparse import csr_matrix, diags

from bench.table import keep, there
from models.config import EncoderConfig
from models.events import Events, Floats, Ints, TemporalSplit, ragged_rows
from models.interests.capture import HORIZONS, Capture, blocks
from models.interests.profiles import POPULAR_H, SOURCES, Evidence, Moments, Tables, near_texts
from models.metrics.intervals import mean_difference
from models.simulation.shop import ShopConfig, simulate
from models.text.encoder import load_encoder
from models.training.capture_fit import PopularTimes, fit_capture, long_shares, teaching

CLUSTERS = Path(__file__).with_name("capture_p5_beauty.json")
N_CLUSTERS = 64
N_BINS = 15
N_RESAMPLES = 1000
SMOOTHING = (0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
SETS = ("movietweetings", "p5-beauty", "shop")
STEADY = ShopConfig(drift_days=1000, long_change=0, events_per_user=80)
"""A shop whose users keep their interests, and have enough events to show them."""
LEAST_EVENTS = 40
N_DRIFTED, N_BEFORE, N_AFTER = 300, 20, 5
Texts = tuple[Floats, Floats] | tuple[()]


@dataclass(frozen=True)
class Case:
    """Held-out events with what may be known before them.

    rows: of `events`; known: the events from which transitions and overall popularity are learnt; live: the events that make items popular
    now, those before each row.
    """

    events: Events
    rows: Ints
    known: Events
    live: Events

    def popular(self, shares: csr_matrix) -> tuple[Floats, Ints]:
        """What is popular at each row, by known events: shares [times, interests, POPULAR_H], and the place of each row."""
        times = PopularTimes.over(self.live, shares, one_group(shares), self.events.time[self.rows])
        return times.shares, times.place(self.events.time[self.rows])

    def targets(self, shares: csr_matrix) -> Floats:
        """Shares of the interests of each row's item [rows, interests]."""
        return np.asarray(shares[self.events.item[self.rows]].todense(), np.float32)


def one_group(shares: csr_matrix) -> Ints:
    """All interests compete with each other."""
    return np.zeros(shares.shape[1], np.int64)


def baselines(case: Case, shares: csr_matrix, near: csr_matrix) -> dict[str, Callable[[float], Floats]]:
    """Each baseline: its probabilities [rows, interests], given how much it is smoothed."""
    overall = np.asarray(shares[case.known.item].sum(0), np.float32).ravel() + 1e-3
    overall /= overall.sum()
    popular, place = case.popular(shares)
    tables, moments = Tables.learn(case.known, shares, one_group(shares), near), Moments.before(case.events, case.rows)
    parts = [Evidence.of(case.events, moments[b], shares, tables, one_group(shares)) for b in blocks(len(moments), shares.shape[1])]
    found = np.concatenate([part.counts for part in parts])
    start = case.events.offsets[case.events.user[case.rows]]
    _, row = ragged_rows(start, case.rows)
    indptr = np.concatenate([[0], np.cumsum(case.rows - start)])
    spread = csr_matrix((case.events.weight[row], case.events.item[row], indptr), shape=(len(start), case.events.n_items))
    counted = np.asarray((spread @ shares).todense(), np.float32)

    def smoothed(counts: Floats, usual: Floats) -> Callable[[float], Floats]:
        return lambda n: (counts + n * usual) / (counts.sum(1, keepdims=True) + n)

    def source(name: str) -> Floats:
        return found[:, :, SOURCES.index(name)]

    def unsmoothed(probability: Floats) -> Callable[[float], Floats]:
        return lambda _: probability

    now = {hours: popular[place, :, column] for column, hours in enumerate(POPULAR_H)}
    return {
        "popularity": unsmoothed(np.tile(overall, (len(case.rows), 1))),
        **{f"popular {hours:g} h": unsmoothed(probability) for hours, probability in now.items()},
        "counts": smoothed(counted, overall),
        "counts, popular now": smoothed(counted, now[POPULAR_H[1]]),
        "last items": smoothed(source("last_10"), overall),
        "transitions": smoothed(source("after_last_3"), overall),
        **({"zero-shot": smoothed(source("near_last_3"), overall)} if near.nnz else {}),
    }


def tuned(validation: Case, test: Case, shares: csr_matrix, near: csr_matrix) -> dict[str, Floats]:
    """Probabilities of each baseline for the test rows, smoothed as is best on validation."""
    out, target = {}, validation.targets(shares)
    of_test = baselines(test, shares, near)
    for name, predict in baselines(validation, shares, near).items():
        losses = [cross_entropy(predict(n), target).mean() for n in SMOOTHING]
        out[name] = of_test[name](SMOOTHING[int(np.argmin(losses))])
    return out


def cross_entropy(probability: Floats, target: Floats) -> Floats:
    return -(target * np.log(np.maximum(probability, 1e-12))).sum(1)


def recall_at_3(probability: Floats, target: Floats) -> Floats:
    top = np.argpartition(-probability, 2, axis=1)[:, :3]
    return np.take_along_axis(target, top, 1).sum(1)


def calibration_error(probability: Floats, target: Floats) -> float:
    """Mean absolute difference of mean probability and mean share over N_BINS bins of as many predictions, ordered by probability."""
    order = np.argsort(probability, kind="stable")
    gaps = [abs(probability[part].mean() - target[part].mean()) * len(part) for part in np.array_split(order, N_BINS) if len(part)]
    return float(np.sum(gaps) / max(len(order), 1))


def rows_of_set(name: str, horizon: str, ways: dict[str, Floats], target: Floats, user: Ints, seed: int) -> list[dict[str, object]]:
    """A row for each way; the first is the capture."""
    out, (first, *_) = [], ways
    for way, probability in ways.items():
        top = probability.argmax(1)
        index = np.arange(len(top))
        row: dict[str, object] = {"data": name, "horizon": horizon, "way": way, "n": len(target)}
        row["cross_entropy"] = round(float(cross_entropy(probability, target).mean()), 4)
        row["recall_at_3"] = round(float(recall_at_3(probability, target).mean()), 4)
        row["ece"] = round(calibration_error(probability[index, top], target[index, top]), 4)
        row["ece_all"] = round(calibration_error(probability.ravel(), target.ravel()) * target.shape[1], 4)
        less = mean_difference(cross_entropy(ways[first], target), cross_entropy(probability, target), user, N_RESAMPLES, seed)
        out.append(row | {key: round(value, 4) for key, value in zip(("less", "low", "high"), vars(less).values(), strict=True)})
    return out


def judge(name: str, validation: Case, test: Case, shares: csr_matrix, since: int, texts: Texts, seed: int) -> list[dict[str, object]]:
    """The rows of one data set. The fit knows what the test knows; its validation period begins at `since`. texts: vectors."""
    started, group = time.perf_counter(), one_group(shares)
    capture = fit_capture(test.known, shares, group, since, seed, *texts)
    print(f"{name}: fitted in {time.perf_counter() - started:.1f} s on {torch.get_num_threads()} threads")
    near = near_texts(*texts, group) if texts else csr_matrix(shares.shape, dtype=np.float32)
    counted = tuned(validation, test, shares, near)
    targets = {"short": test.targets(shares), "long": long_shares(test.events, test.rows, shares, group)}
    if np.array_equal(targets["short"], targets["long"]):
        del targets["long"]
    popular, place = test.popular(shares)
    found = capture.at(test.events, shares, Moments.before(test.events, test.rows), popular, place).exp().numpy()
    rows: list[dict[str, object]] = []
    for horizon, target in targets.items():
        ways = {"capture": found[HORIZONS.index(horizon)], **counted}
        rows += rows_of_set(name, horizon, ways, target, test.events.user[test.rows], seed)
    return rows


def movietweetings(folder: Path, seed: int) -> list[dict[str, object]]:
    items = pl.read_parquet(folder / "items.parquet").with_row_index("item")
    genres = (
        items.select("item", pl.col("genres").str.split("|"))
        .explode("genres", empty_as_null=False)
        .filter(~pl.col("genres").str.starts_with("("))
    )
    names = genres["genres"].unique().sort().to_list()
    table = members(genres["item"].to_numpy(), genres["genres"].replace_strict(names, range(len(names))).to_numpy(), len(items), len(names))
    shares = (diags(1 / np.maximum(np.asarray(table.sum(1)).ravel(), 1)) @ table).tocsr().astype(np.float32)
    events = events_of(pl.read_parquet(folder / "interactions.parquet").sort("timestamp", maintain_order=True), items)
    split = TemporalSplit.by_quantile(events.time, 0.8, 0.1)
    rows = teaching(events, shares)
    time_s, known = events.time[rows], events.before(split.test_from)
    is_validation = (time_s >= split.validation_from) & (time_s < split.test_from)
    validation = Case(events, rows[is_validation], events.before(split.validation_from), known)
    test = Case(events, rows[time_s >= split.test_from], known, events)
    return judge("movietweetings", validation, test, shares, split.validation_from, (), seed)


def p5_beauty(folder: Path, seed: int) -> list[dict[str, object]]:
    items = pl.read_parquet(folder / "items.parquet").with_row_index("item")
    table = pl.read_parquet(folder / "interactions.parquet").sort("user_id", "pos")
    when = pl.col("timestamp").forward_fill().backward_fill().cum_max().over("user_id")  # some have no time, or one before their place
    events = events_of(table.with_columns(timestamp=when), items)
    cluster = np.array(json.loads(CLUSTERS.read_text(encoding="utf-8")))
    has_title = np.flatnonzero(cluster >= 0)
    shares = members(has_title, cluster[has_title], len(items), N_CLUSTERS)
    text = titles(items)
    last, is_clustered = events.offsets[1:] - 1, cluster[events.item] >= 0
    known = [events.where(~np.isin(np.arange(len(events)), held_out)) for held_out in (np.concatenate([last - 1, last]), last)]
    cases = [Case(events, rows[is_clustered[rows]], of, of) for rows, of in zip((last - 1, last), known, strict=True)]
    since = int(np.quantile(known[1].time, 0.9))
    return judge("p5-beauty", cases[0], cases[1], shares, since, (text, unit(shares.T @ text)), seed)


def titles(items: pl.DataFrame) -> Floats:
    """Vectors of the titles; zero where there is none."""
    text = [title or "" for title in items["title"]]
    vectors: Floats = load_encoder(EncoderConfig(), torch.device("cpu")).encode(text, progress=True)
    return vectors * (items["title"].fill_null("") != "").to_numpy()[:, None]


def unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def write_clusters(folder: Path, seed: int) -> None:
    """Cluster the titles by k-means, and keep the cluster of each item, -1 without a title."""
    items = pl.read_parquet(folder / "items.parquet")
    text = titles(items)
    has_title = np.abs(text).sum(1) > 0
    means = faiss.Kmeans(text.shape[1], N_CLUSTERS, niter=25, seed=seed)
    means.train(text[has_title])
    cluster = np.full(len(items), -1)
    cluster[has_title] = means.index.search(text[has_title], 1)[1][:, 0]
    CLUSTERS.write_text(json.dumps(cluster.tolist()), encoding="utf-8")


def shop_events(config: ShopConfig, seed: int) -> tuple[Events, csr_matrix, np.ndarray]:
    """(events, shares of the leaves [items, leaves], planted probability of each leaf at the end [users, leaves])."""
    shop = simulate(config, seed)
    items = shop.items.select("item_id", leaf=pl.col("categories").list.get(-1)).with_row_index("item")
    leaves = items["leaf"].unique().sort().to_list()
    number = dict(zip(leaves, range(len(leaves)), strict=True))
    shares = members(np.arange(len(items)), items["leaf"].replace_strict(number).to_numpy(), len(items), len(leaves))
    behaviour = shop.events.filter(pl.col("item_id").is_not_null()).with_columns(timestamp=pl.col("occurred_at").dt.epoch("s"))
    events = events_of(behaviour.sort("timestamp", maintain_order=True), items)
    user = {user_id: n for n, user_id in enumerate(behaviour["user_id"].unique().sort())}
    planted = np.zeros((len(user), len(leaves)))
    lasts = pl.col("until") >= pl.lit(config.end) - timedelta(seconds=1)
    at_the_end = shop.truth.interests.filter(lasts, pl.col("user_id").is_in(list(user)))
    for user_id, leaf, probability in at_the_end.select("user_id", "leaf", "probability").iter_rows():
        planted[user[user_id], number[leaf]] += probability
    return events, shares, planted


def ordered_alike(planted: np.ndarray, found: np.ndarray) -> float:
    """Goodman and Kruskal's gamma: of the pairs that the plan orders, the share in the same order less the share in the other one.

    Most leaves have the planted probability 0, so Spearman's coefficient of a perfect answer would be far below 1.
    """
    is_above = planted[:, None] > planted
    difference = (found[:, None] - found)[is_above]
    return float((np.sign(difference)).mean())


def recovered(name: str, config: ShopConfig, seed: int) -> dict[str, object]:
    """How well the interests of users with at least LEAST_EVENTS events are recovered: mean over users."""
    events, shares, planted = shop_events(config, seed)
    capture = fit_capture(events, shares, one_group(shares), int(np.quantile(events.time, 0.85)), seed)
    found = capture.posterior(events, shares, events.n_users, int(events.time.max()) + 1)
    users = np.flatnonzero(np.diff(events.offsets) >= LEAST_EVENTS)
    row: dict[str, object] = {"data": name, "n": len(users)}
    for horizon, probability in zip(HORIZONS, found, strict=True):
        row[horizon] = round(float(np.mean([ordered_alike(planted[user], probability[user]) for user in users])), 3)
    spread = csr_matrix((np.ones(len(events)), (events.user, events.item)), shape=(events.n_users, events.n_items))
    is_seen, usual = (spread @ shares).toarray()[users] > 0, np.asarray(shares[events.item].mean(0)).ravel()
    known = np.where(is_seen, planted[users], 0) + 1e-6 * usual
    row["unseen"] = round(float((~is_seen & (planted[users] > 0)).sum() / (planted[users] > 0).sum()), 3)
    row["known_order"] = round(float(np.mean([ordered_alike(*each) for each in zip(planted[users], known, strict=True)])), 3)
    return row | drifted(capture, events, shares, seed)


def drifted(capture: Capture, events: Events, shares: csr_matrix, seed: int) -> dict[str, object]:
    """Share of drifted users whose new interest is more probable than the old one at the short horizon, after each of N_AFTER events.

    Each has the last N_BEFORE events of one user, then N_AFTER of another, all on one leaf that is new to them; the old interest is the
    most frequent leaf before.
    """
    rng, leaf = np.random.default_rng(seed), shares.indices[events.item]
    able = np.flatnonzero(np.diff(events.offsets) >= N_BEFORE)
    first = np.arange(len(events) - N_AFTER + 1)
    is_same = [(leaf[first + n] == leaf[first]) & (events.user[first + n] == events.user[first]) for n in range(N_AFTER)]
    runs = np.flatnonzero(np.all(is_same, axis=0))
    parts: list[tuple[Ints, Ints]] = []
    pairs: list[tuple[int, int]] = []
    while len(pairs) < N_DRIFTED:
        end = events.offsets[rng.choice(able) + 1]
        before, after = np.arange(end - N_BEFORE, end), rng.choice(runs) + np.arange(N_AFTER)
        if leaf[after[0]] in leaf[before]:
            continue
        shift = events.time[before[-1]] + 3600 - events.time[after[0]]
        parts.append((events.item[np.append(before, after)], np.append(events.time[before], events.time[after] + shift)))
        pairs.append((int(np.bincount(leaf[before]).argmax()), int(leaf[after[0]])))
    item, time_s = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    user = np.repeat(np.arange(N_DRIFTED), N_BEFORE + N_AFTER)
    zeros, weight = np.zeros(len(item), np.int64), np.ones(len(item), np.float32)
    joined = Events(user, item, zeros, time_s, weight, N_DRIFTED, events.n_items, 1)
    popular, old_new = capture.popular.shares(capture.group)[None], np.array(pairs)
    index, shares_of = np.arange(N_DRIFTED), {}
    for n in range(1, N_AFTER + 1):
        stop = joined.offsets[:-1] + N_BEFORE + n
        moments = Moments(index, joined.time[stop - 1] + 60, stop)
        short = capture.at(joined, shares, moments, popular, np.zeros(N_DRIFTED, np.int64))[0].numpy()
        shares_of[f"after {n}"] = round(float((short[index, old_new[:, 1]] > short[index, old_new[:, 0]]).mean()), 3)
    return dict(shares_of)


def members(item: np.ndarray, interest: np.ndarray, n_items: int, n_interests: int) -> csr_matrix:
    """1 for each item that has an interest, sparse [items, interests]."""
    return csr_matrix((np.ones(len(item), np.float32), (item, interest)), shape=(n_items, n_interests))


def events_of(rows: pl.DataFrame, items: pl.DataFrame) -> Events:
    """Events of a table with user_id, item_id and timestamp, in order within each user; all weigh the same."""
    table = rows.join(items.select("item_id", "item"), on="item_id", maintain_order="left").with_columns(
        user=pl.col("user_id").rank("dense").cast(pl.Int64) - 1
    )
    user, item, time_s = (table[column].cast(pl.Int64).to_numpy() for column in ("user", "item", "timestamp"))
    kind, weight = np.zeros(len(table), np.int64), np.ones(len(table), np.float32)
    return Events.build(user, item, kind, time_s, weight, n_items=len(items), n_kinds=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--clusters", action="store_true", help="cluster the titles of p5-beauty again")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    faiss.omp_set_num_threads(options.threads)
    if options.clusters:
        write_clusters(options.data / "p5-beauty", options.seed)
    rows: list[dict[str, object]] = []
    for name, measure in {"movietweetings": movietweetings, "p5-beauty": p5_beauty}.items():
        if name in options.only:
            rows += [row for each in there([name], options.data) for row in measure(options.data / each, options.seed)]
    if rows:
        keep("capture", rows)
    if "shop" in options.only:
        shops = {"interests that stay": STEADY, "interests that change": ShopConfig()}
        keep("capture_shop", [recovered(name, config, options.seed) for name, config in shops.items()])


if __name__ == "__main__":
    main()
