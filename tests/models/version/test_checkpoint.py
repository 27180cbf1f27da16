"""A version as one folder: load inverts save, no pickle, items keep their rows, misuse gets a message."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import models
from models.config import RecommenderConfig
from models.errors import UserError
from models.events import Catalog, Floats
from models.ranking.blend import Blend
from models.ranking.choice import Choice
from models.ranking.exploration import NewItemLayer
from models.ranking.prior import N_PARAMETERS
from models.ranking.searches import Searches
from models.results import SeenItems
from models.sequence.recommender import Recommender
from models.sequence.weights import Weights
from models.sequence.whitening import Whitening
from models.text.lexical import Lexicon
from models.text.towers import Head, Words
from models.training.capture_fit import fit_capture
from models.version.checkpoint import (
    Checkpoint,
    align,
    keep_vectors_only,
    load,
    load_interests,
    on_catalog_of,
    save,
    with_new_descriptions,
    with_new_items,
)
from models.version.finite import NotFiniteError
from tests.models.interests.test_vocabulary import described
from tests.models.interests.test_vocabulary import found as vocabulary_of
from tests.models.planted import TINY, random_events, random_text, shaken, with_searches
from tests.models.ranking.test_scorer import popularity_of, scorer_of

N_ITEMS = 30
EVENTS = random_events()
IDS = (*(f"item-{n}" for n in range(N_ITEMS - 1)), "ümläut 🎧")


def version(*, hide_seen: bool = False) -> Checkpoint:
    text = random_text(N_ITEMS, 12)
    scorer = scorer_of(EVENTS, hide_seen=hide_seen, available=np.arange(N_ITEMS) != 4)
    is_cold = (torch.arange(N_ITEMS) == 9).float()
    return Checkpoint(
        catalog=Catalog(IDS, scorer.is_available),
        kinds=("other", "view"),
        encoder="encoder-1",
        hide_seen=hide_seen,
        as_of=scorer.as_of,
        popularity=popularity_of(EVENTS, scorer.as_of),
        blend=scorer.blend,
        prior=np.linspace(0, 1, N_PARAMETERS, dtype=np.float32),
        whitening=Whitening.fit(text, TINY.dim, np.ones(N_ITEMS, bool)),
        live=Weights(scorer.weights.model, scorer.weights.mean_vector, is_cold),
        past=Weights(shaken(N_ITEMS, seed=1), torch.ones(TINY.dim), torch.zeros(N_ITEMS)),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved version."""
    save(version(), tmp_path / "version")
    return tmp_path / "version"


def same_weights(one: Weights, other: Weights) -> bool:
    state = other.model.state_dict()
    equal = all(torch.equal(value, state[name]) for name, value in one.model.state_dict().items())
    return equal and torch.equal(one.mean_vector, other.mean_vector) and torch.equal(one.is_cold, other.is_cold)


def test_loaded_is_saved(folder: Path) -> None:
    saved, loaded = version(), load(folder)
    assert saved.past is not None
    assert loaded.past is not None
    assert same_weights(saved.live, loaded.live)
    assert same_weights(saved.past, loaded.past)
    assert not same_weights(loaded.live, loaded.past)
    assert loaded.live.model.config == TINY
    assert loaded.catalog.item_ids == IDS
    assert np.array_equal(loaded.catalog.is_available, saved.catalog.is_available)
    for name in ("kinds", "encoder", "hide_seen", "as_of"):
        assert getattr(loaded, name) == getattr(saved, name)
    for name in ("popularity", "prior"):
        assert np.array_equal(getattr(loaded, name), getattr(saved, name))
    for field in fields(Blend):
        assert np.array_equal(getattr(loaded.blend, field.name), getattr(saved.blend, field.name))
    assert np.array_equal(loaded.whitening.projection, saved.whitening.projection)
    ours, theirs = (one.scorer().rank(EVENTS, 20, 10) for one in (saved, loaded))
    assert np.array_equal(ours.item, theirs.item)
    assert np.array_equal(ours.probability, theirs.probability)


