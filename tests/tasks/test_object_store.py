"""A lake whose files are in an object store: what holds for a folder holds there."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import UserError
from tasks import store
from tasks.config import StoreConfig
from tasks.data_folder import NAME, read_mark
from tasks.lake import Lake, LakeConfig, LakeError, LastingError, examine, locate, migrate, reading, writing
from tasks.store import Bucket, place_of
from tasks.upkeep import maintain
from tests.stores import SECRET, client_of, names
from tests.tasks.test_data_folder import FILL, count, fill

pytestmark = pytest.mark.extras
LATER = datetime.now(UTC) + timedelta(days=2)


@pytest.fixture
def lake(lake_config: LakeConfig, home: Path, bucket: Bucket) -> Lake:
    return made(home, bucket, lake_config)


def made(home: Path, bucket: Bucket, config: LakeConfig | None = None) -> Lake:
    config = (config or LakeConfig()).model_copy(update={"data_path": f"{bucket}lake"})
    lake = replace(locate(config, home, bucket.config), threads=1)
    migrate(lake)
    return lake


def parquet(lake: Lake) -> list[str]:
    assert isinstance(lake.place, Bucket)
    return [name for name in names(lake.place) if name.endswith(".parquet")]


def test_rows_are_objects_and_upkeep_merges_them_and_deletes_the_old_ones(lake: Lake) -> None:
    for _ in range(3):
        fill(lake)
    before = parquet(lake)
    assert count(lake) == 300
    done = maintain(lake, now=LATER)
    assert (done.files_merged >= 3, done.files_deleted >= 3, count(lake)) == (True, True, 300)
    assert not set(before) & set(parquet(lake))
    assert examine(lake, 5.0).damages == ()
    assert not (lake.home / "lake" / "data").exists()


def test_upkeep_deletes_the_orphans_of_killed_writers_and_their_unfinished_uploads(lake: Lake, bucket: Bucket) -> None:
    fill(lake)
    orphan = "raw/rejected/ducklake-0198aaaa-1111-7111-8111-000000000000.parquet"
    store.write(lake.place, orphan, b"PAR1")
    client_of(bucket.config).create_multipart_upload(Bucket=bucket.name, Key=f"lake/{orphan}")
    assert maintain(lake, now=LATER).orphans_deleted == 1
    assert orphan not in parquet(lake)
    assert "Uploads" not in client_of(bucket.config).list_multipart_uploads(Bucket=bucket.name)
    assert count(lake) == 100


def test_upkeep_deletes_nothing_where_a_foreign_file_lies(lake: Lake) -> None:
    fill(lake)
    for name in ("raw/rejected/ducklake-0198aaaa-1111-7111-8111-000000000000.parquet", "raw/rejected/mine.parquet"):
        store.write(lake.place, name, b"PAR1")
    assert maintain(lake, now=LATER).orphans_deleted == 0


def test_a_prefix_of_another_catalog_is_refused_and_stays_as_it_is(lake: Lake, bucket: Bucket, tmp_path: Path) -> None:
    fill(lake)
    before = names(bucket)
    with pytest.raises(LakeError, match=r"there is no catalog at .*, but s3://.*/lake/ has the files of one, such as minutehand\.json"):
        made(tmp_path / "other", bucket)
    elsewhere = made(tmp_path / "third", bucket.below("third"))
    with pytest.raises(LastingError, match="belongs to another catalog"), writing(replace(elsewhere, data_path=lake.data_path)):
        pass
    assert [name for name in names(bucket) if not name.startswith("third/")] == before


def test_of_two_new_catalogs_one_gets_the_prefix(bucket: Bucket) -> None:
    store.write(bucket, NAME, b"{}", is_first=True)
    with pytest.raises(FileExistsError):
        store.write(bucket, NAME, b"{}", is_first=True)


def test_a_prefix_that_was_copied_elsewhere_goes_on_there(lake: Lake, bucket: Bucket) -> None:
    fill(lake)
    for name in names(bucket):
        store.copy(bucket, name, name.replace("lake/", "moved/", 1))
    store.delete(bucket, [name for name in names(bucket) if name.startswith("lake/")])
    moved = replace(lake, data_path=f"{bucket}moved/")
    fill(moved)
    assert count(moved) == 200
    mark = read_mark(moved.place)
    assert mark is not None
    assert mark.folder == f"{bucket}moved/"


def test_a_lost_object_is_named_with_its_table(lake: Lake) -> None:
    fill(lake)
    maintain(lake, now=LATER)
    (lost,) = (name for name in parquet(lake) if name.startswith("raw/rejected"))
    store.delete(lake.place, [lost])
    with (
        pytest.raises(LastingError, match=r"100 rows of raw\.rejected cannot be read: s3://.*there is no such object"),
        reading(lake) as con,
    ):
        con.execute("select reason, count(*) from raw.rejected group by all").fetchall()


def test_an_object_that_was_cut_is_found(lake: Lake) -> None:
    fill(lake)
    maintain(lake, now=LATER)
    (cut,) = (name for name in parquet(lake) if name.startswith("raw/rejected"))
    store.write(lake.place, cut, (store.read(lake.place, cut) or b"")[:-1])
    assert [damage.file.table for damage in examine(lake, 5.0).damages] == ["raw.rejected"]


def fill_and_die(lake: Lake) -> None:
    with writing(lake) as con:
        con.execute(FILL, {"reason": "never"})
        raise KeyboardInterrupt


def test_a_writer_that_died_before_its_commit_leaves_a_lake_on_which_the_next_goes_on(lake: Lake) -> None:
    fill(lake)
    with pytest.raises(KeyboardInterrupt):
        fill_and_die(lake)
    assert count(lake) == 100
    fill(lake)
    assert maintain(lake, now=LATER).orphans_deleted <= 1
    assert (count(lake), examine(lake, 5.0).damages) == (200, ())


def test_the_secret_is_in_no_repr_no_table_no_error_and_no_log(lake: Lake, bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with reading(lake) as con:
        shown = str(con.execute("from duckdb_secrets()").fetchall()) + str(con.execute("from duckdb_settings()").fetchall())
    wrong = replace(lake, data_path="s3://no-such-bucket/lake/")
    with pytest.raises(UserError) as error, writing(wrong):
        pass
    fill(lake)
    for text in (repr(lake), repr(bucket), repr(store.access_of(bucket)), shown, str(error.value), repr(error.value), caplog.text):
        assert SECRET not in text
    assert "make the bucket" in str(error.value)


def read_all(lake: Lake) -> None:
    with reading(lake) as con:
        con.execute("select sum(hash(reason, line)) from raw.rejected").fetchall()


@pytest.fixture
def silent() -> Iterator[StoreConfig]:
    """A store that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        host, port = listener.getsockname()
        values = {"endpoint": f"{host}:{port}", "key_id": "k", "secret": SECRET, "use_ssl": False, "timeout_s": 0.5}
        yield StoreConfig.model_validate(values)


