"""What a night learns about requests in words, for catalogues of any kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import torch

from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.evaluation.evaluator import Evaluator
from models.events import Ints
from models.metrics.ranking import Ranking
from models.ranking.blend import Blend
from models.sequence.weights import Weights
from models.text.encoder import load_encoder
from models.text.towers import Head, Words
from models.training import towers_fit
from tasks.encoding import encode_changed_items
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot, writing
from tasks.night import learning, words
from tasks.night.dataset import load_dataset
from tasks.night.learning import judge, learn
from tasks.night.words import learn_words
from tasks.searches import read_search_log
from tests.lakes import START, Event, habits, put
from tests.models.text.test_encoder import save_tiny_bert

MODEL = RecommenderConfig(dim=8, n_blocks=1, n_heads=2, max_events=8)
TRAIN = TrainConfig(max_epochs=1, batch_events=256, device="cpu")
KINDS = ("green tent", "red tent", "tent pole", "red sleeping bag")
Learn = Callable[..., Words | None]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    return EncoderConfig(name=str(save_tiny_bert(tmp_path_factory.mktemp("encoder") / "tiny")))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One lake for all tests: each test first replaces its rows."""
    lake = locate(LakeConfig(), tmp_path_factory.mktemp("home"))
    migrate(lake)
    return lake


@pytest.fixture
def learn_of(lake: Lake, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch) -> Learn:
    """The words that a night learns from a shop with the given titles and labels."""
    monkeypatch.setattr(towers_fit, "STEPS", 20)

    def of(titles: dict[str, str | None], labels: list[str] | None = None, search: Callable[[Event], str] | None = None) -> Words | None:
        events = habits(n_items=len(titles))
        put(lake, events, titles, clear=True)
        if search is not None:
            ask(lake, [(user, search((user, item, hours)), hours - 0.1) for user, item, hours in events])
        if labels is not None:
            with writing(lake) as con:
                con.execute("update raw.items set categories = $labels", {"labels": labels})
        encoded = encode_changed_items(lake, encoder, progress=False)
        dataset = load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, encoded.encoder)
        assert len(dataset.catalog) == len(titles)
        asked = read_search_log(lake, dataset.snapshot, encoder, encoded.encoder)
        learnt = learn(dataset, MODEL, TRAIN, EvaluationConfig(n_bootstrap=20), 1, searches=asked)
        return learn_words(lake, dataset, learnt, encoder, 1)

    return of


def ask(lake: Lake, searches: list[tuple[str, str, float]]) -> None:
    """Searches by user, text and hours since START."""
    rows = [(f"search-{n}", user, text, START + timedelta(hours=hours)) for n, (user, text, hours) in enumerate(searches)]
    with writing(lake) as con:
        con.executemany(
            "insert into raw.events (event_id, user_id, event_type, query, occurred_at, received_at) values ($1, $2, 'search', $3, $4, $4)",
            rows,
        )


def titled(n_items: int) -> dict[str, str | None]:
    return {f"i{n:02}": f"{KINDS[n % 4]} model{n}" for n in range(n_items)}


@pytest.mark.slow
@pytest.mark.parametrize("n_items", [7, 90])
def test_titles_alone_are_enough_and_a_typed_title_is_found_first(learn_of: Learn, encoder: EncoderConfig, n_items: int) -> None:
    words, titles = learn_of(titled(n_items)), titled(n_items)
    assert words is not None
    asked = [str(titles["i05"]), "model5 tent red"]
    scores = words.scores(load_encoder(encoder, torch.device("cpu")).encode(asked), asked)
    assert scores.argmax(1).tolist() == [5, 5]


@pytest.mark.slow
def test_without_any_text_nothing_is_learnt_and_items_without_a_title_are_no_obstacle(learn_of: Learn) -> None:
    assert learn_of(dict.fromkeys(titled(30))) is None
    some = titled(30) | {"i03": None, "i07": "", "i11": "  "}
    words = learn_of(some)
    assert words is not None
    assert words.lexicon is not None
    assert torch.equal(words.items[3], torch.zeros(words.items.shape[1]))
    assert words.lexicon.scores(["i03", "i11"]).eq(0).all()


