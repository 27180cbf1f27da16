"""The certificate of an erasure: which stores were scanned, what was found, and what no scan can reach."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tasks.privacy.scan import Finding

FORMAT = 1
PACKAGES = ("minutehand", "duckdb", "pyarrow", "mlflow", "prefect")


@dataclass(frozen=True)
class Store:
    """What a scan read of one store, and what it found there; fields as in Finding."""

    store: str
    hits: int
    kept: int
    n_places: int
    n_files: int
    n_rows: int
    n_bytes: int
    undecided: tuple[str, ...]


def stores_of(findings: Sequence[Finding]) -> tuple[Store, ...]:
    """The findings summed up by store."""
    names = dict.fromkeys(each.store for each in findings)
    return tuple(_store(name, [each for each in findings if each.store == name]) for name in names)


def _store(name: str, findings: Sequence[Finding]) -> Store:
    return Store(
        name,
        sum(each.count for each in findings),
        sum(each.kept for each in findings),
        len(findings),
        sum(each.n_files for each in findings),
        sum(each.n_rows for each in findings),
        sum(each.n_bytes for each in findings),
        tuple(dict.fromkeys(f"{each.place}: {each.undecided}" for each in findings if each.undecided)),
    )


def certificate(
    erasure_id: str,
    digests: Sequence[str],
    findings: Sequence[Finding],
    not_reached: Sequence[str],
    weights_due_by: datetime | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """A certificate as JSON values. It names people by their keyed digests only.

    digests: of the ids that were searched for. weights_due_by: when a model that never saw the people is live, UTC; None if one is.
    """
    stores = stores_of(findings)
    hits = sum(store.hits for store in stores)
    undecided = [text for store in stores for text in store.undecided]
    return {
        "format": FORMAT,
        "erasure_id": erasure_id,
        "digests": list(digests),
        "scanned_at": (now or datetime.now(UTC)).replace(tzinfo=None).isoformat(timespec="seconds"),
        "result": "found" if hits else "undecided" if undecided else "not found",
        "hits": hits,
        "weights_due_by": weights_due_by.isoformat(timespec="seconds") if weights_due_by else None,
        "stores": [{**asdict(store), "undecided": list(store.undecided)} for store in stores],
        "not_reached": list(not_reached),
        "software": {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, **{name: _version(name) for name in PACKAGES}},
    }


def page(content: dict[str, Any]) -> str:
    """A certificate as a page of text."""
    hits, undecided = content["hits"], [text for store in content["stores"] for text in store["undecided"]]
    verdict = {
        "not found": "Nothing of the person was found.",
        "undecided": "Nothing of the person was found; what could not be judged is listed below.",
        "found": f"{hits:,} {'trace' if hits == 1 else 'traces'} of the person found: the erasure is not complete.",
    }[content["result"]]
    due = content["weights_due_by"]
    weights = f"Until {due} UTC at the latest, the live model may have been trained with the person's events." if due else ""
    rows = [("store", "files", "rows", "bytes", "found", "digests kept")]
    rows += [
        (store["store"], *(f"{store[name]:,}" for name in ("n_files", "n_rows", "n_bytes", "hits", "kept"))) for store in content["stores"]
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    table = [
        "  ".join(cell.ljust(width) if n == 0 else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    software = ", ".join(f"{name} {found or 'unknown'}" for name, found in content["software"].items())
    parts = [
        [f"Certificate of erasure {content['erasure_id']}", f"scanned at {content['scanned_at']} UTC", verdict, weights],
        ["Digests of the erased ids", *(f"  {digest}" for digest in content["digests"])],
        ["What was scanned", *(f"  {line}" for line in table)],
        ["What could not be judged", *(f"  - {text}" for text in undecided)] if undecided else [],
        ["What this scan does not reach", *(f"  - {text}" for text in content["not_reached"])],
        [f"Software: {software}"],
    ]
    return "\n\n".join("\n".join(line for line in part if line) for part in parts if part) + "\n"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