def test_the_layer_of_new_items_is_saved_and_a_version_without_one_has_new_items_all_the_same(folder: Path) -> None:
    layer = NewItemLayer(np.linspace(-1, 1, 17), np.eye(17) / 3, 0.7, 300.0, {IDS[3]: (2.5, 4.0)})
    save(replace(version(), layer=layer), folder / "with")
    ours, loaded = version(), load(folder / "with")
    assert loaded.layer is not None
    assert all(np.array_equal(value, loaded.layer.arrays()[name]) for name, value in layer.arrays().items())
    assert loaded.layer.tried == layer.tried
    plain = load(folder)
    assert plain.layer is None
    lottery = plain.new_items.lottery(b"key", 1, IDS)
    assert (lottery.bonus, lottery.rows.tolist()) == (None, ours.new_items.rows.tolist())
    draws = loaded.new_items.lottery(b"key", 1, IDS).draws(b"key", "default", 1, IDS[:20], 1)
    lists = keep_vectors_only(loaded).scorer().rank(EVENTS, 20, 10, choice=Choice(new_item_slots=1), draws=draws)
    assert lists.is_by_draw[:, 4].all()
    with pytest.raises(NotFiniteError, match=r"new_items\.mean"):
        save(replace(version(), layer=replace(layer, mean=layer.mean * np.nan)), folder / "broken")


def with_interests(checkpoint: Checkpoint) -> Checkpoint:
    """A version whose items have labels in turn."""
    labels = [(("Red > Dark", "Blue", "Green")[n % 3],) for n in range(N_ITEMS)]
    interests = vocabulary_of(described(*labels))
    capture = fit_capture(EVENTS, interests.shares, interests.group_numbers, 0, 7)
    return replace(checkpoint, interests=interests, capture=capture)


def same_interests(one: Checkpoint, other: Checkpoint) -> bool:
    assert one.interests is not None
    assert one.capture is not None
    assert other.interests is not None
    assert other.capture is not None
    ours = one.capture.posterior(EVENTS, one.interests.shares, 20, one.as_of)
    theirs = other.capture.posterior(EVENTS, other.interests.shares, 20, one.as_of)
    return one.interests.described() == other.interests.described() and np.array_equal(ours, theirs)


def test_interests_are_the_same_after_loading_and_are_loaded_alone_too(tmp_path: Path) -> None:
    checkpoint = with_interests(version())
    save(checkpoint, tmp_path / "version")
    assert same_interests(checkpoint, load(tmp_path / "version"))
    alone = load_interests(tmp_path / "version")
    assert alone is not None
    assert same_interests(checkpoint, replace(version(), interests=alone.interests, capture=alone.capture))
    assert alone.item_ids == IDS


def test_a_version_from_before_there_were_interests_has_none(folder: Path) -> None:
    loaded = load(folder)
    assert (loaded.interests, loaded.capture, load_interests(folder)) == (None, None, None)


def test_new_items_of_a_version_with_interests_have_none_until_they_are_described() -> None:
    grown = with_new_items(with_interests(version()), ["new"], None)
    assert grown.interests is not None
    assert grown.interests.n_items == N_ITEMS + 1
    assert not (grown.interests.item == N_ITEMS).any()
    known = grown.interests.with_items(np.array([N_ITEMS]), described(("blue",)), None)
    assert [known.interest_ids[row] for row in known.interest[known.item == N_ITEMS]] == ["label:blue"]


def with_words(checkpoint: Checkpoint, weight: float = 50.0) -> Checkpoint:
    """A version whose request for unit vector n finds item n."""
    return replace(checkpoint, words=Words.of(Head(N_ITEMS).eval(), Head(N_ITEMS).eval(), np.eye(N_ITEMS, dtype=np.float32), weight))


