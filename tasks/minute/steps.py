"""Model work of a minute run, between lake and registry: predict the new events, learn them, rank the affected users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from models.config import IncrementConfig
from models.events import Floats, Ints, join_users
from models.metrics.segments import segment_masks
from models.metrics.summary import summarise
from models.online.gate import UpdateDecision
from models.online.increment import learn, with_popularity
from models.online.prequential import Predictions, Queries, predict, rank_popular
from models.online.step import Step
from models.ranking.blend import log_trend
from models.ranking.neighbours import neighbours, neighbours_of
from models.ranking.prior import HALF_LIVES_H
from models.ranking.scorer import best_popularity_column, newly_popular_items, offsets_of
from models.results import MetricRow, Neighbours, RankedLists, SeenItems
from models.sequence.weights import LIST_DELAY_S
from models.text.requests import ItemWords
from models.version import checkpoint as checkpoints
from models.version.checkpoint import Checkpoint
from tasks.config import PublishConfig
from tasks.interests.found import find, spoken_of, with_descriptions, with_popular_interests
from tasks.interests.rows import FoundInterests
from tasks.lake import ANYONE, Lake, reading, statement
from tasks.minute.feed import News, histories_events, make_step
from tasks.minute.pacing import UsersToRefresh
from tasks.privacy.owners import owners_of
from tasks.scenarios.resolved import Place, Places, ScenarioLists, place_without_rules
from tasks.searches import as_searches, last_searches

RECENT = HALF_LIVES_H.index(24.0)
MAX_NEIGHBOURS = 10
N_VISIBLE = 10
"""Number of most popular items, which appear in many lists."""
FLOOR_TOLERANCE = 1e-3
"""Tolerance for the drift of item vectors since the last nightly run, which computes all neighbours."""


@dataclass(frozen=True)
class State:
    """The live and the nightly model on one catalog, and the news. n_known_items: catalog rows before this run.

    shown: the model of the newest lists: the live version plus the popularity of events whose update was discarded.
    news: includes the trend of each event, which goes into the histories. returned: rows of the items that are available again.
    floors: result of sql/minute/neighbour_floors.sql; None if the availability of no known item changed.
    searched: the last published search of the users of the step; None if the model has no words.
    """

    live: Checkpoint
    shown: Checkpoint
    night: Checkpoint
    step: Step
    news: News
    n_known_items: int
    is_warm_item: np.ndarray
    returned: Ints
    floors: pl.DataFrame | None
    searched: pl.DataFrame | None = None
    owners: Ints | None = None


@dataclass(frozen=True)
class PrequentialScores:
    """Metrics of predicting the new events, by model and non-empty segment, and the live model's predictions for learning."""

    rows: list[MetricRow]
    live: Predictions


@dataclass(frozen=True)
class UpdatedModel:
    """The model after learning. checkpoint: makes the lists and has the current popularity; registered only if decision.passed."""

    checkpoint: Checkpoint
    decision: UpdateDecision


@dataclass(frozen=True)
class Audience:
    """Who gets a list besides the users with new events.

    others: their histories, as News.histories. searching: those of them with new searches or merged ids. searched: the last search of all
    these users and of those with new events, as tasks.searches.last_searches; None counts as none.
    """

    to_refresh: UsersToRefresh
    others: pl.DataFrame
    searching: tuple[str, ...] = ()
    searched: pl.DataFrame | None = None


@dataclass(frozen=True)
class MinuteLists:
    """The lists that a minute run publishes. similar: neighbours of the catalog rows in similar_of.

    in_places: the lists of scenarios besides `default`. barred: by scenario, whether each item must be in no list.
    """

    users: RankedLists
    fallback: RankedLists
    similar_of: Ints
    similar: Neighbours
    seen_items: SeenItems
    in_places: Sequence[ScenarioLists] = ()
    barred: Mapping[str, np.ndarray] = field(default_factory=dict)


