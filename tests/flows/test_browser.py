"""The servers of `minutehand up` in a real Chromium: what a user and what a foreign page can do."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cli.secret import read_secret
from cli.up.links import pages_of_mlflow, pages_of_prefect
from tests.conftest import find_free_port
from tests.flows.browser import ENTER, Browser, open_browser
from tests.flows.up import Running, running_up

pytestmark = pytest.mark.slow
REBOUND = "evil.example"
ASK = """
const [requests, done] = arguments;
Promise.all(requests.map(([url, options]) =>
    fetch(url, options).then(async answer => [answer.status, (await answer.text()).slice(0, 40)], error => [0, String(error)])
)).then(done);
"""
SUBMIT = """
const [url, enctype] = arguments;
const form = Object.assign(document.createElement('form'), {method: 'POST', action: url, enctype: enctype});
form.append(Object.assign(document.createElement('input'), {name: '{"name": "evil", "value": "x", "rest": "', value: '"}'}));
document.body.append(form);
form.submit();
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_up(tmp_path_factory.mktemp("up"), find_free_port(), find_free_port()) as up:
        yield up


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium that resolves a foreign host name to this machine."""
    with open_browser(f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as opened:
        yield opened


@pytest.fixture
def foreign_page() -> Iterator[str]:
    """The address of a page on another port of this machine."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<h1>a foreign page</h1>")

        def log_message(self, *words: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_browser_with_the_secret_shows_runs_in_prefect_and_experiments_in_mlflow(running: Running, browser: Browser) -> None:
    secret = read_secret(running.home)
    running.until(lambda: bool(running.call("POST", "flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})))
    browser.go(f"http://127.0.0.1:{running.port}/")
    browser.shows("Login")
    browser.enter("input", secret + ENTER)
    browser.shows("Dashboard", "Flow Runs")
    browser.go(f"http://127.0.0.1:{running.port}/v2/runs")
    browser.shows("auto-scheduled", "Completed")
    browser.go(f"http://{secret}@127.0.0.1:{running.mlflow_port}/")  # as if typed into the browser's own dialogue
    browser.go(f"http://127.0.0.1:{running.mlflow_port}/#/experiments")
    browser.shows("Experiments", "Default")
    hosts = browser.refused_hosts()
    assert hosts, "Prefect's UI tries to reach its analytics server"
    assert not [host for host in hosts if host.startswith("127.0.0.1")], "the UIs may load all their own files"


def test_the_pages_that_up_prints_open_in_a_browser(running: Running, browser: Browser) -> None:
    secret, mlflow_url = read_secret(running.home), f"http://127.0.0.1:{running.mlflow_port}"
    prefect, mlflow = pages_of_prefect(f"http://127.0.0.1:{running.port}"), pages_of_mlflow(mlflow_url, "minutehand", secret)
    browser.go(prefect["Prefect runs"])
    browser.ask("/execute/sync", script="localStorage.clear()", args=[])  # like a user who has not logged in yet
    browser.go(prefect["Prefect runs"])
    browser.shows("Login")
    browser.enter("input", secret + ENTER)
    browser.shows("Runs", "All run states")
    browser.go(prefect["Prefect deployments"])
    browser.shows("4 Deployments", "nightly")
    browser.go(f"http://{secret}@127.0.0.1:{running.mlflow_port}/")
    browser.go(mlflow["MLflow nights"])
    browser.shows("minutehand", "Run Name")
    browser.go(mlflow["MLflow model"])
    browser.shows("Registered Models", "minutehand", "Versions")


def test_a_foreign_page_changes_nothing_even_if_the_browser_has_the_secret(running: Running, browser: Browser, foreign_page: str) -> None:
    secret = read_secret(running.home)
    browser.go(f"http://{secret}@127.0.0.1:{running.mlflow_port}/")  # from now on the browser sends the secret automatically
    targets = (
        f"http://127.0.0.1:{running.port}/api/variables/",
        f"http://127.0.0.1:{running.mlflow_port}/api/2.0/mlflow/experiments/create",
    )
    body = json.dumps({"name": "evil", "value": "x"})
    basic = "Basic " + base64.b64encode(secret.encode()).decode()
    requests = [
        (target, {"method": "POST", "mode": mode, "credentials": "include", "headers": headers, "body": body})
        for target in targets
        for mode in ("cors", "no-cors")
        for headers in ({"content-type": "text/plain"}, {"content-type": "application/json"}, {"authorization": basic})
    ]
    browser.go(foreign_page)
    answers = browser.ask("/execute/async", script=ASK, args=[requests])
    assert {answer for answer, _ in answers} == {0}, "neither allowed nor readable"
    for target in targets:
        for enctype in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            browser.go(foreign_page)
            browser.ask("/execute/sync", script=SUBMIT, args=[target, enctype])
            browser.shows("requests from other origins are refused")
    assert running.call("POST", "variables/filter", {}) == []
    assert "evil" not in running.experiments()


def test_a_foreign_host_name_that_resolves_to_this_machine_is_refused(running: Running, browser: Browser) -> None:
    headers = {"authorization": "Basic " + base64.b64encode(read_secret(running.home).encode()).decode()}
    for port in (running.port, running.mlflow_port):
        browser.go(f"http://{REBOUND}:{port}/")
        browser.shows("this Host is not accepted")
        requests = [(path, {"headers": headers}) for path in ("/", "/health", "/api/health", "/ui-settings", "/api/admin/version")]
        answers = browser.ask("/execute/async", script=ASK, args=[requests])
        assert {answer for answer, _ in answers} == {400}
