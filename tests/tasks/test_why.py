"""`minutehand why`: the same scores as the tables, terms that add up to them, and only what is the user's."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.config import EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.errors import UserError
from models.ranking.reasons import LEAST_EFFECT
from models.text.sentences import ENGLISH
from tasks.config import PublishConfig
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot, writing
from tasks.minute import steps
from tasks.minute.feed import read_histories, read_news
from tasks.minute.pacing import ALL_SETTLED, UsersToRefresh
from tasks.night.dataset import load_dataset
from tasks.night.learning import complete, learn, make_lists, user_trends
from tasks.publish.minute import publish_minute
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Files, Provenance
from tasks.registry.integrity import digest_of
from tasks.registry.versions import Registry
from tasks.watermarks import Watermarks, read_watermarks
from tasks.why import Why, explain
from tests.cli.test_ingest import minutehand
from tests.lakes import habits, put
from tests.tasks.publish.test_night import rows

MODEL = RecommenderConfig(dim=8, n_blocks=1, n_heads=2, max_events=10)
PUBLISH = PublishConfig(n_recommendations=6, n_similar=3)
TITLES: dict[str, str | None] = {f"i{n:02}": f"Tent {n}" for n in range(30)}
LATER = 500.0


def no_registry() -> Registry:
    raise AssertionError("the registry was opened")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a published night over the habits of forty users; items have categories, one is not available."""
    home = tmp_path_factory.mktemp("why")
    lake = locate(LakeConfig(), home)
    migrate(lake)
    put(lake, habits(), TITLES, unavailable=["i07"])
    with writing(lake) as con:
        con.execute("update raw.items set categories = [case when item_id < 'i10' then 'Camping > Small' else 'Camping > Large' end]")
    data = load_dataset(lake, newest_snapshot(lake), EVENT_WEIGHTS, "none")
    learnt = learn(data, MODEL, TrainConfig(max_epochs=3, batch_events=256, device="cpu"), EvaluationConfig(n_bootstrap=20), seed=1)
    folder = home / "model"
    complete(data, learnt, MODEL, TrainConfig(max_epochs=3, batch_events=256, device="cpu"), IncrementConfig(), 1, folder)
    lists = make_lists(data, learnt.evaluator.trend, folder, PUBLISH)
    made = Provenance("1", "run", "flow-1", data.snapshot, datetime(2026, 3, 1))
    content = Content(data.catalog.item_ids, lists.users, lists.fallback, lists.neighbours, 10, made, seen_items=lists.seen_items)
    publish_night(
        lake, replace(content, checkpoint=Files(folder, digest_of(folder))), EVENT_WEIGHTS, user_trends(data, learnt.evaluator.trend, 10)
    )
    return home


@pytest.fixture
def lake(night: Path) -> Lake:
    return locate(LakeConfig(), night)


def why(lake: Lake, user_id: str, item_id: str) -> Why:
    return explain(lake, no_registry, EVENT_WEIGHTS, user_id, item_id)


def demand_true(lake: Lake) -> int:
    """Every reason of every own list cites an event or a category of this user; the number of reasons that cite an event."""
    n_events = 0
    done = rows(lake, "select user_id, item_id, event_type from raw.events")
    titles = dict(rows(lake, "select item_id, coalesce(title, item_id) from raw.items"))
    labels = {
        item: {word.split(">")[-1].strip() for word in words} for item, words in rows(lake, "select item_id, categories from raw.items")
    }
    for user, item, reason in rows(lake, "select user_id, item_id, reason from recs.recommendations where user_id <> '*'"):
        own = [(other, kind) for who, other, kind in done if who == user]
        by_event = {ENGLISH.because(kind, titles[other]) for other, kind in own if other != item}
        by_event |= {ENGLISH.once_more(kind) for other, kind in own if other == item}
        by_label = {ENGLISH.interest(label) for other, _ in own for label in labels[other] & labels[item]}
        assert reason in by_event | by_label | {ENGLISH.popular}, (user, item, reason)
        n_events += reason in by_event
    return n_events


