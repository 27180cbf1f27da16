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
        is_complete = not _missing(lake, con)
    if not is_complete:
        with writing(lake) as con:
            record_common_keys(lake, con)


def check_common_keys(lake: Lake) -> None:
    """As demand_common_keys, but makes and records nothing."""
    if lake.is_sqlite:
        return
    with reading(lake) as con:
        if keys_file(lake.home).exists():
            _missing(lake, con)
        else:
            _demand_first(lake, con, _known(con))


def record_common_keys(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    """Record the keys of this home within a transaction, which also sees those that another home recorded meanwhile.

    Raises PrivacyKeysError as demand_common_keys does.
    """
    if lake.is_sqlite:
        return
    for number, fingerprint in _missing(lake, con).items():
        con.execute(statement("privacy/insert_fingerprint"), {"number": number, "fingerprint": fingerprint})


def _known(con: duckdb.DuckDBPyConnection) -> dict[int, str]:
    return dict(con.execute(statement("privacy/fingerprints")).fetchall())


def _demand_first(lake: Lake, con: duckdb.DuckDBPyConnection, known: dict[int, str]) -> None:
    """Raises PrivacyKeysError if a home without keys is not the first one: keys are known, or were used before the lake recorded them."""
    if not known and con.execute(statement("privacy/uses_keys")).fetchall() == [(False,)]:
        return
    home = lake.home.resolve()
    raise PrivacyKeysError(
        f"there is no {keys_file(home)}, and the lake at {lake.shown_catalog} is used with privacy keys of another home: erasures and "
        f"pseudonyms would not fit; copy {NAME} from that home to {home}"
    )


def _missing(lake: Lake, con: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """The fingerprints of this home's keys that the lake does not know. Raises PrivacyKeysError if it knows others."""
    file, known = keys_file(lake.home), _known(con)
    if not file.exists():
        _demand_first(lake, con, known)
    ours = _fingerprints(load_keys(lake.home))
    wrong = [number for number in known if ours.get(number) != known[number]]
    if wrong:
        raise PrivacyKeysError(
            f"key {wrong[0]} in {file} is not the one with which other homes use the lake at {lake.shown_catalog}; keep a copy of this "
            f"file, and copy {NAME} from the home that made the lake's pseudonyms and erasures to {file.parent}"
        )
    return {number: fingerprint for number, fingerprint in ours.items() if number not in known}


def _fingerprints(keys: Keys) -> dict[int, str]:
    """By number, apart from other digests: no id has a fixed text and a number like this."""
    return {number: Keys(number, {number: secret}).digest(f"{FIXED}: {number}") for number, secret in keys.secrets.items()}