@pytest.mark.slow
@pytest.mark.parametrize("label", ["{l} {0} %s", "a > b > ", "\x00\x07", "—", "🎸", "词" * 200, 'Tent\'s "best"\n\tones', "(none)"])
def test_labels_of_any_characters_are_learnt_or_left_out(learn_of: Learn, label: str) -> None:
    words = learn_of(titled(30), [label, "tent"])
    assert words is not None
    assert all(bool(value.isfinite().all()) for value in words.tensors().values() if value.is_floating_point())
    assert np.isfinite(words.weight)


def kind_of(event: Event) -> int:
    return int(str(event[1])[1:]) % 4


@pytest.mark.slow
def test_a_word_of_no_title_finds_what_people_chose_after_searching_for_it(
    learn_of: Learn, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(towers_fit, "STEPS_ON_SEARCHES", 60)
    query = load_encoder(encoder, torch.device("cpu")).encode(["word"])

    def found(search: Callable[[Event], str] | None) -> set[int]:
        words = learn_of(titled(60), search=search)
        assert words is not None
        return {item % 4 for item in words.matches(query, ["word"]).topk(8).indices[0].tolist()}

    assert found(lambda event: "word" if kind_of(event) == 1 else KINDS[kind_of(event)]) == {1}
    assert found(None) != {1}


@pytest.mark.slow
def test_searches_of_the_hold_out_teach_the_words_that_serve_but_not_those_that_are_judged(learn_of: Learn) -> None:
    """The people of this shop search for a word and choose items of one kind, and in the end of another kind."""
    last_tenth = 24 * 11.0

    def learnt(late: str) -> Words:
        words = learn_of(titled(60), search=lambda event: late if event[2] >= last_tenth else "word" if kind_of(event) == 1 else "tent")
        assert words is not None
        assert words.past is not None
        return words

    one, other = learnt("word"), learnt("tent pole")
    assert all(torch.equal(a, b) for k in (0, 1) for a, b in zip(one.past[k].parameters(), other.past[k].parameters(), strict=True))  # type: ignore[index]
    assert not torch.equal(one.items, other.items)


@pytest.mark.slow
def test_a_night_is_judged_by_the_words_that_know_no_search_of_its_hold_out(
    lake: Lake, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(lake, habits(), titled(30), clear=True)
    dataset = load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, encode_changed_items(lake, encoder, progress=False).encoder)
    dim = dataset.text.shape[1]
    words = Words.of(Head(dim).eval(), Head(dim).eval(), dataset.text, 8.0)
    taught = replace(words, items=-words.items, past=(words.query, words.item))
    rank, used = learning.rank_recommender, []

    def remembering(evaluator: Evaluator, weights: Weights, blend: Blend, rows: Ints, by: Words) -> Ranking:
        used.append(by)
        return rank(evaluator, weights, blend, rows, by)

    monkeypatch.setattr(learning, "rank_recommender", remembering)
    evaluation = EvaluationConfig(n_bootstrap=20)
    judge(dataset, learn(dataset, MODEL, TRAIN, evaluation, 1), None, evaluation, 1, taught)
    assert used
    assert all(torch.equal(each.items, words.items) for each in used)


def test_a_slow_encoder_encodes_a_part_of_the_generated_requests_in_time(encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "BLOCK", 16)
    items = [(f"{KINDS[n % 4]} model{n}", [f"label {n % 4}"]) for n in range(60)]
    text, reader = np.ones((60, 4), np.float32), load_encoder(encoder, torch.device("cpu"))
    every, some = words.make_lessons(text, items, reader, 1), words.make_lessons(text, items, reader, 1, limit_s=0.0)
    assert every is not None
    assert some is not None
    assert len(some.requests.texts) == len(some.vectors) == 16 < len(every.requests.texts) == len(every.vectors)
    at = dict(zip(every.requests.texts, every.vectors, strict=True))
    assert all(np.allclose(at[text], vector, atol=1e-5) for text, vector in zip(some.requests.texts, some.vectors, strict=True))