def test_a_store_that_does_not_answer_ends_a_reader_and_a_writer_within_seconds(lake: Lake, silent: StoreConfig) -> None:
    fill(lake)
    for use in (read_all, fill):
        began = time.monotonic()
        with pytest.raises(UserError, match=r"does not answer.*; .*(MINUTEHAND_STORE__ENDPOINT|minutehand doctor)"):
            use(replace(lake, store=silent))
        assert time.monotonic() - began < 20


def test_the_key_is_found_as_boto3_finds_it(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{bucket.config.endpoint}")
    place = place_of(f"{bucket}lake/", StoreConfig())
    assert isinstance(place, Bucket)
    found = store.access_of(place).values
    assert (found["key_id"], found["session_token"], found["region"]) == ("from-the-environment", "token", "eu-central-1")
    assert (found["endpoint"], found["use_ssl"]) == (bucket.config.endpoint, "false")


def test_a_folder_and_a_prefix_list_read_write_and_delete_alike(bucket: Bucket, tmp_path: Path) -> None:
    for place in (tmp_path, bucket):
        store.write(place, "a.txt", b"one")
        assert [(entry.name, entry.n_bytes) for entry in store.entries(place)] == [("a.txt", 3)]
        assert (store.read(place, "a.txt"), store.read(place, "b.txt")) == (b"one", None)
        assert (store.exists(place, "a.txt"), store.exists(place, "b.txt")) == (True, False)
        store.delete(place, ["a.txt", "b.txt"])
        assert list(store.entries(place)) == []


def test_the_mark_of_a_prefix_is_an_object_that_names_the_catalog(lake: Lake) -> None:
    fill(lake)
    with reading(lake) as con:
        (catalog,) = (
            con.execute("select schema_uuid::varchar from __ducklake_metadata_lake.ducklake_schema where schema_id = 0").fetchone() or ()
        )
    assert json.loads(store.read(lake.place, NAME) or b"{}")["catalog"] == catalog
