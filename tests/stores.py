"""An object store for tests: moto's S3 server in a thread of this process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from tasks import store
from tasks.config import StoreConfig
from tasks.store import Bucket

KEY, SECRET = "the-key-of-the-test", "the-secret-of-the-test"


@pytest.fixture(scope="session")
def object_store() -> Iterator[StoreConfig]:
    """A store that runs for the whole test session, without buckets."""
    pytest.importorskip("boto3", reason="make test-extras installs it")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield StoreConfig(endpoint=f"{host}:{port}", region="us-east-1", key_id=KEY, secret=SecretStr(SECRET), use_ssl=False, timeout_s=5)
    server.stop()


@pytest.fixture
def bucket(object_store: StoreConfig, request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket for one test."""
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    client_of(object_store).create_bucket(Bucket=name)
    return Bucket(name, "", object_store)


def client_of(config: StoreConfig) -> Any:
    """boto3's client of a store."""
    return store._client(config)


def names(place: Bucket) -> list[str]:
    """The names of all objects, sorted."""
    return sorted(entry.name for entry in store.entries(place))
