"""A certificate says what was scanned, what was found, and what no scan reaches."""

from __future__ import annotations

import json
from datetime import datetime

from tasks.privacy.certificate import certificate, page, stores_of
from tasks.privacy.scan import Finding

FINDINGS = (
    Finding("tables", "raw.events, newest state", 0, 0, 2, 1_000, 5_000),
    Finding("tables", "ops.erasures, newest state", 0, 3, 1, 3, 100),
    Finding("logs", "logs/serve.log", 0, 0, 1, 0, 70),
)
MOMENT = datetime(2026, 11, 28, 12)


def test_the_findings_are_summed_up_by_store() -> None:
    tables, logs = stores_of(FINDINGS)
    assert (tables.store, tables.hits, tables.kept, tables.n_files, tables.n_rows, tables.n_bytes) == ("tables", 0, 3, 3, 1_003, 5_100)
    assert (logs.store, logs.n_bytes) == ("logs", 70)


def test_a_certificate_without_findings_lists_every_store_with_zero() -> None:
    made = certificate("e1", ["1-ab"], FINDINGS, ["Backups."], MOMENT, MOMENT)
    assert (made["result"], made["hits"], made["weights_due_by"]) == ("not found", 0, "2026-11-28T12:00:00")
    assert [store["hits"] for store in made["stores"]] == [0, 0]
    assert json.loads(json.dumps(made)) == made
    text = page(made)
    assert "Nothing of the person was found." in text
    assert "1-ab" in text
    assert "Backups." in text
    assert "tables      3  1,003  5,100      0             3" in text


def test_a_certificate_never_claims_more_than_the_scan_could_judge() -> None:
    undecided = Finding("Prefect", "prefect/prefect.db", 0, undecided="7 free pages")
    found = Finding("landing", "landing/events/a.csv", 2)
    made = certificate("e1", [], [*FINDINGS, undecided], [])
    assert made["result"] == "undecided"
    assert "prefect/prefect.db: 7 free pages" in page(made)
    made = certificate("e1", [], [*FINDINGS, undecided, found], [])
    assert (made["result"], made["hits"]) == ("found", 2)
    assert "2 traces of the person found: the erasure is not complete." in page(made)