def prepare(lake: Lake, live_folder: Path, night_folder: Path, news: News, encoder_key: str) -> State:
    """Load the live and the nightly model, add the new items to both, and number users, items and event types."""
    live, night = checkpoints.load(live_folder), checkpoints.load(night_folder)
    n_known = len(live.catalog)
    row = {item_id: n for n, item_id in enumerate(live.catalog.item_ids)}
    new_ids = [item_id for item_id in news.item_ids if item_id not in row]
    text_dim, described = len(live.whitening.centre), [item_id for item_id in news.items["item_id"] if item_id in row]
    texts = _texts(lake, [*new_ids, *described], encoder_key, text_dim) if live.encoder == encoder_key else {}
    said = _said(lake, [*new_ids, *described])
    live = checkpoints.with_new_items(live, new_ids, _placed(new_ids, texts, text_dim), [said.get(each, ("", ())) for each in new_ids])
    row |= {item_id: n_known + n for n, item_id in enumerate(new_ids)}
    was_available = live.catalog.is_available
    live = checkpoints.with_new_descriptions(
        live,
        {row[i]: texts[i] for i in news.items["item_id"] if i in texts},
        _availability(news, row),
        {row[i]: words for i, words in said.items()},
    )
    live = with_descriptions(lake, live, news.items["item_id"].to_list(), news.snapshot, texts)
    changed = np.flatnonzero((was_available != live.catalog.is_available)[:n_known])
    returned = changed[live.catalog.is_available[changed]]
    floors = _floors(lake, [live.catalog.item_ids[n] for n in np.setdiff1d(changed, returned)]) if len(changed) else None
    as_of = max(live.as_of, int(news.events["time_s"].max() or 0) + 1)  # type: ignore[arg-type]
    news = with_trends(news, live, row)
    step = make_step(news, row, live.kinds, len(row), as_of)
    waits = step.is_due & ~step.is_new
    newest = max(live.as_of, int(step.events.time[waits].max(initial=0)) + 1)
    shown = with_popularity(live, step.events, waits, newest) if waits.any() else live
    online = night.online
    counts = np.zeros(0) if online is None else online.popularity.counts[-1]
    is_warm_item = np.pad(counts > 0, (0, len(row) - len(counts)))
    searched = None if live.words is None or not step.user_ids else last_searches(lake, step.user_ids, live.encoder)
    owners = owners_of(lake.home, step.user_ids)
    return State(live, shown, checkpoints.on_catalog_of(night, live), step, news, n_known, is_warm_item, returned, floors, searched, owners)


def _floors(lake: Lake, withdrawn: Sequence[str]) -> pl.DataFrame:
    with reading(lake) as con:
        con.register("withdrawn", pl.DataFrame({"item_id": pl.Series(list(withdrawn), dtype=pl.String)}))
        return con.execute(statement("minute/neighbour_floors")).pl()


def with_trends(news: News, live: Checkpoint, row: dict[str, int]) -> News:
    """The news with the trend of each event's item before the new events."""
    if live.online is None or news.events.is_empty():
        return news
    trend = log_trend(live.online.popularity.counts)[[row[item_id] for item_id in news.events["item_id"]]]
    return replace(news, events=news.events.with_columns(trend=pl.Series(trend, dtype=pl.Float32)))


def _availability(news: News, row: dict[str, int]) -> dict[int, bool]:
    return {row[item_id]: is_available for item_id, is_available in news.items.select("item_id", "is_available").iter_rows()}


def _texts(lake: Lake, item_ids: Sequence[str], encoder_key: str, text_dim: int) -> dict[str, np.ndarray]:
    """Text vectors of the given items, if their dimension fits the model. A model trained without any text accepts none."""
    if not item_ids:
        return {}
    with reading(lake) as con:
        con.register("wanted", pl.DataFrame({"item_id": pl.Series(list(item_ids), dtype=pl.String)}))
        found = con.execute(statement("minute/text_vectors"), {"encoder": encoder_key}).fetchall()
    return {str(item_id): np.array(vector, np.float32) for item_id, vector in found if len(vector) == text_dim}


def _said(lake: Lake, item_ids: Sequence[str]) -> dict[str, ItemWords]:
    """Title and labels of the given items, where they are described."""
    if not item_ids:
        return {}
    with reading(lake) as con:
        con.register("wanted", pl.DataFrame({"item_id": pl.Series(list(item_ids), dtype=pl.String)}))
        found = con.execute(statement("minute/item_words")).fetchall()
    return {item_id: (title, labels) for item_id, title, labels in found}


def _placed(item_ids: Sequence[str], texts: dict[str, np.ndarray], dim: int) -> Floats:
    out = np.zeros((len(item_ids), dim), np.float32)
    for row, item_id in enumerate(item_ids):
        if item_id in texts:
            out[row] = texts[item_id]
    return out


