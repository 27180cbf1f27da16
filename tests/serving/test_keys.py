"""Keys: random, shown once, stored as a hash, and a change of the file counts at the next request."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.keys import ROLES, Keys, KeysError, Role


def test_the_file_holds_no_key_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    assert keys.all() is None
    secret, key = keys.add(["events"], "shop-page")
    assert len(secret) > 43
    assert secret not in keys.file.read_text()
    assert keys.file.stat().st_mode & 0o777 == 0o600
    assert keys.find(secret) == key
    for wrong in ("", secret[:-1], f"{secret}x", "\ud800", key.sha256, key.id):
        assert keys.find(wrong) is None


def test_two_keys_differ_and_both_count(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    secrets = {keys.add(["read"])[0] for _ in range(3)}
    assert len(secrets) == 3
    assert all(keys.find(secret) for secret in secrets)


@pytest.mark.parametrize(
    ("roles", "may"), [(["events"], {"events"}), (["read"], {"read"}), (["read", "events"], {"events", "read"}), (["admin"], set(ROLES))]
)
def test_a_key_may_what_its_roles_say_and_admin_everything(roles: list[Role], may: set[Role], tmp_path: Path) -> None:
    _, key = Keys(tmp_path).add(roles)
    assert {role for role in ROLES if key.may(role)} == may


def test_another_process_sees_a_new_key_and_a_revoked_one_at_once(tmp_path: Path) -> None:
    server, command = Keys(tmp_path), Keys(tmp_path)
    assert server.all() is None
    secret, _ = command.add(["read"], "page")
    assert server.find(secret) is not None
    command.revoke("page")
    assert server.find(secret) is None
    assert server.all() == (), "without any key left, keys are still needed"


def test_a_deleted_file_of_keys_opens_nothing_before_its_mark_is_deleted_too(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.add(["read"])
    keys.file.unlink()
    with pytest.raises(KeysError, match="is gone, and this API had keys"):
        keys.all()
    secret, _ = keys.add(["read"])
    assert keys.find(secret) is not None
    keys.file.unlink()
    keys.mark.unlink()
    assert keys.all() is None


def test_keys_that_are_added_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(lambda n: Keys(tmp_path).add(["read"], f"k{n}")[0], range(16)))
    assert all(Keys(tmp_path).find(secret) for secret in secrets)


def test_a_name_that_is_taken_and_a_key_that_is_not_there_are_errors_with_a_remedy(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    _, key = keys.add(["read"], "page")
    with pytest.raises(KeysError, match="a key named 'page'; choose another name"):
        keys.add(["read"], "page")
    with pytest.raises(KeysError, match="`minutehand keys list` shows"):
        keys.revoke("pag")
    assert keys.revoke(key.id) == key


@pytest.mark.parametrize("text", ["", "[{]", '[{"id": "1"}]', "{}"])
def test_a_damaged_file_opens_nothing(text: str, tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    secret, _ = keys.add(["read"])
    keys.file.write_text(text)
    for _ in range(2):
        with pytest.raises(KeysError, match="restore it, or delete it and add new keys"):
            keys.find(secret)


def test_the_group_of_a_shared_home_can_read_the_file(tmp_path: Path) -> None:
    os.umask(0o007)
    keys = Keys(tmp_path, "group")
    keys.add(["read"])
    assert keys.file.stat().st_mode & 0o777 == 0o640
