"""Keyed digests: stable, one per id and key, chained over rotations, and their file is never silently replaced."""

from __future__ import annotations

import hashlib
import hmac
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.access import keep
from tasks.privacy.keyed import Keys, PrivacyKeysError, add_key, keys_file, load_keys

KEYS = Keys(3, {1: b"a" * 32, 2: b"b" * 32, 3: b"c" * 32})


def test_a_digest_names_its_key_and_is_half_of_an_hmac_of_the_id() -> None:
    first = "1-" + hmac.new(b"a" * 32, "müller".encode(), hashlib.sha256).hexdigest()[:32]
    assert KEYS.digest("müller", 1) == first
    assert KEYS.digest("müller", 2) == "2-" + hmac.new(b"b" * 32, first.encode(), hashlib.sha256).hexdigest()[:32]
    assert KEYS.digests("müller") == tuple(KEYS.digest("müller", number) for number in (1, 2, 3))


@given(st.text(max_size=20), st.integers(1, 3))
def test_a_digest_under_any_key_stands_for_the_id_that_it_was_made_of(user_id: str, number: int) -> None:
    older = KEYS.digest(user_id, number)
    assert KEYS.digest(older) == KEYS.digest(user_id)
    assert KEYS.digests(older) == KEYS.digests(user_id)[number - 1 :]


def test_what_only_looks_like_a_digest_is_an_id_like_any_other() -> None:
    for user_id in (f"4-{'0' * 32}", f"1-{'0' * 31}", f"1-{'A' * 32}", f"01-{'0' * 32}"):
        assert KEYS.digest(user_id).startswith("3-")
        assert KEYS.number_of(user_id) is None


def test_the_keys_are_random_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    one, other = load_keys(tmp_path / "one"), load_keys(tmp_path / "other")
    assert one.digest("42") != other.digest("42")
    assert load_keys(tmp_path / "one") == one
    assert stat.S_IMODE(keys_file(tmp_path / "one").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "one").iterdir()] == ["privacy-keys.json"]
    assert one.secrets[1].hex() not in repr(one)


def test_the_file_of_the_keys_is_closed_to_others_with_the_rest_of_the_home(home: Path) -> None:
    load_keys(home)
    keys_file(home).chmod(0o644)
    keep(home, "owner")
    assert stat.S_IMODE(keys_file(home).stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_one_key(home: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(load_keys, [home] * 64))
    assert all(keys == found[0] for keys in found)


def test_a_new_key_keeps_the_old_one_and_digests_of_both_are_found(home: Path) -> None:
    before = load_keys(home)
    after = add_key(home)
    assert after == load_keys(home)
    assert (before.current, after.current) == (1, 2)
    assert before.digest("42") in after.digests("42")
    assert after.digest(before.digest("42")) == after.digest("42")


WITHOUT_CURRENT = '{"current": 2, "keys": {"1": "' + "ab" * 32 + '"}}'


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"current": 1, "keys": {"1": "abcd"}}', WITHOUT_CURRENT])
def test_a_damaged_file_is_an_error_and_never_leads_to_a_new_key(home: Path, text: str) -> None:
    home.mkdir()
    keys_file(home).write_text(text)
    with pytest.raises(PrivacyKeysError, match="holds no keys of this program; restore it from a backup") as caught:
        load_keys(home)
    assert "abab" not in str(caught.value)
    assert keys_file(home).read_text() == text
