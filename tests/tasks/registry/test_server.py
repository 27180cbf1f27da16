"""MLflow itself also checks the accepted hosts, independently of the guard in front of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ASK = """
import asyncio, json, sys
from pathlib import Path
import httpx, uvicorn  # MLflow looks whether uvicorn is there
from tasks.registry.server import open_server

folder = Path(sys.argv[1])
app = open_server(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts", ["lists.example", "[::1]"])

async def ask(host, origin):
    headers = {"origin": origin} if origin else {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=f"http://{host}") as client:
        answer = await client.post("/api/2.0/mlflow/experiments/search", json={"max_results": 1}, headers=headers)
        return answer.status_code

async def main():
    return [await ask(*request) for request in json.loads(sys.argv[2])]

print(json.dumps(asyncio.run(main())))
"""


@pytest.mark.slow
def test_only_configured_hosts_and_their_own_pages_are_answered_on_any_port(tmp_path: Path) -> None:
    expected = {
        ("lists.example:5000", ""): 200,
        ("lists.example", "https://lists.example"): 200,
        ("lists.example:5000", "http://lists.example:5000"): 200,
        ("[::1]:5000", ""): 200,
        ("127.0.0.1:5000", ""): 403,  # MLflow would accept it by default
        ("192.168.1.5:5000", ""): 403,
        ("evil.example", ""): 403,
        ("lists.example:5000", "http://evil.example"): 403,
    }
    command = [sys.executable, "-c", ASK, str(tmp_path), json.dumps(list(expected))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert dict(zip(expected, json.loads(done.stdout.splitlines()[-1]), strict=True)) == expected
