"""The lists of the API are those of the tables, and obey what a request asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.errors import NotFoundError
from serving.items import Filter, Item, Price
from serving.live import Live
from serving.ranking import Asked
from serving.rules import accept
from tasks.config import IngestConfig
from tasks.lake import writing
from tests.lakes import START, habits, put
from tests.serving.shop import PUBLISH, TITLES, Shop, open_shop

SAME = 1e-4
HABITS = habits()
LATER = 500.0
"""Hours after the start of the shop, when all its habits are past."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return open_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def live(shop: Shop) -> Iterator[Live]:
    started = shop.start("log-of-night")
    yield started
    started.segments.close()


def at(hours: float) -> int:
    """Unix seconds."""
    return int((START + timedelta(hours=hours)).replace(tzinfo=UTC).timestamp())


def event(user_id: str, item_id: str | None, hours: float, event_type: str = "view", **more: Any) -> Mapping[str, Any]:
    moment = (START + timedelta(hours=hours)).isoformat()
    return {"user_id": user_id, "item_id": item_id, "event_type": event_type, "occurred_at": moment, **more}


def post(live: Live, *events: Mapping[str, Any]) -> None:
    live.accept([accept(dict(each), datetime.now(UTC), IngestConfig()) for each in events]).result()


def demand_alike(found: Sequence[Mapping[str, Any]], published: Sequence[tuple[str, float, float, str, str]]) -> None:
    """The same items, order, reasons and sources where neighbouring scores differ by more than SAME; the same scores everywhere.

    published: item, score, probability, reason and source by rank.
    """
    assert len(found) == len(published)
    scores = [score for _, score, *_ in published]
    for n, (mine, (item, score, probability, reason, source)) in enumerate(zip(found, published, strict=True)):
        assert mine["score"] == pytest.approx(score, abs=SAME)
        assert mine["probability"] == pytest.approx(probability, abs=SAME)
        if all(abs(score - other) > SAME for other in scores[max(n - 1, 0) : n] + scores[n + 1 : n + 2]):
            assert (mine["item_id"], mine["reason"], mine["source"]) == (item, reason, source)


def demand_the_lists_of_the_table(shop: Shop, live: Live, asked_s: int, k: int = PUBLISH.n_recommendations) -> set[str]:
    """All lists of the newest publication are those of the API; returns the reasons without what they cite."""
    columns = "item_id, score, probability, reason, source"
    users = [user for (user,) in shop.rows("select distinct user_id from recs.recommendations where user_id <> '*' order by 1")]
    assert len(users) >= 40
    said = set()
    lists = live.recommend_all([Asked(user, k=k, now=asked_s) for user in users])
    for user, listed in zip(users, lists, strict=True):
        rows = shop.rows(f"select {columns} from recs.recommendations where user_id = '{user}' and rank <= {k} order by rank")
        demand_alike(listed.items, rows)  # type: ignore[arg-type]
        demand_alike(live.recommend(Asked(user, k=k, now=asked_s)), rows)  # type: ignore[arg-type]
        said |= {" ".join(reason.split()[:3]) for *_, reason, _ in rows}
    return said


@pytest.mark.slow
def test_the_lists_of_a_minute_and_of_the_api_are_the_same_also_before_the_minute_knows_the_newest_events(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, reads_searches=True)
    put(shop.lake, [("u00", "i05", LATER), ("u00", "i09", LATER + 1), ("stranger", "i05", LATER)], event_type="click")
    asked_s = shop.minute()
    live = shop.start()
    assert live.published.checkpoint.live.model.searches is not None, "increments keep what reads searches"
    said = demand_the_lists_of_the_table(shop, live, asked_s)
    said |= demand_the_lists_of_the_table(shop, live, asked_s, k=3)
    assert {"because you viewed", "because of your"} <= said
    anyone = shop.rows("select item_id, score, probability, reason, source from recs.recommendations where user_id = '*' order by rank")
    demand_alike(live.recommend(Asked("nobody", k=PUBLISH.n_recommendations)), anyone)  # type: ignore[arg-type]

    soon = LATER + 1 + 1 / 3600
    news = [
        event("u01", "i11", soon, "purchase"),
        event("u01", "i12", soon + 0.001),
        event("newcomer", "i20", soon),
        event("u02", None, soon, "search", query="green tent"),
        event("only-words", None, soon, "search", query="red tent"),
        event("u03", "i13", soon, "search-less"),
        event("stranger", "i05", soon + 0.002, "cart"),
    ]
    post(live, *news)
    asked_s = at(soon) + 90
    before = {user: live.recommend(Asked(user, k=12, now=asked_s)) for user in ("u01", "newcomer", "u02", "only-words", "u03", "stranger")}
    live.segments.close()
    shop.take_in()
    published_s = shop.minute(learns=False)
    again = {user: live.recommend(Asked(user, k=12, now=published_s)) for user in before}
    for user, found in again.items():
        rows = shop.rows(
            f"select item_id, score, probability, reason, source from recs.recommendations where user_id = '{user}' order by rank"
        )
        demand_alike(found, rows)  # type: ignore[arg-type]
    assert any(row["reason"].startswith("because you searched for") for row in again["only-words"])
    assert live.refresh()
    assert not live.pending
    demand_the_lists_of_the_table(shop, live, published_s)


