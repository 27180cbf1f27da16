"""Reasons in the words of a language model: only where a setting asks, bounded, checked and worded once; else the template stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest

from models.results import RankedLists
from tasks.config import GeneratorConfig
from tasks.lake import Lake, writing
from tasks.publish.reason_texts import word_reasons
from tests.tasks.endpoint import FakeEndpoint, open_endpoint, send
from tests.tasks.publish.test_night import CATALOG, add_events, add_item, put, ranked, rows, snapshot_of

TITLES = {"a": "Walnut Cleaver", "b": "Copper Kettle", "c": "Linen Apron", "d": "Slate Board"}


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with open_endpoint() as fake:
        yield fake


@pytest.fixture
def lists(lake: Lake) -> RankedLists:
    """u has bought a and viewed b, and v has viewed b; the last row of u cites the item itself."""
    for item_id, title in TITLES.items():
        add_item(lake, item_id, title)
    add_events(lake, ("u", "a", "purchase", 1), ("u", "b", "view", 2), ("v", "b", "view", 3))
    because, kind = np.array([[0, 1, 0], [1, 1, -1]]), np.array([[0, 1, 0], [1, 1, -1]])
    return replace(ranked({"u": [2, 3, 0], "v": [2, 0, 3]}), because=because, kind=kind, kind_names=("purchase", "view"))


def config_of(endpoint: FakeEndpoint, reasons: int = 10, **more: float) -> GeneratorConfig:
    return GeneratorConfig.model_validate({"url": endpoint.url, "model": "tiny", "timeout_s": 5, "reasons": reasons, **more})


def echoes(endpoint: FakeEndpoint, text: str = "It goes well with the {title} in your history.") -> None:
    """The endpoint answers with the title that it was sent."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        (title,) = json.loads(endpoint.asked[-1]["messages"][1]["content"].partition("\n")[2])["titles"]
        send(handler, json.dumps({"choices": [{"message": {"content": text.format(title=title)}}]}).encode())

    endpoint.respond = respond


def word(lake: Lake, lists: RankedLists, config: GeneratorConfig, *, is_night: bool = True) -> int:
    return word_reasons(lake, CATALOG, lists, snapshot_of(lake), config, is_night=is_night)


def reasons_of(lake: Lake, user: str) -> list[str]:
    return [text for (text,) in rows(lake, f"select reason from recs.recommendations where user_id = '{user}' order by rank")]


def test_by_default_nothing_is_asked_and_nothing_is_written(lake: Lake, lists: RankedLists, endpoint: FakeEndpoint) -> None:
    before = snapshot_of(lake)
    assert word(lake, lists, GeneratorConfig()) == word(lake, lists, config_of(endpoint, reasons=0)) == 0
    assert (endpoint.asked, snapshot_of(lake)) == ([], before)


def test_reasons_that_cite_an_event_are_published_in_the_words_of_the_model(lake: Lake, lists: RankedLists, endpoint: FakeEndpoint) -> None:
    echoes(endpoint)
    assert word(lake, lists, config_of(endpoint)) == 2, "a text serves every user who viewed the kettle"
    put(lake, lists)
    kettle = "It goes well with the Copper Kettle in your history."
    assert reasons_of(lake, "u") == ["It goes well with the Walnut Cleaver in your history.", kettle, "because you bought it before"]
    assert reasons_of(lake, "v") == [kettle, kettle, "popular right now"]
    asked = json.dumps(endpoint.asked)
    assert '"event\\": [\\"purchase' in asked
    assert not re.search(r'\\"[uv]\\"', asked), "no user is sent"


@pytest.mark.slow
@pytest.mark.parametrize(
    "lie", ["You bought the {title}.", "It goes with your Slate Board.", "Two {title} fans liked it.", "{title} and then"]
)
def test_a_lie_leaves_the_template_and_is_not_asked_for_again(lie: str, lake: Lake, lists: RankedLists, endpoint: FakeEndpoint) -> None:
    echoes(endpoint, lie)
    is_viewed = replace(lists, because=np.where(lists.because == 0, -1, lists.because))
    assert word(lake, is_viewed, config_of(endpoint)) == 1
    put(lake, is_viewed)
    assert reasons_of(lake, "v")[0] == "because you viewed Copper Kettle"
    word(lake, is_viewed, config_of(endpoint))
    assert len(endpoint.asked) == 1


def test_the_first_ranks_come_first_and_the_number_is_bounded(lake: Lake, lists: RankedLists, endpoint: FakeEndpoint) -> None:
    echoes(endpoint)
    word(lake, lists, config_of(endpoint, reasons=1))
    assert len(endpoint.asked) == 1
    assert "Copper Kettle" in json.dumps(endpoint.asked), "both are in a first row, and the kettle is in more rows"
    only_second = replace(lists, because=np.array([[-1, 0, -1], [-1, -1, -1]]))
    assert word(lake, only_second, config_of(endpoint, reason_ranks=1)) == 0


def test_a_minute_keeps_the_texts_of_the_night_and_words_as_many_as_its_setting_says(
    lake: Lake, lists: RankedLists, endpoint: FakeEndpoint
) -> None:
    echoes(endpoint)
    word(lake, lists, config_of(endpoint, reasons=1))
    assert word(lake, lists, config_of(endpoint), is_night=False) == 0
    assert word(lake, lists, config_of(endpoint, minute_reasons=5), is_night=False) == 1
    put(lake, lists)
    assert reasons_of(lake, "u")[0] == "It goes well with the Walnut Cleaver in your history."


def test_an_error_leaves_the_templates_and_is_asked_for_again(lake: Lake, lists: RankedLists, endpoint: FakeEndpoint) -> None:
    endpoint.respond = lambda handler: send(handler, b"{}", 500)
    assert word(lake, lists, config_of(endpoint)) == 0
    put(lake, lists)
    assert reasons_of(lake, "v")[0] == "because you viewed Copper Kettle"
    echoes(endpoint)
    assert word(lake, lists, config_of(endpoint)) == 2


def test_a_night_without_the_setting_forgets_all_texts(lake: Lake, lists: RankedLists, endpoint: FakeEndpoint) -> None:
    echoes(endpoint)
    word(lake, lists, config_of(endpoint))
    word(lake, lists, config_of(endpoint, reasons=0))
    assert rows(lake, "select count(*) from features.reason_texts") == [(0,)]
    put(lake, lists)
    assert reasons_of(lake, "v")[0] == "because you viewed Copper Kettle"


@pytest.mark.slow
def test_a_night_words_the_interests_that_the_lists_of_the_day_before_cite(lake: Lake, lists: RankedLists, endpoint: FakeEndpoint) -> None:
    with writing(lake) as con:
        con.execute("update raw.items set categories = ['Kitchen'] where item_id in ('a', 'b')")
    for n in range(9):
        add_item(lake, f"e{n}", f"Thing {n}")
    of_interest = replace(lists, because=np.full((2, 3), -1), kind=np.full((2, 3), -1), item=np.array([[1, 2, 3], [0, 2, 3]]))
    put(lake, of_interest)
    assert reasons_of(lake, "u")[0] == "because of your interest in Kitchen"
    endpoint.says("A fine addition to your kitchen.")
    assert word(lake, of_interest, config_of(endpoint)) == 1
    put(lake, of_interest)
    assert reasons_of(lake, "u")[0] == reasons_of(lake, "v")[0] == "A fine addition to your kitchen."
