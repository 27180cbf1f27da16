"""The answers of the API: their shape, and one line that says what is wrong with a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from serving.app import create_app
from serving.live import Live
from tasks.config import IngestConfig
from tests.serving.shop import TITLES, Shop, open_shop
from tests.serving.test_lists import event, post

NOW = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
"""The time of requests whose lists are compared: a score depends on it."""
SCENARIOS = """
[cart]
where = "price < 20"
[product-page]
needs_item = true
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    found = open_shop(tmp_path_factory.mktemp("shop"))
    (found.home / "scenarios.toml").write_text(SCENARIOS, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def live(shop: Shop) -> Iterator[Live]:
    started = shop.start()
    yield started
    started.segments.close()


class Http:
    """Requests to the application of a state."""

    def __init__(self, live: Live) -> None:
        self.app = create_app(live, IngestConfig())

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://127.0.0.1") as http:
                return await http.request(method, path, **more)

        return asyncio.run(ask())

    def get(self, path: str) -> Any:
        found = self("GET", path)
        assert found.status_code == 200, found.text
        return found.json()

    def post(self, path: str, **body: Any) -> Any:
        found = self("POST", path, json=body)
        assert found.status_code == 200, found.text
        return found.json()


@pytest.fixture(scope="module")
def http(live: Live) -> Http:
    return Http(live)


def ids(answer: Any) -> list[str]:
    return [row["item_id"] for row in answer["items"]]


def test_a_list_names_its_id_model_snapshot_and_scenario_and_every_row_its_reason_and_source(
    http: Http, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "clock", lambda: NOW)
    found = http.get("/v1/recommend/u00?k=3")
    assert list(found) == ["recommendation_id", "model_version", "snapshot", "scenario", "items"]
    assert (found["model_version"], found["snapshot"], found["scenario"]) == ("1", live.published.data_snapshot, "default")
    columns = ["item_id", "title", "score", "probability", "reason", "source", "slot", "propensity"]
    assert [list(row) for row in found["items"]] == [columns] * 3
    assert {(row["slot"], row["propensity"]) for row in found["items"]} == {("ranked", 1.0)}
    assert all(row["title"] == TITLES[row["item_id"]] and row["reason"] and row["source"] for row in found["items"])
    plain = http.get("/v1/recommend/u00?k=3&explain=false")
    assert plain["recommendation_id"] != found["recommendation_id"]
    assert ids(plain) == ids(found)
    assert {(row["reason"], row["source"]) for row in plain["items"]} == {(None, None)}
    assert http.post("/v1/recommend", user_id="u00", k=3)["items"] == found["items"]


def test_pages_go_on_where_the_last_one_ended_until_nothing_is_left(http: Http) -> None:
    page = http.post("/v1/recommend", user_id="u00", k=7)
    seen = ids(page)
    while page["items"]:
        page = http.post("/v1/recommend", user_id="u00", k=7, after=page["recommendation_id"])
        assert set(seen).isdisjoint(ids(page))
        seen += ids(page)
    everything = http.post("/v1/recommend", user_id="u00", k=1000)
    assert seen == ids(everything)


def test_items_in_front_of_a_person_steer_the_list_and_are_not_in_it(http: Http) -> None:
    plain = http.post("/v1/recommend", k=1000)
    found = http.get("/v1/recommend/stranger?k=1000&scenario=product-page&item=i03")
    assert found["scenario"] == "product-page"
    assert set(ids(found)) == set(ids(plain)) - {"i03"}
    assert ids(found) != [item for item in ids(plain) if item != "i03"]
    assert {row["source"] for row in plain["items"]} == {"popular"}
    several = http.get("/v1/recommend/u00?item=i03&item=i04&k=1000")
    assert {"i03", "i04"}.isdisjoint(ids(several))


def test_a_session_and_a_user_can_be_one_person(http: Http, live: Live) -> None:
    post(live, event("session-1", "i20", 300), event("session-1", "i22", 300.01))
    by_session, both = (
        http.post("/v1/recommend", session_id="session-1", k=1000),
        http.post("/v1/recommend", session_id="session-1", user_id="u01", k=1000),
    )
    alone = http.post("/v1/recommend", user_id="u01", k=1000)
    if live.published.checkpoint.hide_seen:
        assert {"i20", "i22"}.isdisjoint([*ids(by_session), *ids(both)])
    assert by_session["items"] != alone["items"] != both["items"]


def test_a_text_is_answered_with_what_fits_it_and_a_filter_narrows_it(http: Http) -> None:
    found, other = (http.post("/v1/recommend", text=text, k=10) for text in ("red tent", "green tent"))
    n_red, n_other = (sum(row["title"].startswith("red") for row in listed["items"]) for listed in (found, other))
    assert n_red > n_other
    assert {row["source"] for row in found["items"]} <= {"search", "sequence", "popularity", "new"}
    assert any(row["reason"] == "because you searched for “red tent”" for row in found["items"])
    narrow = http.post("/v1/recommend", text="red tent", k=50, filter={"categories_any": ["Small"], "price": {"lt": 5}})
    assert set(ids(narrow)) == {"i00", "i01", "i02", "i03", "i04"}
    assert http.post("/v1/recommend", text="red tent", filter={"categories_any": ["Elsewhere"]})["items"] == []


def test_a_scenario_narrows_the_list_and_another_variety_can_be_asked_for(http: Http) -> None:
    assert max(ids(http.get("/v1/recommend/u00?scenario=cart&k=50"))) < "i20"
    plain, varied = http.get("/v1/recommend/u00?k=20&variety=0"), http.post("/v1/recommend", user_id="u00", k=20, variety=1)
    assert ids(plain)[0] == ids(varied)[0]
    assert ids(plain) != ids(varied)
    assert {"name": "product-page", "needs_item": True} in http.get("/v1/scenarios")["scenarios"]


def test_many_requests_get_the_lists_that_each_alone_gets(http: Http) -> None:
    requests: list[dict[str, Any]] = [
        {"user_id": "u00", "k": 3},
        {"user_id": "u01"},
        {"text": "green tent"},
        {"user_id": "u02", "scenario": "cart"},
    ]
    found = http.post("/v1/recommend/batch", requests=requests)["lists"]
    for request, listed in zip(requests, found, strict=True):
        alone = http.post("/v1/recommend", **request)
        assert ids(listed) == ids(alone)
        assert [row["reason"] for row in listed["items"]] == [row["reason"] for row in alone["items"]]
    assert found[3]["scenario"] == "cart"


def test_similar_popular_and_found_items(http: Http, shop: Shop) -> None:
    rows = shop.rows("select similar_item_id, similarity from recs.similar_items where item_id = 'i03' order by rank")
    near = http.get(f"/v1/similar/i03?k={len(rows)}")
    assert [row["score"] for row in near["items"]] == pytest.approx([similarity for _, similarity in rows], abs=1e-4)
    assert ids(near)[0] == rows[0][0]
    popular = http.get("/v1/popular?k=12")
    rows = shop.rows("select item_id, score from recs.recommendations where user_id = '*' order by rank")
    assert [row["score"] for row in popular["items"]] == pytest.approx([score for _, score in rows], abs=1e-4)
    assert max(ids(http.get("/v1/popular?category=Small&k=50"))) < "i10"
    found = http.get("/v1/search?q=green%20tent&k=5")
    assert all(row["title"].startswith("green") for row in found["items"])
    assert "i07" not in [
        *ids(http.get("/v1/search?q=tent&k=50")),
        *ids(http.get("/v1/popular?k=50")),
        *ids(http.get("/v1/similar/i03?k=50")),
    ]


def test_interests_are_those_of_the_table_and_move_with_what_the_user_does(http: Http, shop: Shop, live: Live) -> None:
    names = ["horizon", "interest_id", "name", "probability"]
    before = http.get("/v1/users/u09/interests")
    rows = shop.rows(f"select {', '.join(names)} from recs.user_interests where user_id = 'u09'")
    assert {tuple(row[name] for name in names[:3]) for row in before["interests"]} == {tuple(row[:3]) for row in rows}
    published = {(horizon, interest): probability for horizon, interest, _, probability in rows}
    for row in before["interests"]:
        assert row["probability"] == pytest.approx(published[row["horizon"], row["interest_id"]], abs=1e-3)
        assert len(row["evidence"]) == len(row["evidence_titles"])
    assert [row["horizon"] for row in before["interests"]] == sorted((row["horizon"] for row in before["interests"]), reverse=True)
    assert before["is_own"]
    assert not http.get("/v1/users/nobody%2Fhere/interests")["is_own"]
    post(live, *(event("u09", f"i{n:02}", 300 + n / 3600) for n in (21, 23, 25, 27)))
    assert http.get("/v1/users/u09/interests")["interests"] != before["interests"]
    clicked = http.get("/v1/users/u09/interests")["interests"]
    post(live, event("u09", None, 301, "search", query="green tent"))
    assert http.get("/v1/users/u09/interests")["interests"] != clicked


def test_why_says_the_score_of_the_list_in_terms(http: Http) -> None:
    first = http.get("/v1/recommend/u20?k=1")["items"][0]
    found = http.get(f"/v1/why?user_id=u20&item_id={first['item_id']}")
    assert (found["rank"], found["model_version"]) == (1, "1")
    assert sum(term["value"] for term in found["terms"]) == pytest.approx(found["score"], abs=1e-4)


def test_the_state_says_how_fresh_it_is_and_figures_name_routes_and_no_ids(http: Http, live: Live) -> None:
    ready = http.get("/health/ready")
    assert ready["pending_events"] == len(live.known)
    assert 0 < ready["seconds_since_publication"] < 3600
    http.get("/v1/recommend/secret-name?item=i01")
    http("GET", "/nothing/secret-name")
    http("SECRET", "/v1/popular")
    text = http("GET", "/metrics").text
    assert 'minutehand_requests_total{method="GET",route="/v1/recommend/{user_id:path}",status="200"}' in text
    assert 'route="none",status="404"' in text
    assert f"minutehand_pending_events {float(len(live.known))}" in text
    assert 'minutehand_model_info{model_version="1"} 1.0' in text
    assert "secret" not in text.lower()
    schema = http.get("/openapi.json")
    assert "/v1/recommend/batch" in schema["paths"]


LONG = "red tent " * 11_000
"""99,000 characters."""


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/v1/recommend/u?k=0", None, 422, 'k is "0": should be greater than or equal to 1'),
        ("GET", "/v1/recommend/u?k=ten", None, 422, 'k is "ten"'),
        ("GET", "/v1/recommend/", None, 422, "an id has at least one character"),
        ("GET", "/v1/recommend/a%00b", None, 422, "an id has no NUL byte"),
        ("GET", "/v1/recommend/" + "x" * 513, None, 422, "an id has at most 512 characters"),
        ("GET", "/v1/recommend/u?scenario=checkout", None, 404, "no such scenario; name one of default, cart, product-page"),
        ("GET", "/v1/recommend/u?scenario=product-page", None, 422, "needs an item"),
        ("GET", "/v1/recommend/u?item=p9", None, 404, "item 'p9' is not in the catalogue"),
        ("GET", "/v1/recommend/u?variety=2", None, 422, "less than or equal to 1"),
        ("POST", "/v1/recommend", {"usr": "u"}, 422, "unknown field usr"),
        ("POST", "/v1/recommend", {"filter": {"colour": "red"}}, 422, "unknown field filter.colour"),
        ("POST", "/v1/recommend", {"filter": {"price": {"below": 3}}}, 422, "unknown field filter.price.below"),
        ("POST", "/v1/recommend", {"filter": {"is_available": False}}, 422, "lists hold available items only"),
        ("POST", "/v1/recommend", {"after": "no such list"}, 404, "no list of this id is remembered"),
        ("POST", "/v1/recommend", {"text": "\x00 \x1b"}, 422, "has no words"),
        ("POST", "/v1/recommend", {"text": "x" * 100_001}, 422, "at most 100000 characters"),
        ("POST", "/v1/recommend", {"k": 1001}, 422, "k is 1001"),
        ("POST", "/v1/recommend", {"items": ["i01", "p9"]}, 404, "'p9'"),
        ("POST", "/v1/recommend", [1], 422, "body"),
        ("POST", "/v1/recommend/batch", {"requests": []}, 422, "requests"),
        ("POST", "/v1/recommend/batch", {"requests": [{}, {"scenario": "x"}]}, 404, "requests.1: scenario is 'x'"),
        ("POST", "/v1/recommend/batch", {"requests": [{"k": 1000}] * 11}, 422, "11,000 items together"),
        ("GET", "/v1/similar/p9", None, 404, "'p9' is not in the catalogue"),
        ("GET", "/v1/search?q=%20", None, 422, "has no words"),
        ("GET", "/v1/search?q=%21%21", None, 422, "has no words"),
        ("GET", "/v1/search", None, 422, "q is missing"),
        ("GET", "/v1/why?user_id=u00&item_id=p9", None, 404, "p9"),
        ("GET", "/v1/why?user_id=u00", None, 422, "item_id is missing"),
        ("GET", "/nothing", None, 404, "Not Found"),
        ("DELETE", "/v1/popular", None, 405, "Method Not Allowed"),
    ],
)
def test_an_odd_request_gets_one_line_that_says_what_is_wrong(
    http: Http, method: str, path: str, body: Any, status: int, words: str
) -> None:
    found = http(method, path) if body is None else http(method, path, json=body)
    assert (found.status_code, list(found.json())) == (status, ["detail"])
    assert words in found.json()["detail"]
    assert "\n" not in found.json()["detail"]


@pytest.mark.parametrize("user", ["a%2Fb", "%F0%9F%99%82", "..%2F..", "42", "*", "null", "batch"])
def test_odd_ids_and_long_texts_are_answered(http: Http, user: str) -> None:
    assert len(http.get(f"/v1/recommend/{user}?k=3")["items"]) == 3
    assert http.get(f"/v1/users/{user}/interests")["interests"]
    assert len(http.post("/v1/recommend", user_id=7, text=LONG, k=3)["items"]) == 3


def test_the_body_of_a_request_must_be_json(http: Http) -> None:
    found = http("POST", "/v1/recommend", content=b"{", headers={"content-type": "application/json"})
    assert (found.status_code, list(found.json())) == (422, ["detail"])
    assert found.json()["detail"].startswith("the body is not JSON")
