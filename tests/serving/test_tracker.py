"""The tracker on a page of another origin, in a real Chromium: what it sends, and that it sends nothing to those who do not want it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp

from serving.admission import admitted
from serving.keys import Keys
from serving.tracker import TRACKER, tracker_routes
from tasks.config import ServerConfig
from tests.conftest import find_free_port
from tests.flows.browser import Browser, open_browser

PAGE = """<!doctype html><title>shop</title>{before}
<script defer src="{tracker}" data-key="{key}" data-item="tent" data-user="{user}"{more}></script>
<h1>Tent</h1>
<ul data-mh-list="r-1"><li data-mh-item="lamp"><a href="#lamp">Lamp</a></li><li data-mh-item="stove"><b>Stove</b></li></ul>
<div style="height: 5000px"></div><p data-mh-item="below">Below</p>"""
QUIET = '<script>Object.defineProperty(navigator, "globalPrivacyControl", {value: true})</script>'


@dataclass
class Shop:
    """A page of one origin, an API of another, and the events that the API was sent."""

    api: str
    page: str
    key: str
    events: list[dict[str, Any]] = field(default_factory=list)
    before: str = ""
    user: str = ""
    more: str = ""
    routed: set[str | None] = field(default_factory=set)

    def until(self, n_events: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 20
        while len(self.events) < n_events:
            assert time.monotonic() < deadline, self.events
            time.sleep(0.05)
        return self.events


def run(app: ASGIApp, port: int) -> uvicorn.Server:
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    page_port, api_port = find_free_port(), find_free_port()
    keys = Keys(tmp_path)
    found = Shop(f"http://127.0.0.1:{api_port}", f"http://localhost:{page_port}/", keys.add(["events"])[0])
    api, pages = FastAPI(), FastAPI()
    api.include_router(tracker_routes())

    @api.post("/v1/events")
    async def events(request: Request) -> None:
        found.routed.add(request.query_params.get("user_id"))
        found.events += await request.json()

    @pages.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return PAGE.format(before=found.before, tracker=f"{found.api}/tracker.js", key=found.key, user=found.user, more=found.more)

    servers = [run(admitted(api, ServerConfig(api_origins=found.page.rstrip("/")), keys), api_port), run(pages, page_port)]
    yield found
    for server in servers:
        server.should_exit = True


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser("--window-size=1300,900") as opened:
        yield opened


def script(browser: Browser, text: str) -> Any:
    return browser.ask("/execute/sync", script=text, args=[])


def test_the_tracker_is_small_and_names_no_other_host(shop: Shop) -> None:
    text = TRACKER.read_text(encoding="utf-8")
    assert len(text) < 6000
    assert "://" not in text
    answer = httpx.get(f"{shop.api}/tracker.js", trust_env=False)
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.slow
def test_views_impressions_clicks_and_searches_arrive_with_list_and_position(shop: Shop, browser: Browser) -> None:
    browser.go(shop.page)
    sent = shop.until(3)
    session = script(browser, "return minutehand.session")
    assert session == script(browser, "return localStorage.getItem('minutehand-session')")
    seen = {(each["event_type"], each["item_id"], each.get("recommendation_id"), each.get("position")) for each in sent}
    assert seen == {("view", "tent", None, None), ("impression", "lamp", "r-1", 1), ("impression", "stove", "r-1", 2)}
    assert {each["session_id"] for each in sent} == {session}
    assert len({each["event_id"] for each in sent}) == 3

    browser.click("Stove")
    (clicked,) = shop.until(4)[3:]
    assert (clicked["event_type"], clicked["item_id"], clicked["recommendation_id"], clicked["position"]) == ("click", "stove", "r-1", 2)
    script(
        browser, "minutehand.user = 'u1'; minutehand.search('for rain'); minutehand.track({event_type: 'cart', item_id: 'tent', value: 9})"
    )
    searched, bought = shop.until(6)[4:]
    assert (searched["query"], searched["user_id"]) == ("for rain", "u1")
    assert (bought["event_type"], bought["value"]) == ("cart", 9)


@pytest.mark.slow
def test_a_click_within_the_first_second_brings_its_impression_and_brings_it_once(shop: Shop, browser: Browser) -> None:
    browser.go(shop.page)
    script(browser, "document.querySelector('[data-mh-item=stove] b').click(); document.querySelector('[data-mh-item=stove] b').click()")
    sent = [(each["event_type"], each["item_id"]) for each in shop.until(5)]
    assert sorted(sent) == [("click", "stove"), ("click", "stove"), ("impression", "lamp"), ("impression", "stove"), ("view", "tent")]
    assert sent.index(("impression", "stove")) < sent.index(("click", "stove"))


@pytest.mark.slow
def test_what_is_added_or_scrolled_to_later_is_seen_and_what_waits_is_sent_when_the_page_is_left(shop: Shop, browser: Browser) -> None:
    browser.go(shop.page)
    shop.until(3)
    script(browser, "const p = document.createElement('p'); p.innerHTML = '<b data-mh-item=late>Late</b>'; document.body.prepend(p)")
    assert shop.until(4)[3]["item_id"] == "late"
    script(browser, "document.querySelector('[data-mh-item=below]').scrollIntoView()")
    assert shop.until(5)[4]["item_id"] == "below"
    script(browser, "minutehand.view('lamp')")
    browser.go("about:blank")
    assert shop.until(6)[5]["item_id"] == "lamp"


@pytest.mark.slow
@pytest.mark.parametrize(("more", "routed"), [("", None), (" data-route", "anna & co")])
def test_only_with_the_attribute_for_proxies_requests_name_the_user_in_their_query(
    more: str, routed: str | None, shop: Shop, browser: Browser
) -> None:
    shop.more, shop.user = more, "anna & co"
    browser.go(shop.page)
    assert shop.until(1)
    assert shop.routed == {routed}


@pytest.mark.slow
def test_more_than_a_beacon_can_carry_arrives_in_several(shop: Shop, browser: Browser) -> None:
    browser.go(shop.page)
    shop.until(3)
    script(browser, "for (let n = 0; n < 45; n++) minutehand.search('x'.repeat(3000) + n); minutehand.flush()")
    assert len(shop.until(48)) == 48


@pytest.mark.slow
def test_the_session_lasts_and_a_user_is_named(shop: Shop, browser: Browser) -> None:
    shop.user = "ü/1"
    browser.go(shop.page)
    shop.until(3)
    browser.go(f"{shop.page}?again")
    assert len({each["session_id"] for each in shop.until(6)}) == 1
    assert {each["user_id"] for each in shop.events} == {"ü/1"}


@pytest.mark.slow
def test_a_browser_that_asks_not_to_be_tracked_stores_and_sends_nothing(shop: Shop, browser: Browser) -> None:
    shop.before = QUIET
    browser.go(shop.page)
    script(browser, "localStorage.clear()")
    browser.go(f"{shop.page}?again")
    browser.click("Stove")
    script(browser, "minutehand.view('lamp'); minutehand.search('rain'); minutehand.flush()")
    time.sleep(3.5)
    assert script(browser, "return [minutehand.isOff, minutehand.session, localStorage.length]") == [True, None, 0]
    assert shop.events == []
