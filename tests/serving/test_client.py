"""The client and the API, over a socket and with keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from minutehand import Client, RequestError
from serving.admission import admitted
from serving.app import create_app
from serving.connections import Impatient
from serving.keys import Keys
from serving.live import Live
from tasks.config import IngestConfig, ServerConfig
from tests.conftest import find_free_port
from tests.serving.test_live import start

__all__ = ["start"]


@pytest.fixture
def address(start: Callable[[], Live], tmp_path: Path) -> Iterator[str]:
    """The API of the five fruits on a free port, with its keys in tmp_path."""
    port = find_free_port()
    app = admitted(create_app(start(), IngestConfig()), ServerConfig(), Keys(tmp_path))
    server = uvicorn.Server(uvicorn.Config(app, port=port, http=Impatient, ws="none", log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


def test_what_a_client_posts_is_in_its_next_list_and_a_key_opens_only_its_role(address: str, tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    (shop, _), (page, _) = keys.add(["events", "read", "admin"]), keys.add(["events"])
    with Client(address, shop) as client, Client(address, page) as tracker, Client(address) as stranger:
        seen = client.recommend("mona", k=1)["items"][0]["item_id"]
        taken = tracker.events([{"user_id": "mona", "item_id": seen}, {"user_id": ""}])
        assert (taken["accepted"], [each["index"] for each in taken["rejected"]]) == (1, [1])
        assert "new" not in taken
        put = client.put_items([{"item_id": "fig", "price": 3}, {"item_id": "figg", "price": 3}, {"item_id": ""}])
        assert (put["accepted"], put["new"], [each["index"] for each in put["rejected"]]) == (2, ["figg"], [2])
        assert seen not in [item["item_id"] for item in client.recommend("mona", k=5)["items"]]
        assert client.popular(k=1)["items"]
        assert client.similar(seen, k=1) is not None
        with pytest.raises(RequestError, match=r"needs a key with the role read, and this one has events \(HTTP 403\)"):
            tracker.recommend("mona")
        with pytest.raises(RequestError, match=r"send it in the header X-API-Key \(HTTP 401\)"):
            stranger.recommend("mona")
        assert stranger.ready()["model_version"] == "1"
