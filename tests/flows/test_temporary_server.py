"""The Prefect server of one `minutehand minute`: as protected as the server of `minutehand up`, and ends with its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.environment import Up, up_lock, write_up
from cli.secret import CLIENT_VARIABLE, read_secret
from cli.up import temporary
from cli.up.children import group_lives
from cli.up.temporary import find_api
from models.errors import UserError
from settings import load
from tests.conftest import ROOT
from tests.flows.up import Running, listeners, status

RUN = """
import json, os, time
from cli.environment import prepare
from cli.up import temporary
from settings import load

settings = load()
prepare(settings)
started = []
start = temporary.start
temporary.start = lambda *words, **options: started.append(start(*words, **options)) or started[0]
temporary.find_api(settings)()
print(json.dumps([started[0].pid, os.environ["PREFECT_API_URL"]]), flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_the_server_of_a_run_requires_the_secret_and_ends_when_the_run_is_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    env = {**os.environ, **proxy}
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        try:
            server, url = json.loads(run.stdout.readline())
            port = int(url.removesuffix("/api").rpartition(":")[2])
            assert listeners({server}) == {("0100007F", port)}
            up = Running(run, home, port, 0)
            assert up.call("POST", "flows/filter", {}) == []
            assert status(port, "POST", "/api/flows/filter", {}) == 401
            assert status(port, "POST", "/api/flows/filter", {}, host="evil.example", authorization=up.authorization) == 400
            assert status(port, "POST", "/api/flows/filter", {}, origin="http://127.0.0.1:9", authorization=up.authorization) == 403
            monkeypatch.setenv("PREFECT_API_URL", url)
            monkeypatch.setenv(CLIENT_VARIABLE, "minutehand:another")
            with pytest.raises(UserError, match=f"{url} asks for another secret; set {CLIENT_VARIABLE}"):
                find_api(load())()
            write_up(home, Up(run.pid, url.removesuffix("/api"), None, {}))
            with up_lock(home):
                monkeypatch.setenv("PREFECT_API_URL", url.replace("127.0.0.1", "localhost"))
                find_api(load())()
            assert os.environ[CLIENT_VARIABLE] == read_secret(home), "the secret of the running `minutehand up`, for any name of its host"
            assert read_secret(home).encode() not in Path(f"/proc/{server}/environ").read_bytes()
        finally:
            run.send_signal(signal.SIGKILL)
        up.until(lambda: not group_lives(server))


def test_a_server_of_a_run_takes_no_port_that_the_settings_give_to_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {8000, 8123}
    monkeypatch.setattr(temporary, "is_free", lambda host, port: port in free)
    assert {temporary._free_port({8000, 4200}) for _ in range(20)} == {8123}


def test_a_configured_server_that_does_not_answer_gives_one_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(UserError, match=r"no Prefect server answers at http://127.0.0.1:9/api .*; start it, or unset PREFECT_API_URL"):
        find_api(load())()
