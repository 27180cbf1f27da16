"""`minutehand keys`, and what `minutehand serve` refuses."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import app
from serving.keys import Keys


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_a_key_is_printed_once_listed_without_its_secret_and_revoked_by_name(home: Path) -> None:
    added = run("keys", "add", "events", "read", "--name", "shop")
    secret = added.stdout.strip()
    assert Keys(home).find(secret) is not None
    assert "shown only now" in added.stderr
    listed = run("keys", "list", "--json").stdout
    (row,) = json.loads(listed)
    assert (row["name"], row["roles"]) == ("shop", "events read")
    assert secret not in listed + run("keys", "list").stdout
    revoked = run("keys", "revoke", "shop")
    assert "the API refuses every request" in revoked.stderr
    assert Keys(home).find(secret) is None


def test_without_keys_the_list_says_how_to_make_one(home: Path) -> None:
    assert "`minutehand keys add read`" in run("keys", "list").stdout
    assert run("keys", "add", "reed").exit_code == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "shop.example", "::"])
def test_the_network_gets_no_api_without_keys(host: str, home: Path) -> None:
    home.mkdir()
    message = str(run("serve", "--host", host).exception)
    assert f"at {host} other machines could ask the API, and it has no keys; add one first: minutehand keys add" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_named_before_anything_is_loaded(host: str, home: Path) -> None:
    home.mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("serve", "--host", host, "--port", str(taken.getsockname()[1]))
    assert "--port or MINUTEHAND_SERVER__API_PORT" in str(result.exception)