def predict_events(state: State, config: IncrementConfig) -> PrequentialScores:
    """Score the current lists on the new events, before learning from them."""
    step, live = state.step, state.shown
    known = step.events.where(~step.is_new)
    rows = np.flatnonzero(step.is_new)
    user, item = step.events.user[rows], step.events.item[rows]
    now = np.full(len(step.user_ids), live.as_of + LIST_DELAY_S)
    searches = None if state.searched is None else as_searches(state.searched, step.user_ids, len(live.whitening.centre))
    queries = Queries(known, now, step.trend[~step.is_new], user, item, step.earlier, searches)
    by_live = predict(live.scorer(), queries, config.blend_candidates if config.blend_rows else 0)
    rankings = {
        "live": by_live.ranking,
        "nightly": predict(state.night.scorer(), queries).ranking,
        "recent_popular": rank_popular(_offered(live)[:, RECENT], queries, hide_seen=live.hide_seen),
    }
    warm_user = np.diff(offsets_of(known, len(step.user_ids)))[user] > 0
    figures = summarise(rankings, segment_masks(warm_user, state.is_warm_item[item]))
    return PrequentialScores([row for row in figures if row.value is not None], by_live)


def _offered(version: Checkpoint) -> Floats:
    """Popularity [items, features]; minus infinity for unavailable items, which lists leave out too."""
    return np.where(version.catalog.is_available[:, None], version.popularity, -np.inf)


def update_model(state: State, scored: PrequentialScores, config: IncrementConfig, seed: int) -> UpdatedModel:
    """The model after learning the due events; if the gate discards the update, the old weights with the current popularity."""
    step = state.step
    learnt, decision = learn(
        state.live, state.night, step.events, step.is_due, step.as_of, scored.live.candidates, config, seed, state.owners
    )
    updated = learnt if decision.passed else with_popularity(state.live, step.events, step.is_due, step.as_of)
    return UpdatedModel(with_popular_interests(updated, step.events.where(step.is_due), step.as_of), decision)


def affected_items(state: State, learnt: UpdatedModel, *, allows_others: bool = False) -> list[str]:
    """Items that may make lists stale: new or suddenly popular items, their nearest neighbours, and changed or withdrawn items.

    An item that is available again counts as new. If it is among the most popular items, it may belong in any list, so all of those are
    added. ANYONE among the items means that users without a list get one. allows_others: whether scenarios may allow other items than
    at the last publication.
    """
    catalog, described = state.live.catalog, state.news.items.filter("is_new")["item_id"].to_list()
    if allows_others:
        described = [*described, ANYONE]
    rows = newly_popular_items(state.shown.popularity, learnt.checkpoint.popularity, learnt.checkpoint.blend)
    rows = np.union1d(rows, np.concatenate([np.arange(state.n_known_items, len(catalog)), state.returned]))
    if not len(rows):
        return described
    near = neighbours_of(learnt.checkpoint.live.item_vectors(), rows, catalog.is_available, MAX_NEIGHBOURS)
    rows = np.union1d(rows, near.item[near.item >= 0])
    if len(state.returned):
        share = np.where(catalog.is_available, learnt.checkpoint.popularity[:, best_popularity_column(learnt.checkpoint.blend)], -1)
        visible = np.argsort(-share, kind="stable")[:N_VISIBLE]
        if np.isin(visible, state.returned).any():
            rows = np.union1d(rows, visible)
        described = [*described, ANYONE]
    return [*described, *(catalog.item_ids[row] for row in rows)]


