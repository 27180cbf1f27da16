"""`minutehand graph`: a table for people, rows for programs, and a page that runs no text of the data."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.lake import LakeConfig, locate, migrate
from tests.cli.test_ingest import minutehand
from tests.cli.test_reading import HOSTILE, on_terminal
from tests.flows.browser import Browser, open_browser
from tests.tasks.publish.test_night import add_events, put, ranked
from tests.tasks.test_graph import START, describe

SCRIPT = "</script><script>window.bad = 1</script><img src=http://evil.example/x onerror='window.bad = 2'><!--"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a graph whose titles and categories attack a page and a terminal."""
    home = tmp_path_factory.mktemp("home")
    lake = locate(LakeConfig(), home)
    migrate(lake)
    describe(lake, ("42", "Gamma", [], []), ("c", "Delta", ["Tools"], []))
    describe(lake, ("a", SCRIPT, ["Kitchen > Pans"], []), ("b", HOSTILE, [SCRIPT, "Kitchen"], ["iron"]))
    add_events(lake, ("42", "a", "view", START), ("042", "b", "view", START), ("042", "a", "view", START), ("late", "c", "view", START))
    put(lake, ranked({"42": [1, 0]}))
    add_events(lake, ("new", "a", "view", START))
    return home


@pytest.mark.slow
def test_the_edges_of_a_user_an_item_and_a_category_are_shown_with_names_and_shares(shop: Path) -> None:
    rows = json.loads(minutehand("graph", "42", "--json", home=shop).stdout)
    assert [(row["source"], row["relation"], row["node"], row["kind"], row["share"]) for row in rows] == [
        ("user:42", "acted_on", "item:a", "item", 1.0)
    ]
    assert {"weight", "model_version", "data_snapshot", "generated_at"} < rows[0].keys()
    for words in (("--item", "a"), ("item:a",)):
        rows = json.loads(minutehand("graph", *words, "-k", "1", "--json", home=shop).stdout)
        assert [(row["relation"], row["node"]) for row in rows] == [
            ("acted_on_by", "user:042"),
            ("in_category", "category:Kitchen > Pans"),
            ("seen_together", "item:b"),
        ]
    shown = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal("graph", "category:Tools", home=shop))
    assert "category Tools: model version 1" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert all(text in shown for text in ("has_item", "item:c", "Delta", "1.0000"))
    assert "\x9b" not in on_terminal("graph", "--item", "b", home=shop)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("0042",), "nobody called 0042 has history (did you mean '042', '42'?)"),
        (("new",), "user 'new' is not in the graph yet: the next minute or night adds it"),
        (("--item", "gam"), "no item 'gam'; did you mean 42 (Gamma)?"),
        (("item:nothing",), "no item 'nothing'; "),
        (("category:Nowhere",), "no category 'Nowhere' in the graph; "),
        ((), "name one node: a user, --item ITEM, or a node such as"),
        (("42", "--item", "a"), "name one node: a user, --item ITEM, or a node such as"),
        (("42", "--out", "graph.png"), "--out graph.png: the page ends in .html"),
        (("42", "--force"), "--force overwrites the file that --out names"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_unknown_node_or_a_wrong_option_is_one_line_with_a_remedy(words: tuple[str, ...], message: str, shop: Path) -> None:
    done = minutehand("graph", *words, home=shop)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert done.stderr.startswith(f"error: {message}")


@pytest.mark.slow
def test_a_page_is_one_file_that_is_not_overwritten_and_in_which_no_title_is_markup(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "graph.html"
    done = minutehand("graph", "42", "--out", str(file), home=shop)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout == f"5 nodes and 6 edges in {file}\n"
    text = file.read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2
    assert "evil.example/x onerror" not in text.replace("\\u003cimg src=http://evil.example/x onerror", "")
    assert "\x9b" not in text
    assert "graph.html is there already" in minutehand("graph", "042", "--out", str(file), home=shop).stderr
    assert minutehand("graph", "042", "--out", str(file), "--force", "--json", home=shop).returncode == 0
    assert file.read_text(encoding="utf-8") != text


def _run(browser: Browser, script: str) -> Any:
    return browser.ask("/execute/sync", script=script, args=[])


def _pointer(browser: Browser, *steps: dict[str, Any]) -> None:
    browser.ask("/actions", actions=[{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": list(steps)}])


def _moved(x: float, y: float) -> dict[str, Any]:
    return {"type": "pointerMove", "x": int(x), "y": int(y), "duration": 50}


CENTRE = """
const box = document.querySelector(".centre path").getBoundingClientRect();
return [box.x + box.width / 2, box.y + box.height / 2];
"""


@pytest.mark.slow
def test_the_page_works_without_network_shows_a_node_under_the_pointer_and_lets_it_be_dragged(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "graph.html"
    assert minutehand("graph", "042", "--out", str(file), home=shop).returncode == 0
    with open_browser() as browser:
        browser.go(file.as_uri())
        browser.shows("user 042", "Drag nodes")
        assert _run(browser, "return window.bad ?? null") is None
        assert _run(browser, "return document.images.length") == 0
        assert _run(browser, "return performance.getEntriesByType('resource').length") == 0
        assert _run(browser, "return document.querySelectorAll('.node').length") == 8
        x, y = _run(browser, CENTRE)
        _pointer(browser, _moved(x, y))
        assert "user:042" in _run(browser, "return document.getElementById('tip').innerText")
        down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
        _pointer(browser, _moved(x, y), down, _moved(x + 60, y + 40), _moved(x + 120, y + 80), up)
        time.sleep(1)
        assert _run(browser, CENTRE) == pytest.approx([x + 120, y + 80], abs=3)
