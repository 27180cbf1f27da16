"""`minutehand doctor` says which services of a large installation answer, with which rights and how fast."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.findings import Finding
from cli.services import check_services
from settings import load
from tasks.store import Bucket
from tests.conftest import find_free_port
from tests.stores import KEY, SECRET, names


def found() -> dict[str, Finding]:
    return {finding.check: finding for finding in check_services(load())}


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything with one status; yields its address and the credentials that it is sent."""
    sent: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(self.headers.get("Authorization", ""))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_installation_of_one_machine_has_no_services() -> None:
    assert found() == {}


def test_servers_that_answer_are_ok_with_their_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200) as (url, sent):
        monkeypatch.setenv("MINUTEHAND_REGISTRY__TRACKING_URI", url.replace("//", "//user:s3cret@"))
        monkeypatch.setenv("PREFECT_API_URL", f"{url}/api")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:s3cret")
        rows = found()
    assert {name: row.state for name, row in rows.items()} == {"mlflow server": "ok", "prefect server": "ok"}
    assert all(re.search(r"answers this user in \d+ ms$", row.found) for row in rows.values())
    assert "s3cret" not in str(rows)
    assert len(sent) == 2
    assert all(header.startswith("Basic ") for header in sent)


def test_servers_that_refuse_or_do_not_answer_are_bad_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{find_free_port()}/api")
    with answering(401) as (url, _):
        monkeypatch.setenv("MINUTEHAND_REGISTRY__TRACKING_URI", url)
        rows = found()
    assert {name: (row.state, row.remedy) for name, row in rows.items()} == {
        "mlflow server": ("bad", "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        "prefect server": ("bad", "start it, or correct the address"),
    }


@pytest.fixture
def named(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    config = bucket.config
    values = {"ENDPOINT": config.endpoint, "REGION": config.region, "KEY_ID": KEY, "SECRET": SECRET, "USE_SSL": "false"}
    for name, value in values.items():
        monkeypatch.setenv(f"MINUTEHAND_STORE__{name}", value)
    monkeypatch.setenv("MINUTEHAND_LAKE__DATA_PATH", f"{bucket}lake/")
    monkeypatch.setenv("MINUTEHAND_REGISTRY__ARTIFACTS", f"{bucket}mlflow/")


@pytest.mark.extras
@pytest.mark.usefixtures("named")
def test_a_store_shows_how_long_each_right_takes_and_keeps_no_probe(bucket: Bucket) -> None:
    rows = found()
    assert set(rows) == {"lake files", "artifacts"}
    assert re.search(r"/lake/: list \d+ ms, write \d+ ms, read \d+ ms, delete \d+ ms$", rows["lake files"].found)
    assert names(bucket) == []


@pytest.mark.extras
@pytest.mark.usefixtures("named")
def test_a_missing_bucket_and_a_store_that_is_down_are_bad_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUTEHAND_LAKE__DATA_PATH", "s3://no-such-bucket/lake/")
    assert (found()["lake files"].state, found()["lake files"].remedy) == ("bad", "make the bucket, or correct the address")
    monkeypatch.setenv("MINUTEHAND_STORE__ENDPOINT", f"127.0.0.1:{find_free_port()}")
    down = found()["artifacts"]
    assert down.state == "bad"
    assert "does not answer" in down.found
    assert SECRET not in str(down)


@pytest.mark.postgres
def test_a_user_who_may_not_create_tables_gets_the_statement_to_run(postgres_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    server = f"host=127.0.0.1 port={postgres_port} dbname=postgres"
    for sql in ("create role visitor login password 'pa55word'", "revoke create on schema public from public"):
        subprocess.run(["psql", "-q", f"{server} user=minutehand", "-c", sql], check=True)
    monkeypatch.setenv("MINUTEHAND_LAKE__CATALOG", f"postgres:{server} user=minutehand")
    assert re.fullmatch(r"PostgreSQL answers in \d+ ms; minutehand may read and create tables", found()["lake catalog"].found)
    monkeypatch.setenv("MINUTEHAND_LAKE__CATALOG", f"postgres:{server} user=visitor password=pa55word")
    visitor = found()["lake catalog"]
    assert (visitor.state, visitor.found) == ("bad", "visitor may not create tables")
    assert "grant usage, create on schema public to visitor" in visitor.remedy
    monkeypatch.setenv("MINUTEHAND_LAKE__CATALOG", f"postgres:host=127.0.0.1 port={find_free_port()} user=u password=pa55word")
    gone = found()["lake catalog"]
    assert gone.state == "bad"
    assert "pa55word" not in str(gone)
