"""The report of a night for the owner of the shop: in plain words, escaped, without scripts, and without a person in it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasks.config import HealthConfig
from tasks.lake import Lake, writing
from tasks.night.page import Night, night_page, save
from tests.tasks.publish.test_night import add_events, add_item, put, ranked

NIGHT = Night("night 2026-11-28", "2", "2", "Version 2 is the champion", "run-2", 7, True)
HOSTILE = "<script>alert(1)</script> & \x1b[2J\u202e\" ' " + "x" * 200
TODAY = datetime(2026, 11, 28, 3, 30)
RATES = """
    insert into eval.online by name
    select
        $hour::timestamp as hour, '1' as model_version, 'default' as scenario, 'model' as source, 'ranked' as slot, 1 as position,
        'warm_user_warm_item' as segment, $arm as arm, unnest(['ctr', 'conversion', 'value']) as metric,
        unnest([$clicked, $bought, $worth]) as numerator, 1000.0 as denominator, 0.0 as value
"""


class Pages(HTMLParser):
    """Collects the tags of a page, and fails on one that is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "br", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text_of(html: str) -> str:
    body = html.partition("<main>")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


@pytest.fixture
def shop(lake: Lake) -> Lake:
    """A lake with three items, of which one has a hostile title, and two nights."""
    for item_id, title in (("a", HOSTILE), ("b", "Beta lamp"), ("c", None)):
        add_item(lake, item_id, title)
    with writing(lake) as con:
        con.execute("update raw.items set categories = ['Lamps & <b>more</b>']")
    add_events(lake, ("secret-person", "a", "view", 1))
    put(lake, ranked({"secret-person": [0, 1], "other": [0, 1]}))
    return lake


def page(lake: Lake, night: Night = NIGHT) -> str:
    return night_page(lake, night, HealthConfig(), now=TODAY)


def test_a_page_is_whole_has_no_script_names_no_person_and_shows_titles_as_text(shop: Lake) -> None:
    html = page(shop)
    parsed = Pages()
    parsed.feed(html)
    assert parsed.open == []
    assert not parsed.tags & {"script", "img", "link", "iframe"}
    assert not re.search(r"https?://|\x1b|\u202e", html.replace("http://www.w3.org/2000/svg", ""))
    assert "secret-person" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; \\x1b[2J\\u202e" in html
    assert "Lamps &amp; &lt;b&gt;more&lt;/b&gt;" in html
    assert max(map(len, re.findall(r"x{20,}", html))) < 90, "a long title is cut"


def test_without_impressions_the_page_says_how_to_send_them_and_the_first_night_has_nothing_to_compare_with(shop: Lake) -> None:
    text = text_of(page(shop))
    assert "2 people have a list of their own" in text
    assert "Nobody has reported in the last seven days which recommendations people saw" in text
    assert "data-mh-list" in text
    assert "This is the first night of which lists are kept" in text
    assert "still learning" in text


def test_the_page_says_what_was_clicked_and_bought_per_thousand_shown_and_for_both_arms(shop: Lake) -> None:
    with writing(shop) as con:
        for days, arm, clicked, bought, worth in (
            (1, "control", 30.0, 4.0, 100.0),
            (1, "challenger", 50.0, 5.0, 150.5),
            (9, None, 20.0, 2.0, 0.0),
        ):
            con.execute(RATES, {"hour": TODAY - timedelta(days=days), "arm": arm, "clicked": clicked, "bought": bought, "worth": worth})
    text = text_of(page(shop))
    assert "saw a recommended product 2,000 times. Of every 1,000 times, 40 led to a click and 4.5 to a purchase ." in text
    assert "worth 250.50 together. In the week before it was 20 and 2." in text
    assert "People with the model as it is 1,000 30 4 People with the model on trial 1,000 50 5" in text


def test_the_page_says_which_products_gained_and_lost_places_since_the_night_before(shop: Lake) -> None:
    put(shop, ranked({"secret-person": [1, 2], "other": [1, 2]}), version="2")
    text = text_of(page(shop))
    assert "2 of 2 people see another first ten products than after the night before." in text
    assert "Shown to more people before now c 0% 100%" in text
    assert "Shown to fewer people before now &lt;script&gt;" in text


def test_a_night_that_did_not_go_live_is_said_in_plain_words(shop: Lake) -> None:
    refused = Night("night", "3", "2", "refused", "run-3", 7, False)
    assert "not good enough, so the lists come from the model that you had before" in text_of(page(shop, refused))


def test_a_second_night_of_a_day_does_not_overwrite_the_report_of_the_first(home: Path) -> None:
    first, second = save("one", home, TODAY), save("two", home, TODAY)
    assert (first.name, first.read_text(), second.read_text()) == ("2026-11-28.html", "one", "two")
