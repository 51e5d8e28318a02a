from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import InvalidInput
from webhooks.secrets import MAX_KEPT, check_overlap, check_secret, initial, new_secret, next_expiry, rotated, signing_secrets

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_new_secret_is_valid_and_never_the_same() -> None:
    made = {new_secret() for _ in range(20)}
    assert len(made) == 20
    assert all(check_secret(secret) == secret for secret in made)


def test_only_the_first_secret_signs_at_first() -> None:
    assert signing_secrets(initial("a"), NOW) == ["a"]


def test_after_a_rotation_both_sign_until_the_overlap_ends() -> None:
    stored = rotated(initial("old"), "new", 24, NOW)
    assert signing_secrets(stored, NOW) == ["new", "old"]
    assert signing_secrets(stored, NOW + timedelta(hours=23, minutes=59)) == ["new", "old"]
    assert signing_secrets(stored, NOW + timedelta(hours=24)) == ["new"]


def test_without_an_overlap_the_old_secret_ends_at_once() -> None:
    assert rotated(initial("old"), "new", 0, NOW) == initial("new")


def test_a_second_rotation_never_lengthens_the_life_of_the_first_secret() -> None:
    twice = rotated(rotated(initial("a"), "b", 1, NOW), "c", 24, NOW)
    assert signing_secrets(twice, NOW) == ["c", "b", "a"]
    assert signing_secrets(twice, NOW + timedelta(hours=2)) == ["c", "b"]


def test_a_shorter_overlap_also_shortens_what_ran_before() -> None:
    twice = rotated(rotated(initial("a"), "b", 24, NOW), "c", 1, NOW)
    assert signing_secrets(twice, NOW + timedelta(hours=2)) == ["c"]


def test_expired_secrets_are_dropped_and_at_most_ten_kept() -> None:
    stored = rotated(initial("s0"), "s1", 1, NOW)
    assert rotated(stored, "s2", 1, NOW + timedelta(hours=2))[-1]["secret"] == "s1"
    for number in range(2, 20):
        stored = rotated(stored, f"s{number}", 24, NOW)
    assert len(stored) == MAX_KEPT
    assert stored[0] == {"secret": "s19", "expires_at": None}


def test_going_back_to_an_older_secret_lists_it_once() -> None:
    stored = rotated(rotated(initial("a"), "b", 24, NOW), "a", 24, NOW)
    assert signing_secrets(stored, NOW) == ["a", "b"]


def _secret(size: int) -> str:
    return "whsec_" + base64.b64encode(b"x" * size).decode()


@pytest.mark.parametrize("size", [24, 32, 64])
def test_it_accepts_a_secret_of_the_right_size(size: int) -> None:
    assert check_secret(_secret(size)) == _secret(size)


@pytest.mark.parametrize(
    "secret", [_secret(23), _secret(65), "", "abc", "whsec_", "whsec_!!!!", "whsec_é" * 20, _secret(32)[6:], None, 5, ["x"]]
)
def test_it_refuses_any_other_without_repeating_it(secret: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_secret(secret)
    assert list(caught.value.fields) == ["secret"]
    assert not (isinstance(secret, str) and len(secret) > 10 and secret in caught.value.message)


@pytest.mark.parametrize("hours", [-1, 721, "24", True, None, float("nan")])
def test_it_refuses_an_overlap_out_of_range(hours: Any) -> None:
    with pytest.raises(InvalidInput, match="0 to 720"):
        check_overlap(hours)


def test_the_next_expiry_is_that_of_the_first_secret_that_ends() -> None:
    assert next_expiry(initial("a"), NOW) is None
    stored = rotated(rotated(initial("a"), "b", 1, NOW), "c", 24, NOW)
    assert next_expiry(stored, NOW) == NOW + timedelta(hours=1)
    assert next_expiry(stored, NOW + timedelta(hours=1)) == NOW + timedelta(hours=24)
    assert next_expiry(stored, NOW + timedelta(hours=24)) is None
