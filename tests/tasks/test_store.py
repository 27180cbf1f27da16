"""Addresses and settings of an object store, and what a lake in a folder does without one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from models.errors import UserError
from tasks.config import StoreConfig
from tasks.lake import LakeConfig, locate, migrate, reading
from tasks.store import StoreError


def test_without_boto3_the_error_names_the_extra(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3.exceptions", None)
    with pytest.raises(StoreError, match=r"needs boto3 .*; install them with: pip install 'minutehand\[s3\]'"):
        migrate(locate(LakeConfig(data_path="s3://shop/lake/"), home))


@pytest.mark.parametrize(
    ("address", "problem"), [("s3://", "names no bucket"), ("gs://shop/lake", "neither a folder nor s3://bucket/prefix/")]
)
def test_an_impossible_address_is_refused(home: Path, address: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        locate(LakeConfig(data_path=address), home)


def test_a_key_without_its_secret_and_an_endpoint_with_a_scheme_are_refused() -> None:
    for values in ({"key_id": "k"}, {"secret": "s"}, {"endpoint": "http://127.0.0.1:9000"}):
        with pytest.raises(ValueError, match=r"belong together|leave out scheme"):
            StoreConfig.model_validate(values)


def test_a_lake_in_a_folder_needs_neither_boto3_nor_httpfs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("boto3", "botocore", "duckdb_extension_httpfs"):
        monkeypatch.setitem(sys.modules, name, None)
    lake = locate(LakeConfig(), home)
    migrate(lake)
    with reading(lake) as con:
        (loaded,) = con.execute("select loaded from duckdb_extensions() where extension_name = 'httpfs'").fetchone() or (None,)
    assert not loaded
    assert isinstance(lake.place, Path)
