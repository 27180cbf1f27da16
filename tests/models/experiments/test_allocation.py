from __future__ import annotations

import hashlib
import hmac

import numpy as np

from models.experiments.allocation import arm_of, arms_of

KEY = bytes(range(32))
USERS = [f"user {n}" for n in range(20_000)]


def test_the_arm_follows_from_the_first_eight_bytes_of_an_hmac_of_experiment_and_user() -> None:
    digest = hmac.new(KEY, b"4:blue:42", hashlib.sha256).digest()
    at = int.from_bytes(digest[:8], "big") / 2**64
    assert not arm_of(KEY, "blue", "42", at - 1e-6)
    assert arm_of(KEY, "blue", "42", at + 1e-6)


def test_the_challenger_gets_its_share_of_the_users_and_all_or_nobody_at_the_ends() -> None:
    assert abs(arms_of(KEY, "blue", USERS, 0.2).mean() - 0.2) < 4 * (0.2 * 0.8 / len(USERS)) ** 0.5
    assert not arms_of(KEY, "blue", USERS, 0.0).any()
    assert arms_of(KEY, "blue", USERS, 1.0).all()


def test_arms_of_two_experiments_are_independent() -> None:
    blue, green = (arms_of(KEY, name, USERS, 0.5) for name in ("blue", "green"))
    assert abs(np.corrcoef(blue, green)[0, 1]) < 4 / len(USERS) ** 0.5


def test_a_larger_share_keeps_everybody_who_was_in_the_challengers_arm() -> None:
    small, large = (arms_of(KEY, "blue", USERS, share) for share in (0.1, 0.3))
    assert not (small & ~large).any()


def test_names_that_run_into_each_other_are_different_experiments() -> None:
    one = [arm_of(KEY, "blue", f"1:{user}", 0.5) for user in USERS[:200]]
    other = [arm_of(KEY, "blue:1", user, 0.5) for user in USERS[:200]]
    assert one != other
