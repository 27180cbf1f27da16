"""What the API takes in besides events counts in the next list: items that were put, and ids that were merged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from serving.live import Live
from tests.serving.shop import Shop, open_shop
from tests.serving.test_answers import Http, assert_same_list, ids
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


def test_everything_a_merged_session_did_counts_for_the_user_at_once(live: Live) -> None:
    http = Http(live)
    post(live, event("session-7", "i20", 300), event("session-7", "i22", 300.01))
    before, session = http.get("/v1/recommend/me?k=50"), http.get("/v1/recommend/session-7?k=50")
    assert ids(before) != ids(session)
    put(http, "/v1/users/me/merge/session-7")
    assert_same_list(http.get("/v1/recommend/me?k=50"), session)
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