def test_a_request_moves_what_it_asks_for_to_the_top_of_any_list_and_is_the_same_after_loading(tmp_path: Path) -> None:
    checkpoint = with_words(version())
    save(checkpoint, tmp_path / "version")
    loaded = load(tmp_path / "version")
    asked = np.eye(N_ITEMS, dtype=np.float32)[[7, 2]]
    histories: list[dict[str, Any]] = [{"item_ids": []}, {"item_ids": [IDS[1], IDS[3]]}]
    lists = loaded.answer(histories, asked, 3, datetime(2026, 1, 1, tzinfo=UTC), [[], []])
    assert [each[0][0] for each in lists] == [IDS[7], IDS[2]]
    assert lists == checkpoint.answer(histories, asked, 3, datetime(2026, 1, 1, tzinfo=UTC), [[], []])


def test_without_words_a_request_is_the_list_of_the_history() -> None:
    checkpoint, now = with_words(version()), datetime(2026, 1, 1, tzinfo=UTC)
    history: dict[str, Any] = {"item_ids": [IDS[1], IDS[3]]}
    nothing = np.zeros((1, N_ITEMS), np.float32)
    (found,) = checkpoint.answer([history], nothing, 5, now, [[]])
    (own,) = checkpoint.recommend([history], now=now, k=5)
    assert [item_id for item_id, _, _ in found] == [item_id for item_id, _ in own]


def test_a_request_never_shows_an_unavailable_or_a_hidden_item() -> None:
    checkpoint = with_words(version(hide_seen=True))
    asked = np.eye(N_ITEMS, dtype=np.float32)[[4, 6]]
    first, second = checkpoint.answer([{"item_ids": []}] * 2, asked, N_ITEMS, datetime(2026, 1, 1, tzinfo=UTC), [[], [IDS[6]]])
    assert IDS[4] not in [item_id for item_id, _, _ in first]
    assert IDS[6] not in [item_id for item_id, _, _ in second]


def test_many_requests_are_scored_in_blocks_and_answered_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, now = with_words(version()), datetime(2026, 1, 1, tzinfo=UTC)
    nobody: list[dict[str, Any]] = [{"item_ids": []}] * N_ITEMS
    asked = np.eye(N_ITEMS, dtype=np.float32)
    texts = [f"request {n}" for n in range(N_ITEMS)]
    alone = [checkpoint.answer(nobody[:1], asked[[n]], 3, now, [[]], texts[:1])[0] for n in range(N_ITEMS)]
    monkeypatch.setattr("models.ranking.scorer.BLOCK_CELLS", 2 * N_ITEMS)
    sizes: list[int] = []
    score = Words.scores

    def counted(self: Words, queries: Floats, texts: Sequence[str | None] | None = None) -> Tensor:
        sizes.append(len(queries))
        return score(self, queries, texts)

    monkeypatch.setattr(Words, "scores", counted)
    together = checkpoint.answer(nobody, asked, 3, now, [[]] * N_ITEMS, texts)
    assert max(sizes) == 2
    assert [[item for item, _, _ in each] for each in together] == [[item for item, _, _ in each] for each in alone]


def test_a_typed_title_is_found_by_its_words_also_of_an_item_of_this_minute(tmp_path: Path) -> None:
    checkpoint, lexicon = version(), replace(Lexicon.of([(f"Thing {n}", []) for n in range(N_ITEMS)]), weight=1.0)
    dim = len(checkpoint.whitening.centre)
    words = Words.of(Head(dim).eval(), Head(dim).eval(), np.zeros((N_ITEMS, dim), np.float32), 50.0, lexicon)
    checkpoint = replace(checkpoint, words=words)
    grown = with_new_items(checkpoint, ["fresh"], None, [("Folding kayak", ["Boats"])])
    renamed = with_new_descriptions(grown, {2: np.ones(dim, np.float32)}, {}, {2: ("Copper kettle", [])})
    save(replace(renamed, online=None), tmp_path / "version")
    asked = ["kayak, folding", "Copper KETTLE", "thing 5"]
    lists = load(tmp_path / "version").answer(
        [{"item_ids": []}] * 3, np.zeros((3, dim), np.float32), 3, datetime(2026, 1, 1, tzinfo=UTC), [[]] * 3, asked
    )
    assert [each[0][0] for each in lists] == ["fresh", IDS[2], IDS[5]]