def test_every_reason_of_a_night_and_of_a_minute_cites_what_is_the_users_own_and_why_agrees_with_both(lake: Lake, night: Path) -> None:
    assert demand_true(lake) > 10
    listed = rows(
        lake, "select user_id, item_id, rank, score, reason from recs.recommendations where user_id in ('u00', 'u03') and rank < 3"
    )
    for user, item, rank, score, reason in listed:
        found = why(lake, user, item)
        assert (found.rank, found.place, found.reason, found.notes) == (rank, rank, reason, [])
        assert found.score == pytest.approx(score, abs=1e-4)
        assert sum(term["value"] for term in found.terms) == pytest.approx(score, abs=1e-4)
        own = {each for (each,) in rows(lake, f"select distinct item_id from raw.events where user_id = '{user}'")}
        assert {each["item_id"] for each in found.events} <= own
        if reason.startswith("because you viewed Tent"):
            (strongest, *_) = [each for each in found.events if each["effect_on_score"] >= LEAST_EFFECT]
            assert reason == f"because you viewed {strongest['title']}"
        assert all(each["label"] == "Camping > Small" if item < "i10" else "Camping > Large" for each in found.shared)

    put(lake, [("u00", "i05", LATER), ("u00", "i09", LATER + 1), ("stranger", "i05", LATER)], event_type="click")
    snapshot = newest_snapshot(lake)
    marks = read_watermarks(lake)
    assert marks is not None
    state = steps.prepare(lake, night / "model", night / "model", read_news(lake, marks, snapshot, EVENT_WEIGHTS, 10), "none")
    learnt = steps.update_model(state, steps.predict_events(state, IncrementConfig()), IncrementConfig(), seed=1)
    folder = night / "increment"
    steps.save(learnt, folder)
    others = read_histories(lake, ["u03", "u04"], EVENT_WEIGHTS, 10)
    lists = steps.rank(state, learnt, steps.Audience(ALL_SETTLED, others), PUBLISH)
    content = Content(
        learnt.checkpoint.catalog.item_ids,
        lists.users,
        lists.fallback,
        lists.similar,
        10,
        Provenance("2", "run", "flow-2", snapshot, datetime.now(UTC).replace(tzinfo=None)),
        neighbours_of=lists.similar_of,
        news=state.news,
        watermarks=Watermarks(snapshot, snapshot),
        checkpoint=Files(folder, digest_of(folder)),
    )
    publish_minute(lake, content, marks, UsersToRefresh(["u03", "u04"], (), is_settled=True))
    assert demand_true(lake) > 10
    for user in ("u00", "stranger", "u03"):
        mine = rows(lake, f"select item_id, rank, score from recs.recommendations where user_id = '{user}' and rank in (1, 4)")
        assert mine
        for item, rank, score in mine:
            found = why(lake, user, item)
            assert found.model_version == "2"
            assert found.score == pytest.approx(score, abs=1e-4)
            assert (found.place, found.notes) == (rank, [])
    assert {each["event_type"] for each in why(lake, "stranger", mine[0][0]).events} == {"click"}


@pytest.mark.slow
def test_where_an_item_stands_elsewhere_than_by_its_score_why_says_so(lake: Lake) -> None:
    turned = "update recs.recommendations set rank = 7 - rank where user_id = 'u04'"
    with writing(lake) as con:
        con.execute(turned)
    (item, rank) = rows(lake, "select item_id, rank from recs.recommendations where user_id = 'u04' order by rank")[0]
    assert why(lake, "u04", item).notes == [
        f"by score alone, its rank would be {7 - rank}; variety and the rules of scenarios.toml change the order"
    ]
    with writing(lake) as con:
        con.execute(turned)
    assert why(lake, "u04", item).notes == []


@pytest.mark.slow
def test_what_is_on_no_list_has_a_clear_answer(lake: Lake) -> None:
    (seen,) = rows(lake, "select item_id from raw.events where user_id = 'u01' and item_id <> 'i07' limit 1")[0]
    hidden = why(lake, "u01", seen)
    assert (hidden.rank, hidden.probability) == (None, None)
    assert hidden.score is not None
    assert hidden.notes == [f"the user already had item {seen}, and lists leave out what users had (MINUTEHAND_EVALUATION__SEEN_ITEMS)"]
    gone = why(lake, "u02", "i07")
    assert "item i07 is not available, so it is on no list" in gone.notes
    assert gone.place is None
    known = "select item_id from recs.recommendations where user_id = 'u02' union select item_id from raw.events where user_id = 'u02'"
    (lower,) = rows(lake, f"select item_id from raw.items where item_id <> 'i07' and item_id not in ({known}) order by 1")[0]
    unlisted = why(lake, "u02", lower)
    assert unlisted.place is not None
    assert unlisted.place > 6
    assert unlisted.notes == [f"item {lower} is not among the 6 items of the published list; its rank would be {unlisted.place}"]
    put(lake, (), {"new": "Tent new"})
    assert why(lake, "u02", "new").notes == ["the live model does not know item new yet; the next minutehand minute adds it"]


@pytest.mark.parametrize(
    ("user", "item", "said"),
    [
        ("nobody", "i01", "nobody called nobody has history; the list for anyone follows from popularity alone"),
        ("u00", "i1", "no item 'i1'; did you mean"),
        ("u00", "\x1b", "no item '\\x1b'"),
    ],
)
def test_an_unknown_user_or_item_is_refused_with_a_hint(lake: Lake, user: str, item: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        why(lake, user, item)
    assert said in str(refused.value)


@pytest.mark.slow
def test_of_a_merged_id_the_evidence_is_that_of_its_user(lake: Lake) -> None:
    (item,) = rows(lake, "select item_id from recs.recommendations where user_id = 'u05' and rank = 1")[0]
    with writing(lake) as con:
        con.execute("insert into raw.user_aliases values ('s9', 'u05', '2026-01-01')")
    assert replace(why(lake, "s9", item), user_id="u05") == why(lake, "u05", item)
    with writing(lake) as con:
        con.execute("delete from raw.user_aliases")


def test_before_the_first_publication_the_command_for_it_is_named(home: Path) -> None:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    with pytest.raises(UserError, match="the lake is empty"):
        why(lake, "u", "a")


@pytest.mark.slow
def test_the_command_shows_the_evidence_in_eighty_columns_and_as_json(lake: Lake, night: Path) -> None:
    user, item = rows(lake, "select user_id, item_id from recs.recommendations where user_id = 'u05' and rank = 1")[0]
    shown = minutehand("why", user, item, home=night)
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert f"user u05, item {item}, {TITLES[item]}\nrank 1 of 6 on the published list" in shown.stdout
    assert "popularity" in shown.stdout
    assert "the score falls without an item of it" in shown.stdout
    found = json.loads(minutehand("why", user, item, "--json", home=night).stdout)
    assert sum(term["value"] for term in found["terms"]) == pytest.approx(found["score"])
    refused = minutehand("why", "nobody", item, home=night)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: nobody called nobody has history")
