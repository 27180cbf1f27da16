"""Files in a folder or in an object store: the operations that need no path, in a local form (a Path) and an S3 form (a Bucket)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import UserError
from tasks.config import StoreConfig

if TYPE_CHECKING:
    from datetime import datetime

SCHEME = "s3://"
MISSING = ("404", "NoSuchKey", "NotFound")
TAKEN = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
MOST_AT_ONCE = 1000
"""S3 deletes at most this many objects in one request."""
INSTALL = "pip install 'minutehand[s3]'"


class StoreError(UserError):
    """The object store does not answer, or refuses; the message says what to do."""


@dataclass(frozen=True)
class Bucket:
    """The objects of a bucket whose keys begin with a prefix, which is empty or ends with a slash."""

    name: str
    prefix: str
    config: StoreConfig

    def __str__(self) -> str:
        return f"{SCHEME}{self.name}/{self.prefix}"

    def key(self, name: str) -> str:
        """The key of an object by its name within the prefix, or by its whole address."""
        return name.removeprefix(f"{SCHEME}{self.name}/") if name.startswith(SCHEME) else self.prefix + name

    def below(self, folder: str) -> Bucket:
        """The objects of a folder within this one."""
        return Bucket(self.name, f"{self.prefix}{folder.strip('/')}/", self.config)


Place = Path | Bucket
"""A folder of this machine, or one of an object store."""


@dataclass(frozen=True)
class Entry:
    """A file below a place. name: its path from there. written: time of its last change, in seconds. tag: changes with its content."""

    name: str
    n_bytes: int
    written: float
    tag: str


@dataclass(frozen=True)
class Access:
    """What DuckDB needs to read and write the objects of a store; no part of it appears in a repr."""

    values: dict[str, str]

    def __repr__(self) -> str:
        return "Access(***)"


def is_remote(address: str) -> bool:
    """Whether an address is that of an object store."""
    return address.startswith(SCHEME)


def place_of(address: str, config: StoreConfig) -> Place:
    """The place at an address: s3://bucket/prefix/, or a path."""
    if not is_remote(address):
        return Path(address)
    name, _, prefix = address.removeprefix(SCHEME).partition("/")
    prefix = prefix.strip("/")
    return Bucket(name, f"{prefix}/" if prefix else "", config)


def entries(place: Place, under: str = "") -> Iterator[Entry]:
    """Every file below a place whose name begins with a text, by name for an object store, in any order for a folder."""
    if isinstance(place, Path):
        for root, _, names in os.walk(place / under if under.endswith("/") else place):
            for path in (Path(root) / name for name in names):
                with suppress(FileNotFoundError):
                    name, state = path.relative_to(place).as_posix(), path.stat()
                    if name.startswith(under):
                        yield Entry(name, state.st_size, state.st_mtime, f"{state.st_mtime_ns}")
        return
    with explained(place):
        pages = _client(place.config).get_paginator("list_objects_v2").paginate(Bucket=place.name, Prefix=place.prefix + under)
        for page in pages:
            for found in page.get("Contents", ()):
                if not found["Key"].endswith("/"):  # the mark of an empty folder, which some consoles make
                    name = found["Key"].removeprefix(place.prefix)
                    yield Entry(name, found["Size"], found["LastModified"].timestamp(), found["ETag"])


def exists(place: Place, name: str) -> bool:
    if isinstance(place, Path):
        return (place / name).exists()
    return size(place, name) is not None


def size(place: Bucket, name: str) -> int | None:
    """The bytes of an object; None if there is none."""
    head = _head(place, name)
    return None if head is None else int(head["ContentLength"])


def tag(place: Bucket, name: str) -> str | None:
    """What changes with the content of an object; None if there is none."""
    head = _head(place, name)
    return None if head is None else str(head["ETag"])


def _head(place: Bucket, name: str) -> dict[str, Any] | None:
    with explained(place):
        try:
            return dict(_client(place.config).head_object(Bucket=place.name, Key=place.key(name)))
        except _client_error() as error:
            if _code(error) in MISSING:
                return None
            raise


