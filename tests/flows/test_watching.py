"""An alarm is posted to the webhook once when it starts and once when it ends, by an automation of Prefect."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from cli.up.orchestration import ALARMS, WEBHOOK, post_alarms
from settings import load
from tasks import health
from tasks.lake import Lake, LakeConfig, locate, migrate, writing

PATIENCE_S = 60.0
SECRET = "token-that-no-log-may-show"


@dataclass
class Inbox:
    """A small server on this machine that keeps what is posted to it."""

    url: str
    posts: list[dict[str, Any]] = field(default_factory=list)

    def until(self, n: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while len(self.posts) < n:
            assert time.monotonic() < deadline, self.posts
            time.sleep(0.1)


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == f"/{SECRET}"
            assert self.headers["content-type"] == "application/json"
            inbox.posts.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    inbox = Inbox(f"http://127.0.0.1:{server.server_port}/{SECRET}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield inbox
    server.shutdown()
    server.server_close()
    thread.join()


def put_hours(lake: Lake, hours: range, item_id: str = "a") -> None:
    """Twelve events of twelve people in each of these hours before now."""
    end = datetime.now(UTC).replace(tzinfo=None)
    moments = [end - timedelta(hours=hour, minutes=30 + person) for hour in hours for person in range(12)]
    events = pa.table(
        {
            "user_id": [f"u{n % 12}" for n in range(len(moments))],
            "item_id": [item_id] * len(moments),
            "moment": pa.array(moments, pa.timestamp("us")),
        }
    )
    with writing(lake) as con:
        con.register("fresh", events)
        con.execute(
            "insert into raw.events by name select uuid()::varchar as event_id, user_id, item_id, 'view' as event_type, "
            "moment as occurred_at, moment as received_at from fresh"
        )


@pytest.fixture
def lake(home: Path) -> Lake:
    """A lake with a catalogue of one item and twenty days of events of it."""
    lake = locate(LakeConfig(), home)
    migrate(lake)
    with writing(lake) as con:
        con.execute(
            "insert into raw.items by name select 'a' as item_id, true as is_available, '2020-01-01'::timestamp as first_seen_at, "
            "'2020-01-01'::timestamp as updated_at"
        )
    put_hours(lake, range(1, 480))
    return lake


@pytest.mark.slow
def test_an_alarm_that_lasts_is_posted_once_and_its_end_once(lake: Lake, prefect_server: str, caplog: pytest.LogCaptureFixture) -> None:
    from flows import watching

    @flow
    def hour() -> None:
        watching.go_on(load(), lake)

    with open_inbox() as inbox:
        post_alarms(SecretStr(inbox.url))
        put_hours(lake, range(1), item_id='unknown "id" \x1b[2J')
        hour()
        hour()
        inbox.until(1)
        with writing(lake) as con:
            con.execute("update raw.events set item_id = 'a'")
        hour()
        hour()
        inbox.until(2)
        hour()
        time.sleep(1)
    assert [(post["check"], post["state"]) for post in inbox.posts] == [("unknown items", "alarm"), ("unknown items", "ok")]
    assert inbox.posts[0]["text"].startswith("minutehand: ALARM, unknown items: 100% of the events of the last hour name items")
    assert inbox.posts[1]["text"].startswith("minutehand: fine again, unknown items: 0%")
    assert health.to_announce(lake) == []
    assert SECRET not in caplog.text
    post_alarms(SecretStr(""))
    with get_client(sync_client=True) as client:
        assert client.read_automations_by_name(ALARMS) == []
        with pytest.raises(ObjectNotFound):
            client.read_block_document_by_name(WEBHOOK, "webhook")
