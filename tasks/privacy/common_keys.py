"""Homes that share a lake have the same privacy keys: digests of one are those of another."""

from __future__ import annotations

import duckdb

from tasks.lake import Lake, reading, statement, writing
from tasks.privacy.keyed import NAME, Keys, PrivacyKeysError, keys_file, load_keys

FIXED = "the keys of a lake"
"""The text whose digest under a key is the key's fingerprint."""


def demand_common_keys(lake: Lake) -> None:
    """Compare the keys of this home with those that the lake knows, and record new ones there. A lake of one home is not looked at.

    The first home of a lake on PostgreSQL makes its key here; a further one needs a copy. Raises PrivacyKeysError if it has none, or
    another. The tables of the lake must be there.
    """
    if lake.is_sqlite:
        return
    with reading(lake) as con:
        known = _known(con)
    if not _missing(lake, known):
        return
    with writing(lake) as con:  # another home may have been faster
        for number, fingerprint in _missing(lake, _known(con)).items():
            con.execute(statement("privacy/insert_fingerprint"), {"number": number, "fingerprint": fingerprint})


def _known(con: duckdb.DuckDBPyConnection) -> dict[int, str]:
    return dict(con.execute(statement("privacy/fingerprints")).fetchall())


def _missing(lake: Lake, known: dict[int, str]) -> dict[int, str]:
    """The fingerprints of this home's keys that the lake does not know. Raises PrivacyKeysError if it knows others."""
    file = keys_file(lake.home)
    if known and not file.exists():
        raise PrivacyKeysError(
            f"there is no {file}, and the lake at {lake.shown_catalog} is used with privacy keys of another home: erasures and pseudonyms "
            f"would not fit; copy {NAME} from that home to {file.parent}"
        )
    ours = _fingerprints(load_keys(lake.home))
    wrong = [number for number in known if ours.get(number) != known[number]]
    if wrong:
        raise PrivacyKeysError(
            f"key {wrong[0]} in {file} is not the one with which other homes use the lake at {lake.shown_catalog}; copy {NAME} from one of "
            f"them to {file.parent}"
        )
    return {number: fingerprint for number, fingerprint in ours.items() if number not in known}


def _fingerprints(keys: Keys) -> dict[int, str]:
    """By number, apart from other digests: no id has a fixed text and a number like this."""
    return {number: Keys(number, {number: secret}).digest(f"{FIXED}: {number}") for number, secret in keys.secrets.items()}