def rank(state: State, learnt: UpdatedModel, audience: Audience, config: PublishConfig, places: Places | None = None) -> MinuteLists:
    """Lists of the users with new events and of the rest of the audience, the fallback list, and the neighbours that changed.

    places: the scenarios; None for `default` without rules.
    """
    current, step, others = learnt.checkpoint, state.step, audience.others
    catalog = current.catalog
    scorer = current.scorer()
    row = {item_id: n for n, item_id in enumerate(catalog.item_ids)}
    events, trend, earlier = histories_events(others, row, current.kinds, len(catalog))
    k = config.n_recommendations
    dim, asked, newest = len(current.whitening.centre), audience.searched, current.as_of
    by_active = by_others = None
    if asked is not None and asked.height:
        by_active, by_others = (as_searches(asked, user_ids, dim) for user_ids in (step.user_ids, others["user_id"].to_list()))
        newest = max(newest, int(asked["time_s"].max()) + 1)  # type: ignore[arg-type]
    now = newest + LIST_DELAY_S
    active_trend, trend = _known_trend(current, step.trend), _known_trend(current, trend)
    user_ids, other_ids = step.user_ids, others["user_id"].to_list()

    def of_place(place: Place) -> ScenarioLists:
        active = scorer.rank(
            step.events,
            len(user_ids),
            k,
            now=now,
            trend=active_trend,
            earlier=step.earlier,
            searches=by_active,
            choice=place.choice,
            hidden=place.hidden_rows(user_ids, row),
            is_quick=True,
            draws=place.draws(current, now, user_ids),
        )
        refreshed = scorer.rank(
            events,
            len(others),
            k,
            now=now,
            trend=trend,
            earlier=earlier,
            searches=by_others,
            choice=place.choice,
            hidden=place.hidden_rows(other_ids, row),
            is_quick=True,
            draws=place.draws(current, now, other_ids),
        )
        both = RankedLists.joined((*user_ids, *other_ids), (active, refreshed))
        return ScenarioLists(place.name, replace(both, kind_names=current.kinds, asked_s=now), place.fallback(current, k))

    if places is None:
        resolved = [place_without_rules(current.variety)]
    else:
        resolved = places.resolved(catalog.item_ids, current.variety, now, (*user_ids, *other_ids))
    default, *in_places = map(of_place, resolved)
    is_again = state.news.is_again  # then another version made all neighbours
    rows = np.arange(len(catalog)) if is_again else stale_neighbours(state, current.live.item_vectors(), config.n_similar)
    vectors, k_near = current.live.item_vectors(), config.n_similar
    if len(rows) <= config.approximate_above:
        similar = neighbours_of(vectors, rows, catalog.is_available, k_near)
    else:
        near = neighbours(vectors, catalog.is_available, k_near, config.approximate_above)
        similar = Neighbours(near.item[rows], near.similarity[rows])
    return MinuteLists(
        users=default.users,
        fallback=default.fallback,
        similar_of=rows,
        similar=similar,
        seen_items=current.seen_items or SeenItems(current.hide_seen),
        in_places=in_places,
        barred={each.name: each.barred(catalog.is_available) for each in resolved},
    )


def interests(state: State, learnt: UpdatedModel, audience: Audience, max_events: int, *, is_renewed: bool) -> FoundInterests | None:
    """The interests of the users with new events or searches; None if the version has none.

    is_renewed: whether another version has replaced the one that was live, so that the interests of all items are written.
    """
    version, step = learnt.checkpoint, state.step
    if version.interests is None or version.capture is None:
        return None
    row = {item_id: n for n, item_id in enumerate(version.catalog.item_ids)}
    rows = np.arange(len(row)) if is_renewed else np.array([row[item_id] for item_id in state.news.items["item_id"]], np.int64)
    searching = audience.others.filter(pl.col("user_id").is_in(audience.searching))
    user_ids = (*step.user_ids, *searching["user_id"])
    events = join_users(step.events, len(step.user_ids), histories_events(searching, row, version.kinds, len(row))[0])
    searches, now = None, step.as_of
    if audience.searched is not None and audience.searched.height:
        searches = as_searches(audience.searched, user_ids, len(version.whitening.centre))
        now = max(now, int(audience.searched["time_s"].max()) + 1)  # type: ignore[arg-type]
    spoken = spoken_of(version.interests, version.words, searches, events, len(user_ids), now)
    return find(version.interests, version.capture, user_ids, events, now, max_events, rows, spoken)


def stale_neighbours(state: State, vectors: Tensor, n_similar: int) -> Ints:
    """Catalog rows whose neighbours must be recomputed: new items, items that show a withdrawn item, and items near a returned one.

    vectors: item vectors [items, dim], of unit length or zero.
    """
    catalog, new_items = state.live.catalog, np.arange(state.n_known_items, len(state.live.catalog))
    if state.floors is None:
        return new_items
    row = {item_id: n for n, item_id in enumerate(catalog.item_ids)}
    floors = state.floors.filter(pl.col("item_id").is_in(list(row)))
    published = np.array([row[item_id] for item_id in floors["item_id"]], np.int64)
    floor, is_stale = np.full(len(catalog), -np.inf), np.ones(len(catalog), bool)
    floor[published] = np.where(floors["n_neighbours"] < n_similar, -np.inf, floors["floor"])
    is_stale[published] = floors["shows_withdrawn"]
    if len(state.returned):
        nearest = (vectors @ vectors[torch.from_numpy(state.returned)].T).amax(1).numpy()
        is_stale |= nearest >= floor - FLOOR_TOLERANCE
    is_stale[new_items] = True
    return np.flatnonzero(is_stale)


def _known_trend(version: Checkpoint, trend: Floats) -> Floats:
    """Unknown values are replaced by the training mean."""
    return np.where(np.isnan(trend), version.blend.trend[0], trend).astype(np.float32)


def save(learnt: UpdatedModel, folder: Path) -> None:
    """Write the checkpoint to a folder."""
    checkpoints.save(learnt.checkpoint, folder)