def read(place: Place, name: str, first: int | None = None, last: int | None = None) -> bytes | None:
    """The content of a file; None if there is none. first, last: only so many bytes of its beginning, or of its end."""
    if isinstance(place, Path):
        try:
            return (place / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    part = {"Range": f"bytes=0-{first - 1}"} if first else {"Range": f"bytes=-{last}"} if last else {}
    with explained(place):
        try:
            return bytes(_client(place.config).get_object(Bucket=place.name, Key=place.key(name), **part)["Body"].read())
        except _client_error() as error:
            if _code(error) in MISSING:
                return None
            raise


def write(place: Place, name: str, content: bytes, *, is_first: bool = False) -> None:
    """Write a file atomically. is_first: raise FileExistsError if it is there already."""
    if isinstance(place, Path):
        if is_first:
            with (place / name).open("xb") as file:
                file.write(content)
            return
        unfinished = place / f".{name}.{os.getpid()}"
        try:
            unfinished.write_bytes(content)
            unfinished.replace(place / name)
        finally:
            unfinished.unlink(missing_ok=True)
        return
    only_new = {"IfNoneMatch": "*"} if is_first else {}
    with explained(place):
        try:
            _client(place.config).put_object(Bucket=place.name, Key=place.key(name), Body=content, **only_new)
        except _client_error() as error:
            if is_first and _code(error) in TAKEN:
                raise FileExistsError(f"{place}{name}") from error
            raise


def copy(place: Bucket, name: str, target: str) -> None:
    """Copy an object within its bucket, large ones in parts."""
    with explained(place):
        _client(place.config).copy({"Bucket": place.name, "Key": place.key(name)}, place.name, place.key(target))


def delete(place: Place, names: Sequence[str]) -> None:
    """Delete files; those that are not there are no error."""
    if isinstance(place, Path):
        for name in names:
            (place / name).unlink(missing_ok=True)
        return
    with explained(place):
        for start in range(0, len(names), MOST_AT_ONCE):
            keys = [{"Key": place.key(name)} for name in names[start : start + MOST_AT_ONCE]]
            done = _client(place.config).delete_objects(Bucket=place.name, Delete={"Objects": keys, "Quiet": True})
            for failed in done.get("Errors", ())[:1]:
                raise StoreError(f"{place} does not let {failed['Key']} be deleted: {failed['Code']}; allow s3:DeleteObject there")


def download(place: Bucket, name: str, target: Path) -> bool:
    """Copy an object to a file; False if there is none. The file appears when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.parent / f".{target.name[:100]}.tmp"
    with explained(place):
        try:
            _client(place.config).download_file(place.name, place.key(name), str(unfinished))
        except _client_error() as error:
            unfinished.unlink(missing_ok=True)
            if _code(error) in MISSING:
                return False
            raise
    unfinished.replace(target)
    return True


def upload(place: Bucket, source: Path, name: str) -> None:
    """Copy a file to an object, large ones in parts; the object appears when it is complete."""
    with explained(place):
        _client(place.config).upload_file(str(source), place.name, place.key(name))


def abort_unfinished(place: Bucket, older_than: datetime) -> int:
    """Delete the parts of uploads that were killed, which no listing shows; returns the number of uploads. older_than: with time zone."""
    with explained(place):
        client = _client(place.config)
        found = client.list_multipart_uploads(Bucket=place.name, Prefix=place.prefix).get("Uploads", ())
        old = [upload for upload in found if upload["Initiated"] < older_than]
        for upload in old:
            client.abort_multipart_upload(Bucket=place.name, Key=upload["Key"], UploadId=upload["UploadId"])
    return len(old)


def access_of(place: Bucket) -> Access:
    """The key, the region and the endpoint with which boto3 would reach the store, as the options of DuckDB's secret."""
    with explained(place):
        client, found = _client(place.config), _session(place.config).get_credentials()
        if found is None:
            raise StoreError(
                f"there is no key for {place}; set MINUTEHAND_STORE__KEY_ID and MINUTEHAND_STORE__SECRET, or what boto3 reads, "
                "such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        key = found.get_frozen_credentials()
        scheme, _, host = str(client.meta.endpoint_url).partition("://")
        values = {
            "key_id": key.access_key,
            "secret": key.secret_key,
            "region": str(client.meta.region_name),
            "endpoint": host.rstrip("/"),
            "url_style": place.config.url_style,
            "use_ssl": str(scheme == "https").lower(),
        }
    return Access(values | ({"session_token": key.token} if key.token else {}))


@contextmanager
def explained(place: Bucket) -> Iterator[None]:
    """Turns errors of boto3 into a StoreError with a remedy."""
    try:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise StoreError(f"{place} needs boto3 and DuckDB's extension httpfs; install them with: {INSTALL}") from error
    try:
        yield
    except ClientError as error:
        raise StoreError(f"{place} refuses: {_reason(error)}; {_remedy(_code(error))}") from None
    except (BotoCoreError, Boto3Error) as error:
        where = place.config.endpoint or "AWS"
        raise StoreError(
            f"{place} does not answer: {' '.join(str(error).split())}; check that the store at {where} runs, MINUTEHAND_STORE__ENDPOINT, "
            "and MINUTEHAND_STORE__USE_SSL"
        ) from None


def _reason(error: Exception) -> str:
    found: dict[str, Any] = getattr(error, "response", {}).get("Error", {})
    return f"{found.get('Code', '?')} {found.get('Message', '')}".strip()


def _remedy(code: str) -> str:
    if code in ("NoSuchBucket", "404"):
        return "make the bucket, or correct the address"
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"):
        return "check MINUTEHAND_STORE__KEY_ID, MINUTEHAND_STORE__SECRET and MINUTEHAND_STORE__REGION"
    if code in ("AccessDenied", "403", "AllAccessDisabled"):
        return "allow this key s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject there"
    return "`minutehand doctor` looks for the cause"


def _code(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _client_error() -> type[Exception]:
    from botocore.exceptions import ClientError

    return ClientError


@lru_cache(8)
def _session(config: StoreConfig) -> Any:
    from boto3.session import Session

    return Session(
        aws_access_key_id=config.key_id or None,
        aws_secret_access_key=config.secret.get_secret_value() or None,
        region_name=config.region or None,
    )


@lru_cache(8)
def _client(config: StoreConfig) -> Any:
    """A client of the store; safe to share between threads."""
    from botocore.config import Config

    session = _session(config)
    options = Config(
        connect_timeout=config.timeout_s,
        read_timeout=config.timeout_s,
        retries={"total_max_attempts": 3, "mode": "standard"},
        s3={"addressing_style": "virtual" if config.url_style == "vhost" else "path"},
        request_checksum_calculation="when_required",  # other stores than AWS do not know these checksums
        response_checksum_validation="when_required",
    )
    url = f"{'https' if config.use_ssl else 'http'}://{config.endpoint}" if config.endpoint else None
    return session.client("s3", endpoint_url=url, region_name=session.region_name or "us-east-1", config=options)


def environment(config: StoreConfig) -> Mapping[str, str]:
    """The variables that lead boto3, and so MLflow, to the object store of the settings; none for what the settings leave open."""
    scheme = "https" if config.use_ssl else "http"
    endpoint = f"{scheme}://{config.endpoint}" if config.endpoint else ""
    secret = config.secret.get_secret_value()
    found = {
        "AWS_ACCESS_KEY_ID": config.key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_ENDPOINT_URL_S3": endpoint,
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
        "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "virtual" if endpoint and config.url_style == "vhost" else "",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required" if endpoint else "",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required" if endpoint else "",
    }
    return {name: value for name, value in found.items() if value}