def test_a_version_without_towers_says_what_to_do() -> None:
    with pytest.raises(UserError, match="run minutehand nightly, or give items titles"):
        version().answer([{"item_ids": []}], np.zeros((1, 12), np.float32), 3, datetime(2026, 1, 1, tzinfo=UTC), [[]])


def test_the_reason_for_hiding_seen_items_is_saved_and_is_none_in_older_versions(folder: Path, tmp_path: Path) -> None:
    decided = SeenItems(are_hidden=True, setting="auto", repeat_share=0.01)
    save(replace(version(hide_seen=True), seen_items=decided), tmp_path / "decided")
    assert load(tmp_path / "decided").seen_items == decided
    described = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    del described["seen_items"]  # like older versions
    (folder / "checkpoint.json").write_text(json.dumps(described), encoding="utf-8")
    assert load(folder).seen_items is None


def test_variety_is_saved_orders_the_lists_of_the_version_and_is_0_in_older_versions(folder: Path, tmp_path: Path) -> None:
    save(replace(version(), variety=0.9), tmp_path / "varied")
    varied = load(tmp_path / "varied")
    assert varied.variety == 0.9
    assert varied.choice == Choice(variety=0.9)
    plain, other = (each.recommend([{"item_ids": [IDS[0]]}], k=len(IDS))[0] for each in (load(folder), varied))
    assert dict(other) == pytest.approx(dict(plain)), "only the order differs"
    assert [item for item, _ in other] != [item for item, _ in plain]
    described = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    del described["variety"]  # like older versions
    (folder / "checkpoint.json").write_text(json.dumps(described), encoding="utf-8")
    assert load(folder).variety == 0
    assert load(folder).choice is None


def test_saving_what_was_loaded_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    save(load(folder), tmp_path / "again")
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_a_folder_is_safetensors_and_json_and_nothing_in_models_unpickles(folder: Path) -> None:
    assert {file.suffix for file in folder.iterdir()} == {".safetensors", ".json"}
    assert not any(b"PK\x03\x04" in file.read_bytes()[:8] or file.read_bytes()[:1] == b"\x80" for file in folder.iterdir())
    source = {file.name: file.read_text(encoding="utf-8") for file in Path(next(iter(models.__path__))).glob("*.py")}
    unpickles = re.compile(r"torch\.load|\bpickle|joblib|np\.load\(|allow_pickle=True|trust_remote_code=True")
    assert {name: found for name, text in source.items() if (found := unpickles.findall(text))} == {}


def test_a_version_exists_only_once_its_last_file_does(folder: Path) -> None:
    (folder / "checkpoint.json").unlink()
    with pytest.raises(UserError, match=r"holds no checkpoint\.json.*run `minutehand nightly` again"):
        load(folder)


def test_a_version_of_another_format_says_so(folder: Path) -> None:
    described = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps(described | {"format": 99}))
    with pytest.raises(UserError, match="format 99, this version reads 5; run `minutehand nightly`"):
        load(folder)


def test_on_a_grown_catalog_known_items_keep_their_vectors_and_new_ones_start_at_their_text() -> None:
    old = version().live
    text = random_text(4, TINY.dim, seed=7)
    new = ("new-a", IDS[5], "new-b", IDS[0])
    text[2] = 0
    aligned = align(old, IDS, new, text)
    before, after = old.item_vectors(), aligned.item_vectors()
    torch.testing.assert_close(after[[1, 3]], before[[5, 0]])
    assert aligned.is_cold.tolist() == [1, 0, 1, 0]
    assert torch.equal(aligned.model.items.text[0], torch.from_numpy(text[0]))
    assert aligned.model.items.delta[[0, 2]].eq(0).all()
    assert after[2].eq(0).all(), "nothing is known of it"
    assert after[0].norm().item() == pytest.approx(1, abs=1e-5)


