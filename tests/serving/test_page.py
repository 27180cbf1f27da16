"""The page to try lists and the page of the API, in a real Chromium: by mouse, by keyboard, and on a phone."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn

from serving.app import create_app
from serving.guard import Guard
from serving.live import Live
from serving.pages import FILES, STATIC
from tasks.config import IngestConfig
from tasks.lake import Lake
from tests.conftest import find_free_port
from tests.flows.browser import ENTER, Browser, open_browser
from tests.serving.test_live import answered, start

__all__ = ["start"]
TAB = "\ue004"
ITEMS_SHOWN = (
    "return [...document.querySelectorAll('section')].map(list => [...list.querySelectorAll('li button')].map(row => row.dataset.item))"
)
FOCUSED = "return document.activeElement.id || document.activeElement.dataset.item || document.activeElement.textContent.trim()"


@pytest.fixture
def address(start: Callable[[], Live]) -> Iterator[str]:
    """The API of the five fruits on a free port."""
    port = find_free_port()
    app = Guard(create_app(start(), IngestConfig()), {"127.0.0.1"})
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser("--window-size=1300,900") as opened:
        yield opened


def run(browser: Browser, script: str) -> object:
    return browser.ask("/execute/sync", script=script, args=[])


def lists(browser: Browser) -> list[list[str]]:
    found: list[list[str]] = browser.ask("/execute/sync", script=ITEMS_SHOWN, args=[])
    return found


def press_keys(browser: Browser, text: str) -> None:
    keys = [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")]
    browser.ask("/actions", actions=[{"type": "key", "id": "keyboard", "actions": keys}])


def test_the_pages_name_no_other_host_and_every_file_that_they_name_is_served(start: Callable[[], Live]) -> None:
    live = start()
    named = set()
    for path in ("/", "/docs"):
        page = answered(live, "GET", path)
        assert page.status_code == 200
        named |= set(re.findall(r'(?:href|src)="([^":]+)"', page.text))
    texts = [file.read_text(encoding="utf-8") for file in STATIC.iterdir()]
    assert [text for text in texts if re.search(r"(?:https?:)?//\w+\.\w+", text)] == []
    assert {f"static/{name}" for name in FILES if name != "api.js"} <= named
    paths = {name.removeprefix(".").partition("#")[0] for name in named}
    assert {path: answered(live, "GET", f"/{path}").status_code for path in paths} == dict.fromkeys(paths, 200)
    assert answered(live, "GET", "/static/..%2Fpages.py").status_code == 404


def test_the_page_proposes_known_users(start: Callable[[], Live], lake: Lake) -> None:
    assert answered(start(), "GET", "/v1/users?prefix=o").json() == {"users": ["old"]}
    assert answered(start(), "GET", "/v1/users?prefix=x").json() == {"users": []}


@pytest.mark.slow
def test_both_lists_change_when_a_user_presses_an_item(address: str, browser: Browser) -> None:
    browser.go(address)
    browser.shows("Model version 1", "apple", "Choose a user.")
    browser.enter("#user", f"mona{ENTER}")
    browser.click("apple")
    browser.shows("click on “apple”: stored, and in both lists after")
    assert [("apple" in shown, len(shown)) for shown in lists(browser)] == [(False, 4), (False, 4)], "this version hides what a user had"
    browser.shows("1 newer event is in the lists already")


@pytest.mark.slow
def test_without_a_user_the_page_says_what_is_missing_and_moves_the_focus_there(address: str, browser: Browser) -> None:
    browser.go(address)
    browser.shows("apple")
    browser.click("apple")
    browser.shows("Type the name of a user first")
    assert run(browser, FOCUSED) == "user"


@pytest.mark.slow
def test_the_page_works_by_keyboard_alone(address: str, browser: Browser) -> None:
    browser.go(address)
    browser.shows("apple")
    run(browser, "document.getElementById('user').focus()")
    press_keys(browser, f"kim{ENTER}")
    browser.shows("apple")
    for _ in range(12):
        if run(browser, FOCUSED) in lists(browser)[0]:
            break
        press_keys(browser, TAB)
    pressed = run(browser, FOCUSED)
    press_keys(browser, ENTER)
    browser.shows(f"click on “{pressed}”: stored")
    assert all(pressed not in shown for shown in lists(browser))
    assert run(browser, FOCUSED) in lists(browser)[0], "the focus stays in the list"


@pytest.mark.slow
def test_on_a_phone_nothing_is_cut_off(address: str, browser: Browser) -> None:
    browser.ask("/window/rect", width=500, height=900)  # the narrowest window of Chromium
    try:
        browser.go(address)
        browser.shows("apple")
        run(browser, "document.body.style.width = '360px'")
        assert run(browser, "return document.body.scrollWidth") == 360
        assert run(browser, "return document.getElementById('text').offsetWidth > 300"), "there is room for words"
    finally:
        browser.ask("/window/rect", width=1300, height=900)


@pytest.mark.slow
def test_where_a_key_is_needed_the_page_says_so_and_asks_for_it(address: str, browser: Browser) -> None:
    browser.go(address)
    browser.shows("apple")
    run(browser, "window.fetch = async () => new Response('{}', {status: 401})")
    browser.enter("#user", f"mona{ENTER}")
    browser.shows("This server shows lists to those with a key only: paste one above. Make one: minutehand keys add read events")
    assert run(browser, FOCUSED) == "secret"


@pytest.mark.slow
def test_titles_are_text_and_never_markup(start: Callable[[], Live], address: str, browser: Browser) -> None:
    browser.go(address)
    browser.enter("#user", f"<img src=x onerror=document.title='run'>{ENTER}")
    browser.click("pear")
    browser.shows("click on “pear”: stored")
    assert run(browser, "return [document.title, document.images.length]") == ["minutehand", 0]


@pytest.mark.slow
def test_the_page_of_the_api_sends_a_request(address: str, browser: Browser) -> None:
    browser.go(f"{address}/docs")
    browser.shows("/v1/recommend/{user_id}", "/v1/events")
    sent = """const at = [...document.querySelectorAll('details')].find(each => each.textContent.includes('/health/ready'));
    at.open = true; at.querySelector('form').requestSubmit();"""
    run(browser, sent)
    browser.shows("200 after", '"model_version": "1"')
    assert browser.refused_hosts() == set()
