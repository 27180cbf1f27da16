"""The API is killed at random moments under load while minute runs publish: nothing that was acknowledged is lost or counted twice."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.items import Item
from serving.live import Live
from serving.ranking import Asked
from serving.rules import accept
from tasks.config import IngestConfig
from tests.conftest import ROOT, find_free_port
from tests.serving.shop import Shop, open_shop

N_CLIENTS, N_USERS, N_ITEMS = 3, 40, 30
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
"""Time of the first event; each later one is a second later."""
PATIENCE_S = 60.0


class Server:
    """The API in a process that is killed and started again."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-m", "tests.serving.forker", str(home)]
        self.forker = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = 0

    def order(self, line: str) -> None:
        assert self.forker.stdin is not None
        assert self.forker.stdout is not None
        self.forker.stdin.write(f"{line}\n")
        self.forker.stdin.flush()
        assert self.forker.stdout.readline() == "done\n"

    def start(self) -> None:
        self.port = find_free_port()
        self.order(str(self.port))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(OSError):
                status, _ = ask(self.port, "GET", "/health/ready")
                assert status == 200
                return
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        self.order("kill")

    def close(self) -> None:
        assert self.forker.stdin is not None
        self.forker.stdin.close()
        self.forker.wait(PATIENCE_S)
        assert self.forker.stdout is not None
        self.forker.stdout.close()


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def event(number: int) -> dict[str, Any]:
    """One event; every number has other ids and another time. Every fourth is of a session that is merged after it."""
    rng = random.Random(number)
    user, item = f"u{rng.randrange(N_USERS):02}", f"i{rng.randrange(N_ITEMS):02}"
    who = {"session_id": session_of(number)} if is_merged(number) else {"user_id": user}
    return {"event_id": f"k{number}", **who, "item_id": item, "occurred_at": (FIRST + timedelta(seconds=number)).isoformat()}


def is_merged(number: int) -> bool:
    return number % 4 == 1


def session_of(number: int) -> str:
    return f"s{number}"


def user_of(number: int) -> str:
    """The user of an event, also if it was posted for a session."""
    return f"u{random.Random(number).randrange(N_USERS):02}"