def test_aligning_to_the_same_catalog_changes_nothing_and_leaves_the_original_alone() -> None:
    old = version().live
    before = {name: value.clone() for name, value in old.model.state_dict().items()}
    assert same_weights(align(old, IDS, IDS, np.zeros((N_ITEMS, TINY.dim), np.float32)), old)
    align(old, IDS, ("new",), np.zeros((1, TINY.dim), np.float32))
    assert all(torch.equal(value, before[name]) for name, value in old.model.state_dict().items())


def test_growing_the_catalog_changes_no_score_between_known_items() -> None:
    one = version()
    grown = align(one.live, IDS, (*IDS, "new"), np.zeros((N_ITEMS + 1, TINY.dim), np.float32))
    catalog = Catalog((*IDS, "new"), np.append(one.catalog.is_available, False))
    larger = replace(one, catalog=catalog, live=grown, popularity=np.vstack([one.popularity, one.popularity[:1]]))
    history = {"item_ids": [IDS[1], IDS[2]]}
    ours, theirs = one.recommend([history])[0], larger.recommend([history])[0]
    assert [item for item, _ in ours] == [item for item, _ in theirs]
    assert [p for _, p in ours] == pytest.approx([p for _, p in theirs], abs=1e-5)


def test_recommend_is_the_list_of_the_scorer() -> None:
    one = version()
    rows = EVENTS.offsets[:2]
    mine = slice(rows[0], rows[1])
    history = {
        "item_ids": [IDS[item] for item in EVENTS.item[mine]],
        "event_types": [one.kinds[kind] for kind in EVENTS.kind[mine]],
        "occurred_at": [datetime.fromtimestamp(int(time), UTC) for time in EVENTS.time[mine]],
    }
    lists = one.scorer().rank(EVENTS.where(EVENTS.user == 0), 1, 10)
    found = one.recommend([history])[0]
    assert [item for item, _ in found] == [IDS[item] for item in lists.item[0]]
    assert [p for _, p in found] == pytest.approx(lists.probability[0].tolist(), abs=1e-5)


def test_times_may_be_datetimes_texts_or_seconds_and_a_time_without_zone_is_utc() -> None:
    one = version()
    moment = datetime.fromtimestamp(one.as_of - 500, UTC)
    forms = [moment, moment.replace(tzinfo=None), moment.isoformat(), one.as_of - 500, np.datetime64(moment.replace(tzinfo=None), "us")]
    found = [one.recommend([{"item_ids": [IDS[3]], "occurred_at": [form]}]) for form in forms]
    assert all(each == found[0] for each in found)
    earlier = one.recommend([{"item_ids": [IDS[3]], "occurred_at": [moment - timedelta(days=300)]}])
    assert earlier != found[0]


def test_unknown_items_and_types_are_skipped_and_an_empty_history_gets_a_list() -> None:
    one = version()
    known = one.recommend([{"item_ids": [IDS[1]]}])[0]
    assert one.recommend([{"item_ids": ["never heard of", IDS[1]]}])[0] == known
    assert one.recommend([{"item_ids": [IDS[1]], "event_types": ["teleport"]}])[0] == known
    nobody, stranger = one.recommend([{"item_ids": []}, {"item_ids": ["never heard of"]}])
    assert nobody == stranger
    assert len(nobody) == 10
    assert one.recommend([]) == []


