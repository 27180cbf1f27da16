"""Each source of the score switched off in turn, and sources that might join: python -m bench.sources [--only shop movietweetings].

Test events of the night's own split, fixed epochs. novelty: mean -log2 of the share of all earlier events that a listed item has.
Candidates are judged on the validation period, fitted on one half of its users and judged on the other: `interests` (how much more than
everybody a user is interested in what the item is about) and `walks` (from an item of the history to items that the same users had).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.table import keep, there
from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.evaluation.comparison import rank_recommender
from models.evaluation.evaluator import list_vectors
from models.evaluation.item_knn import ItemKnn
from models.events import Floats, Ints, sample
from models.interests.discovery import discover
from models.interests.profiles import Moments
from models.interests.vocabulary import TOPIC
from models.metrics.intervals import mean_difference
from models.ranking.blend import GATES, Blend, ItemState, combine
from models.ranking.sources import NEW
from models.simulation.shop import ShopConfig, simulate
from models.text.encoder import load_encoder
from models.training.capture_fit import PopularTimes, fit_capture
from models.training.optimise import minimise
from tasks.config import IngestConfig
from tasks.encoding import encode_changed_items
from tasks.ingest.ingestion import ingest
from tasks.ingest.sources import ColumnMapping
from tasks.interests.descriptions import descriptions
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot
from tasks.night.dataset import Dataset, load_dataset
from tasks.night.learning import FittedNight, learn
from tasks.night.words import learn_words
from tasks.searches import read_search_log

OF_SOURCE = {"sequence": ("sequence", "sequence_cold", "item_mean"), "popularity": ("popularity",), "new": NEW}
N_ROWS = 2000
SET = "movietweetings"


def fill(lake: Lake, name: str, data: Path, folder: Path, seed: int) -> None:
    """Take in the events and items of one data set."""
    if name == SET:
        config, genres = IngestConfig(), ColumnMapping(columns={"categories": "genres"}, separator="|")
        ingest(lake, "events", [str(data / name / "interactions.parquet")], ColumnMapping(), config)
        ingest(lake, "items", [str(data / name / "items.parquet")], genres, config)
        return
    found = simulate(ShopConfig(), seed)
    found.items.write_parquet(folder / "items.parquet")
    found.events.write_parquet(folder / "events.parquet")
    ingest(lake, "items", [str(folder / "items.parquet")], ColumnMapping(), IngestConfig())
    ingest(lake, "events", [str(folder / "events.parquet")], ColumnMapping(), IngestConfig())


def without(blend: Blend, source: str) -> Blend:
    """The blend without the terms of one source."""
    if source == "repeats":
        return replace(blend, repeat=np.zeros_like(blend.repeat))
    gate = blend.gate.copy()
    gate[:, [GATES.index(name) for name in OF_SOURCE.get(source, ())]] = 0
    return replace(blend, gate=gate)


def switched_off(name: str, learnt: FittedNight, words: object, config: EvaluationConfig, seed: int) -> list[dict[str, object]]:
    """A row for the whole blend, and one for each source without it."""
    task, fit = learnt.task, learnt.fit
    known = np.bincount(task.train.item, minlength=task.evaluator.events.n_items) + 1
    surprise = -np.log2(known / known.sum())
    user, whole = task.evaluator.events.user[task.test], None
    rows: list[dict[str, object]] = []
    for source in ("nothing", "sequence", "popularity", "new", "repeats", "search"):
        if source == "repeats" and task.evaluator.hide_seen:
            continue
        evaluator = task.evaluator.without_searches() if source == "search" else task.evaluator
        ranking = rank_recommender(evaluator, fit.weights, without(fit.blend, source), task.test, words)  # type: ignore[arg-type]
        whole = ranking if whole is None else whole
        loss = mean_difference(ranking.ndcg_at_10, whole.ndcg_at_10, user, config.n_bootstrap, seed)
        rows.append(
            {
                "data": name,
                "without": source,
                "ndcg_at_10": round(float(ranking.ndcg_at_10.mean()), 4),
                "change": f"{loss.low:+.4f} to {loss.high:+.4f}",
                "coverage": round(ranking.coverage_at_10(len(known)), 3),
                "novelty": round(float(surprise[ranking.top[ranking.top >= 0]].mean()), 2),
            }
        )
    return rows


Term = Callable[[Ints], Tensor]


def interest_term(lake: Lake, data: Dataset, learnt: FittedNight, seed: int) -> Term | None:
    """Log of how much more a user is interested in the topics of each item than everybody is; learnt before the validation period."""
    found = discover(
        descriptions(lake, data.catalog.item_ids, data.snapshot),
        data.catalog.text,
        load_encoder(EncoderConfig(), torch.device("cpu")).encode,
        seed,
        data.catalog.item_ids,
    )
    if found is None:
        return None
    events, group, past = data.events, found.group_numbers, data.events.before(learnt.held_out_from)
    capture = fit_capture(past, found.shares, group, int(np.quantile(past.time, 0.85)), seed)
    topics = found.group_rows[TOPIC]
    members = torch.from_numpy(found.shares[:, topics].toarray())

    def term(rows: Ints) -> Tensor:
        times = PopularTimes.over(events, found.shares, group, events.time[rows])
        place = times.place(events.time[rows])
        short = capture.at(events, found.shares, Moments.before(events, rows), times.shares, place)[0].exp()[:, topics]
        usual = torch.from_numpy(times.shares.mean(-1)[place][:, topics]).clamp_min(1e-6)
        lift = (short / usual) @ members.T
        return torch.where(members.sum(1) > 0, lift.clamp_min(1e-3).log(), 0.0)

    return term


def walk_term(learnt: FittedNight) -> Term:
    """Log of one plus the votes of the items of the history for the items that the same users had, before the validation period."""
    events, knn = learnt.evaluator.events, ItemKnn(learnt.evaluator.events.before(learnt.held_out_from))

    def term(rows: Ints) -> Tensor:
        votes = torch.from_numpy(knn.score(events, *learnt.evaluator.histories(rows))).clamp_min(0)
        return (votes / votes.amax(1, keepdim=True).clamp_min(1e-9)).log1p()

    return term


def joined(name: str, source: str, learnt: FittedNight, term: Term, config: EvaluationConfig, seed: int) -> dict[str, object]:
    """What a candidate would gain on validation, with a gate that depends on the user."""
    evaluator, fit = learnt.evaluator, learnt.fit
    rows = sample(learnt.task.validation, N_ROWS, seed)
    items = fit.weights.item_vectors()
    vectors, mean_score = list_vectors(fit.weights.model, evaluator, rows), items @ fit.weights.mean_vector
    known, extra, users, order = [], [], [], []
    for members, features in evaluator.blocks(rows):
        state = ItemState(features, mean_score, fit.weights.is_cold)
        who = evaluator.users(members, fit.blend)
        sequence = vectors[torch.from_numpy(np.searchsorted(rows, members))] @ items.T
        scores = combine(fit.blend, who, {"sequence": sequence}, state, evaluator.repeats(members))
        target = torch.from_numpy(evaluator.events.item[members])[:, None]
        of_target = scores.gather(1, target)
        seen = evaluator.seen(members)
        if seen is not None:
            scores[torch.from_numpy(seen[0]), torch.from_numpy(seen[1])] = -torch.inf
        scores.scatter_(1, target, of_target)
        known.append(scores)
        extra.append(term(members))
        users.append(who)
        order.append(members)
    scores, value, who, members = torch.cat(known), torch.cat(extra), torch.cat(users), np.concatenate(order)
    target = torch.from_numpy(evaluator.events.item[members])[:, None]
    user = evaluator.events.user[members]

    def ndcg(gate: Tensor, rows: Tensor) -> Floats:
        total = scores[rows] + (who[rows] @ gate)[:, None] * value[rows]
        rank = (total >= total.gather(1, target[rows])).sum(1)
        return torch.where(rank <= 10, 1 / torch.log2(rank + 1.0), torch.zeros(())).numpy()

    def fitted(rows: Tensor) -> Tensor:
        def loss(gate: Tensor) -> Tensor:
            total = scores[rows] + (who[rows] @ gate)[:, None] * value[rows]
            return -total.log_softmax(1).gather(1, target[rows]).mean() + 1e-3 * (gate**2).sum()

        return minimise(loss, torch.zeros(who.shape[1]))

    found, plain = np.empty(len(user), np.float32), ndcg(torch.zeros(who.shape[1]), torch.arange(len(user)))
    for half in np.array_split(np.random.default_rng(seed).permutation(np.unique(user)), 2):
        is_judged = torch.from_numpy(np.isin(user, half))
        found[is_judged.numpy()] = ndcg(fitted(torch.nonzero(~is_judged).flatten()), torch.nonzero(is_judged).flatten())
    gain = mean_difference(found, plain, user, config.n_bootstrap, seed)
    figures = {"ndcg_at_10": round(float(plain.mean()), 4), "gain": round(gain.difference, 4)}
    return {"data": name, "candidate": source, "n": len(user), **figures, "low": round(gain.low, 4), "high": round(gain.high, 4)}


def measure(name: str, data_folder: Path, epochs: int, seed: int) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The rows of switched-off sources, and those of candidates."""
    encoder, evaluation = EncoderConfig(), EvaluationConfig()
    with tempfile.TemporaryDirectory() as folder:
        lake = locate(LakeConfig(), Path(folder))
        migrate(lake)
        fill(lake, name, data_folder, Path(folder), seed)
        key = encode_changed_items(lake, encoder, progress=False).encoder
        data = load_dataset(lake, newest_snapshot(lake), IngestConfig().event_weights, key)
        searches = read_search_log(lake, data.snapshot, encoder, key)
        train = TrainConfig(max_epochs=epochs, minutes=600.0)
        learnt = learn(data, RecommenderConfig(), train, evaluation, seed, searches=searches)
        words = None if searches is None else learn_words(lake, data, learnt, encoder, seed)
        words = words and words.before_hold_out(data.text)
        terms = {"interests": interest_term(lake, data, learnt, seed), "walks": walk_term(learnt)}
        candidates = [joined(name, source, learnt, term, evaluation, seed) for source, term in terms.items() if term is not None]
    return switched_off(name, learnt, words, evaluation, seed), candidates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", nargs="+", default=["shop", SET], choices=["shop", SET])
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = [name for name in options.only if name == "shop" or there([name], options.data)]
    found = [measure(name, options.data, options.epochs, options.seed) for name in names]
    keep("sources", [row for rows, _ in found for row in rows])
    keep("candidates", [row for _, rows in found for row in rows])


if __name__ == "__main__":
    main()