def item(number: int, item_id: str) -> Item:
    """What is put about an item: its price says by which number, and the number whether it is available."""
    return Item(item_id, price=float(number), is_available=bool(number // 4 % 4))


class Load:
    """Clients that post one event after the other, each once, merge sessions, put items of their own and look at lists in between.

    acknowledged: ids of events. merged: numbers of merges. put: the number that was acknowledged last, by item.
    """

    def __init__(self, server: Server) -> None:
        self.server, self.acknowledged, self.merged, self.put, self.sent = server, set[str](), set[int](), dict[str, int](), 0
        self.ends, self.lock = threading.Event(), threading.Lock()
        self.clients = [threading.Thread(target=self.run, args=(client,)) for client in range(N_CLIENTS)]
        for client in self.clients:
            client.start()

    def run(self, client: int) -> None:
        while not self.ends.is_set():
            with self.lock:
                number, self.sent = self.sent, self.sent + 1
            with suppress(OSError, http.client.HTTPException, ValueError):  # the server is gone
                self.send(number, f"i{number % (N_ITEMS // N_CLIENTS) * N_CLIENTS + client:02}")
            time.sleep(0.01)

    def send(self, number: int, item_id: str) -> None:
        """Post an event, then merge its session, put an item or look at a list."""
        status, taken = ask(self.server.port, "POST", "/v1/events", [event(number)])
        if status == 202 and taken["accepted"] == 1:
            with self.lock:
                self.acknowledged.add(f"k{number}")
        if is_merged(number):
            status, _ = ask(self.server.port, "PUT", f"/v1/users/{user_of(number)}/merge/{session_of(number)}")
            if status == 200:
                with self.lock:
                    self.merged.add(number)
        elif number % 4 == 3:
            given = {"item_id": item_id, "price": number, "is_available": item(number, item_id).is_available}
            status, taken = ask(self.server.port, "PUT", "/v1/items", [given])
            if status == 200 and taken["accepted"] == 1:
                with self.lock:
                    self.put[item_id] = number
        else:
            ask(self.server.port, "GET", f"/v1/recommend/{user_of(number)}?k=3")

    def stop(self) -> None:
        self.ends.set()
        for client in self.clients:
            client.join()


def publishing(shop: Shop, ends: threading.Event, failures: list[BaseException]) -> Callable[[], None]:
    """A loop of minute runs."""

    def run() -> None:
        try:
            while not ends.is_set():
                if shop.take_in():
                    shop.minute(learns=False)
                time.sleep(0.05)
        except BaseException as error:
            failures.append(error)

    return run


def lists(live: Live) -> list[list[dict[str, Any]]]:
    """The lists of all users at one time."""
    now = int(FIRST.timestamp()) + 1_000_000
    return [live.recommend(Asked(f"u{user:02}", k=10, now=now)) for user in range(N_USERS)]


def kill_under_load(shop: Shop, n_kills: int, seed: int) -> None:
    """Kill the server at random moments, and compare what is left with what was acknowledged."""
    rng, server, ends, failures = random.Random(seed), Server(shop.home), threading.Event(), list[BaseException]()
    minutes = threading.Thread(target=publishing(shop, ends, failures))
    try:
        server.start()
        load = Load(server)
        minutes.start()
        for number in range(n_kills):
            time.sleep(rng.uniform(0.2, 1.5))
            server.kill()
            if number < n_kills - 1:
                server.start()
        load.stop()
    finally:
        ends.set()
        minutes.join()
        server.close()
    assert not failures, failures
    recovered = shop.start("serving/events")
    recovered.segments.close()
    contained = {id_ for (id_,) in shop.rows(f"select event_id from raw.events at (version => {recovered.published.data_snapshot})")}
    assert load.acknowledged <= contained | recovered.known.keys()
    assert load.acknowledged, "nothing was posted"
    assert load.merged, "nothing was merged"
    assert load.put, "nothing was put"
    known = {item_id: recovered.published.items.item(recovered.published.row_of_item[item_id]) for item_id in load.put}
    prices = {item_id: int(each.price or 0) for item_id, each in known.items()}
    demand_the_last_values(load, prices)
    never_killed = shop.start("other-log")
    later = [event(number) for number in range(load.sent) if f"k{number}" in recovered.known.keys() - contained]
    never_killed.accept([accept(each, datetime.now(UTC), IngestConfig()) for each in later]).result()
    for number in filter(is_merged, range(load.sent)):
        if recovered.aliases.resolve(session_of(number)) != session_of(number):
            never_killed.merge(session_of(number), user_of(number), datetime.now(UTC))
    never_killed.put_items([item(number, item_id) for item_id, number in prices.items()])
    assert lists(recovered) == lists(never_killed)
    never_killed.segments.close()
    shop.take_in()
    counts = Counter(id_ for (id_,) in shop.rows("select event_id from raw.events where event_id like 'k%'"))
    assert {id_: counts[id_] for id_ in load.acknowledged} == dict.fromkeys(load.acknowledged, 1)
    assert max(counts.values()) == 1
    aliases = shop.rows("select alias, user_id from raw.user_aliases order by alias")
    assert len(dict(aliases)) == len(aliases)
    assert {(session_of(number), user_of(number)) for number in load.merged} <= {*aliases}
    in_lake = dict(shop.rows("select item_id, price::integer from raw.items where price is not null"))
    demand_the_last_values(load, {item_id: in_lake[item_id] for item_id in load.put})


def demand_the_last_values(load: Load, prices: Mapping[str, int]) -> None:
    """Each item has the value that was acknowledged last, or one that was sent later: a killed server may have written it."""
    for item_id, number in load.put.items():
        assert prices[item_id] == number or number < prices[item_id] < load.sent, item_id


@pytest.mark.slow
def test_two_kills_under_load_lose_no_acknowledged_event_and_double_none(tmp_path: Path) -> None:
    kill_under_load(open_shop(tmp_path), n_kills=2, seed=1)


@pytest.mark.slow
def test_twenty_five_kills_under_load_lose_no_acknowledged_event_and_double_none(tmp_path: Path) -> None:
    kill_under_load(open_shop(tmp_path), n_kills=25, seed=2)