def test_unavailable_and_hidden_items_are_not_recommended_and_k_is_at_most_the_catalogue() -> None:
    everything = version(hide_seen=True).recommend([{"item_ids": [IDS[1], IDS[29]]}], k=1000)[0]
    assert {item for item, _ in everything} == set(IDS) - {IDS[1], IDS[29], IDS[4]}
    assert sum(p for _, p in everything) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ({"item_ids": ["a", "b"], "event_types": ["view"]}, "history 0 has 2 items, 1 event types and 2 times; give one of each"),
        ({"item_ids": ["a"], "occurred_at": [1, 2]}, "1 items, 1 event types and 2 times"),
        ({"items": ["a"]}, "history 0 has no item_ids"),
        ({"item_ids": [IDS[1]], "occurred_at": ["yesterday"]}, "'yesterday' is not a time"),
    ],
)
def test_an_invalid_history_gets_a_message(history: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        version().recommend([history])


def test_a_list_of_no_items_is_refused() -> None:
    with pytest.raises(UserError, match="k is 0"):
        version().recommend([{"item_ids": []}], k=0)


def test_a_version_from_before_a_term_was_added_gives_it_no_weight(tmp_path: Path) -> None:
    whole = version()
    save(replace(whole, blend=replace(whole.blend, gate=whole.blend.gate[:, :-1])), tmp_path / "old")
    gate = load(tmp_path / "old").blend.gate
    assert np.array_equal(gate[:, :-1], whole.blend.gate[:, :-1])
    assert gate.shape == whole.blend.gate.shape
    assert not gate[:, -1].any()


@pytest.mark.parametrize("part", ["live", "past", "popularity", "blend"])
def test_a_model_with_a_number_that_is_not_finite_is_not_saved(part: str, tmp_path: Path) -> None:
    broken = version()
    if part in ("live", "past"):
        with torch.no_grad():
            getattr(broken, part).model.blocks[0].up.weight[0, 0] = torch.nan
    elif part == "popularity":
        broken.popularity[3, 0] = np.inf
    else:
        broken.blend.gate[0, 0] = np.nan
    with pytest.raises(NotFiniteError, match=rf"not finite \({part}.*MINUTEHAND_TRAIN__LEARNING_RATE"):
        save(broken, tmp_path / "broken")
    assert not (tmp_path / "broken").exists()


def reading_version() -> Checkpoint:
    """A version whose model reads searches."""
    plain = version()
    return replace(plain, live=replace(plain.live, model=with_searches(plain.live.model, plain.whitening)))


def a_search(checkpoint: Checkpoint, user: int = 3) -> Searches:
    return Searches.build(np.array([user]), np.array([checkpoint.as_of]), np.zeros(1, np.int64), random_text(1, 12))


def test_a_model_that_reads_searches_still_does_after_loading_and_with_new_items_and_descriptions(tmp_path: Path) -> None:
    saved = reading_version()
    save(saved, tmp_path / "version")
    loaded = load(tmp_path / "version")
    assert same_weights(saved.live, loaded.live)
    grown = with_new_items(loaded, ["new"], random_text(1, 12))
    moved = with_new_descriptions(grown, {0: random_text(1, 12)[0]}, {})
    on_catalog = on_catalog_of(loaded, grown)
    for each in (loaded, grown, moved, on_catalog):
        plain, asked = (each.scorer().rank(EVENTS, 20, 10, searches=found) for found in (None, a_search(each)))
        assert [user for user in range(20) if not np.allclose(plain.score[user], asked.score[user], atol=1e-3)] == [3]


def test_a_version_from_before_searches_were_read_loads_and_ranks_without_them(folder: Path) -> None:
    loaded = load(folder)
    plain, asked = (loaded.scorer().rank(EVENTS, 20, 10, searches=found) for found in (None, a_search(loaded)))
    assert np.array_equal(plain.score, asked.score)


def test_item_vectors_that_are_computed_in_blocks_are_those_of_all_items(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Recommender(RecommenderConfig(dim=8, n_heads=2), torch.randn(20, 8), 2, torch.Generator().manual_seed(0))
    whole = Weights(model, torch.zeros(8), torch.zeros(20)).item_vectors()
    monkeypatch.setattr("models.sequence.weights.BLOCK_ITEMS", 6)
    assert torch.allclose(Weights(model, torch.zeros(8), torch.zeros(20)).item_vectors(), whole, atol=1e-6)