@pytest.mark.slow
def test_the_api_says_a_reason_in_the_words_of_the_language_model_if_the_tables_have_them(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    ((template, user),) = shop.rows("select reason, user_id from recs.recommendations where reason ^@ 'because you' order by all limit 1")
    with writing(shop.lake) as con:
        con.execute("insert into features.reason_texts values (?, 'It goes well with it.', 'a-model', now()::timestamp)", [template])
    said = {row["reason"] for row in shop.start().recommend(Asked(user, k=PUBLISH.n_recommendations))}
    assert "It goes well with it." in said
    assert template not in said


SCENARIOS = """
[cart]
hide = { purchase = 90, view = 1 }
where = "price < 20 or item_id = 'i29'"
max_per_category = 2
[varied]
variety = 0.8
[product-page]
needs_item = true
[never]
where = "price < 0"
"""
EXCLUDED = st.lists(st.sampled_from(sorted(TITLES)), max_size=3)
NARROW = st.builds(
    Filter,
    categories_any=st.sampled_from([None, None, ("Small",), ("Camping > Large", "Small"), ("Elsewhere",)]),
    categories_all=st.sampled_from([None, None, ("Camping", "Large")]),
    tags_any=st.sampled_from([None, None, ("sale",), ("sale", "new")]),
    price=st.sampled_from([None, Price(lt=12), Price(gte=3, lte=3), Price(gt=25)]),
    item_ids=st.one_of(st.none(), st.lists(st.sampled_from(sorted(TITLES)), max_size=6).map(tuple)),
)


@pytest.fixture(scope="module")
def places(shop: Shop) -> Iterator[Live]:
    """The state of a home with scenarios, and with events that no publication contains."""
    (shop.home / "scenarios.toml").write_text(SCENARIOS, encoding="utf-8")
    started = shop.start("log-with-scenarios")
    (shop.home / "scenarios.toml").unlink()
    post(started, event("u05", "i01", 300, "purchase"), event("u06", "i02", 299.5), event("someone", "i03", 280), event("me", "i04", 10))
    yield started
    started.segments.close()


def qualifying(live: Live, user: str, scenario: str, wanted: Filter, now: int) -> set[str]:
    """The items that the rules let a user see, from the rows of the tables."""
    rules = live.published.places[scenario].scenario
    mine = [(item, "view", at(hours)) for who, item, hours in HABITS if who == user and item is not None]
    mine += [(each.event.item_id or "", each.event.event_type, each.event.time_s) for each in live.pending.get(user, ())]
    seen = {item for item, _, _ in mine} if live.published.checkpoint.hide_seen else set()
    hidden = seen | {item for item, kind, time in mine if time + rules.hide.get(kind, 0) * 86_400 > now}
    out = set()
    for item in TITLES:
        number = int(item[1:])
        category = "Small" if item < "i10" else "Large"
        names = {"Camping", category, f"Camping > {category}"}
        tag = "sale" if item.endswith("5") else "new"
        bounds = wanted.price or Price()
        if (
            item != "i07"
            and (scenario != "cart" or number < 20 or item == "i29")
            and scenario != "never"
            and (wanted.categories_any is None or names & set(wanted.categories_any))
            and names >= set(wanted.categories_all or ())
            and (wanted.tags_any is None or tag in wanted.tags_any)
            and (wanted.item_ids is None or item in wanted.item_ids)
            and (bounds.lt is None or number < bounds.lt)
            and (bounds.lte is None or number <= bounds.lte)
            and (bounds.gt is None or number > bounds.gt)
            and (bounds.gte is None or number >= bounds.gte)
            and item not in hidden
        ):
            out.add(item)
    return out


def demand_the_rules(live: Live, wanted: Filter, scenario: str, exclude: Sequence[str], k: int) -> int:
    """The lists of all users hold what qualifies, and are not empty if anything does; returns the number of lists."""
    now = at(301)
    users = [*(f"u{n:02}" for n in range(40)), "someone", "me", "stranger"]
    asked = [Asked(user, None, k, exclude, now, filter=wanted, scenario=scenario, explain=False) for user in users]
    for user, listed in zip(users, live.recommend_all(asked), strict=True):
        may = qualifying(live, user, scenario, wanted, now) - set(exclude)
        assert set(listed.item_ids) <= may, (user, scenario, wanted)
        assert bool(listed.items) == bool(may), (user, scenario, wanted)
        assert len(set(listed.item_ids)) == len(listed.items)
        if scenario == "cart":
            assert sum(item < "i10" for item in listed.item_ids) <= 2
            assert sum(item >= "i10" for item in listed.item_ids) <= 2
        else:
            assert len(listed.items) == min(k, len(may))
    return len(users)


def test_no_list_shows_what_is_hidden_and_none_is_empty_where_an_item_qualifies(places: Live) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(NARROW, st.sampled_from(["default", "cart", "varied", "never"]), EXCLUDED)
    def any_case(wanted: Filter, scenario: str, exclude: list[str]) -> None:
        demand_the_rules(places, wanted, scenario, exclude, k=5)

    any_case()


@pytest.mark.slow
def test_a_changed_file_of_scenarios_and_items_that_were_put_count_at_once(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    file, live, now = shop.home / "scenarios.toml", shop.start("log-of-changes"), at(400)

    def items(scenario: str = "default") -> set[str]:
        return {row["item_id"] for row in live.recommend(Asked("newcomer", k=1000, now=now, scenario=scenario))}

    try:
        with pytest.raises(NotFoundError, match="no such scenario; name one of default"):
            live.check(Asked("u00", scenario="cart"))
        file.write_text(f"{SCENARIOS}[broken]\nwhere = 'prize > 3'\n[wrong]\nvariety = 7\n", encoding="utf-8")
        assert not live.refresh()
        assert list(live.published.places) == ["default", "cart", "varied", "product-page", "never"]
        assert "scenario broken is left out" in caplog.text
        assert "wrong" in caplog.text
        assert "i05" in items()
        cart = items("cart")
        put = [
            Item("i05", is_available=False),
            Item("i06", price=500.0),
            Item("i07", is_available=True),
            Item("i28", price=1.0, title="Chair"),
        ]
        live.published = live.published.with_items([*put, Item("unheard of", is_available=False)])
        assert items() == {*TITLES} - {"i05"}
        assert items("cart") - cart <= {"i07", "i28", *(item for item in TITLES if item < "i20")}
        assert {"i05", "i06"}.isdisjoint(items("cart"))
        file.write_text("[cart]\nwhere = 'price < 5'\n", encoding="utf-8")
        live.refresh()
        assert items("cart") == {"i00", "i01", "i02", "i03", "i04", "i28"}, "what was put counts under new rules, too"
        assert "Chair" in {row["title"] for row in live.recommend(Asked("newcomer", k=1000, now=now))}
    finally:
        file.unlink()
        live.segments.close()


@pytest.mark.slow
def test_of_100_000_lists_none_shows_what_is_hidden_and_none_is_empty_where_an_item_qualifies(places: Live) -> None:
    n_lists = 0

    @settings(max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(
        NARROW, st.sampled_from(["default", "cart", "varied"]), st.lists(st.sampled_from(sorted(TITLES)), max_size=3), st.integers(1, 30)
    )
    def any_case(wanted: Filter, scenario: str, exclude: list[str], k: int) -> None:
        nonlocal n_lists
        n_lists += demand_the_rules(places, wanted, scenario, exclude, k)

    any_case()
    assert n_lists > 100_000


@pytest.mark.slow
def test_slots_for_new_items_are_the_same_in_tables_and_api_and_are_recorded_with_what_was_served(shop: Shop) -> None:
    (shop.home / "scenarios.toml").write_text("[default]\nnew_item_slots = 1", encoding="utf-8")
    asked_s = shop.minute(learns=False)
    live = shop.start("log-of-slots")
    users = [user for (user,) in shop.rows("select distinct user_id from recs.recommendations where user_id <> '*' order by 1")]
    demand_the_lists_of_the_table(shop, live, asked_s)
    columns = "user_id, item_id, slot, propensity from recs.recommendations"
    published = shop.rows(f"select {columns} where rank = 5 and user_id <> '*' order by user_id")
    assert {slot for _, _, slot, _ in published} == {"exploration"}
    assert shop.rows("select distinct slot, propensity from recs.recommendations where rank <> 5 or user_id = '*'") == [("ranked", 1.0)]
    listed = [live.recommend(Asked(user, now=asked_s, explain=False)) for user in users]
    found = [(user, items[4]["item_id"], items[4]["slot"], items[4]["propensity"]) for user, items in zip(users, listed, strict=True)]
    assert [row[:3] for row in found] == [row[:3] for row in published]
    assert [row[3] for row in found] == pytest.approx([row[3] for row in published], abs=0.02)
    assert len({item for _, item, _, _ in published}) > 2, "the draws differ from user to user"
    by_text = live.recommend(Asked("u00", "red tent", now=asked_s))
    assert {row["slot"] for row in by_text} == {"ranked"}, "who asks in words gets what fits them"
    live.segments.close()
    shop.take_in()
    nested = "item_ids[5], slots[5], propensities[5], len(slots), len(propensities)"
    (served,) = shop.rows(f"select distinct {nested} from ops.served where user_id = 'u00' and len(item_ids) = 10 and slots[5] <> 'ranked'")
    assert served == (listed[0][4]["item_id"], "exploration", pytest.approx(listed[0][4]["propensity"], abs=1e-6), 10, 10)
    (past,) = shop.rows(f"select {nested} from recs.list_history where user_id = 'u00' order by published_at desc limit 1")
    assert past == (published[0][1], "exploration", published[0][3], PUBLISH.n_recommendations, PUBLISH.n_recommendations)
    (shop.home / "scenarios.toml").unlink()
