"""What the API takes in besides events counts in the next list: items that were put, and ids that were merged."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serving.items import Item
from serving.live import Live
from serving.published import Published
from serving.ranking import Asked
from tests.serving.shop import Shop, open_shop
from tests.serving.test_answers import NOW, Http, ids
from tests.serving.test_lists import event, post


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return open_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def live(shop: Shop) -> Iterator[Live]:
    started = shop.start()
    yield started
    started.segments.close()


def put(http: Http, path: str, body: Any = None) -> Any:
    found = http("PUT", path, json=body)
    assert found.status_code == 200, found.text
    return found.json()


def test_an_item_that_was_put_counts_in_the_next_list_and_after_a_restart(shop: Shop, live: Live) -> None:
    http = Http(live)
    assert "i05" in ids(http.post("/v1/recommend", k=50))
    given = [{"item_id": "i05", "is_available": False}, {"item_id": "i06", "price": 500, "title": "Palace"}, {"item_id": "brand-new"}]
    assert put(http, "/v1/items", given) == {"accepted": 3, "rejected": [], "new": ["brand-new"]}
    assert put(http, "/v1/items", given)["new"] == []
    again = shop.start()
    for state in (live, again):
        asking = Http(state)
        listed = asking.post("/v1/recommend", k=50)
        assert "i05" not in ids(listed)
        assert "Palace" in [row["title"] for row in listed["items"]]
        assert "i06" not in ids(asking.post("/v1/recommend", k=50, filter={"price": {"lt": 100}}))
        assert asking.get("/v1/recommend/u01?item=brand-new")["items"], "an item that the model does not know yet does no harm"
    again.segments.close()


def test_everything_a_merged_session_did_counts_for_the_user_at_once(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "clock", lambda: NOW)
    http = Http(live)
    post(live, event("session-7", "i20", 300), event("session-7", "i22", 300.01))
    before, session = http.get("/v1/recommend/me?k=50"), http.get("/v1/recommend/session-7?k=50")
    assert ids(before) != ids(session)
    put(http, "/v1/users/me/merge/session-7")
    assert http.get("/v1/recommend/me?k=50")["items"] == session["items"]
    assert http.get("/v1/users/me/interests")["is_own"]


def test_every_list_is_a_line_of_the_log(shop: Shop) -> None:
    live = shop.start("log-of-served")
    http = Http(live)
    found = [http.get("/v1/recommend/u03?k=2"), http.post("/v1/recommend", session_id="s", k=1, explain=False)]
    live.segments.close()
    lines = [json.loads(line) for path in (shop.home / "log-of-served").glob("*.jsonl") for line in path.read_text().splitlines()]
    served = {line["recommendation_id"]: line for line in lines if line.get("kind") == "served"}
    for listed, user in zip(found, ("u03", "s"), strict=True):
        line = served[listed["recommendation_id"]]
        assert (line["user_id"], line["scenario"], line["model_version"]) == (user, "default", "1")
        assert line["item_ids"] == ids(listed)
        assert len(line["sources"]) == len(line["item_ids"])


def test_the_new_category_of_an_item_that_was_put_counts_for_its_cap_at_once(shop: Shop) -> None:
    (shop.home / "scenarios.toml").write_text("[few]\nmax_per_category = 2\n", encoding="utf-8")
    live = shop.start()
    try:
        http = Http(live)
        first = ids(http.post("/v1/recommend", scenario="few", k=30))
        assert len(first) == 4, "two small tents, two large ones"
        small, large = ([item for item in first if (item < "i10") is is_small] for is_small in (True, False))
        put(http, "/v1/items", [{"item_id": large[0], "categories": ["Camping > Small"]}])
        found = ids(http.post("/v1/recommend", scenario="few", k=30))
        assert len([item for item in found if item < "i10" or item == large[0]]) == 2
        put(http, "/v1/items", [{"item_id": item, "categories": ["Camping > Huge"]} for item in (*small, *large)])
        moved = ids(http.post("/v1/recommend", scenario="few", k=30))
        assert len([item for item in moved if item in (*small, *large)]) == 2
        assert len(moved) == 6
    finally:
        live.segments.close()
        (shop.home / "scenarios.toml").unlink()


def test_lists_are_made_while_the_conditions_of_items_that_were_put_are_computed(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()
    with_items = Published.with_items

    def slow(published: Published, items: Sequence[Item]) -> Published:
        begun.set()
        assert go.wait(10)
        return with_items(published, items)

    monkeypatch.setattr(Published, "with_items", slow)
    writer = threading.Thread(target=live.put_items, args=([Item("i08", title="Slow")],))
    writer.start()
    assert begun.wait(10)
    assert live.recommend(Asked("u01")), "a list does not wait"
    go.set()
    writer.join()
    assert live.published.items.title(live.published.row_of_item["i08"]) == "Slow"


def test_searches_that_wait_are_encoded_again_for_a_version_of_another_encoder(live: Live) -> None:
    post(live, event("seeker", None, 400, event_type="search", query="red tent"))
    (before,) = live.pending["seeker"]
    assert before.vector is not None
    first = live.published
    live._drop_published(replace(first, checkpoint=replace(first.checkpoint, encoder="another")))
    assert [each.vector for each in live.pending["seeker"]] == [None]
    live._drop_published(first)
    (again,) = live.pending["seeker"]
    assert again.vector is not None
    assert np.array_equal(again.vector, before.vector)
