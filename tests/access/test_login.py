"""Logging in to the admin site, and what happens to guessers."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def log_in(name: str, password: str, address: str = "192.0.2.1", **headers: str) -> int:
    client = Client(REMOTE_ADDR=address, headers=headers)
    return client.post("/admin/login/", {"username": name, "password": password}).status_code


def test_the_right_password_opens_the_admin(admin: User) -> None:
    assert log_in("admin", PASSWORD) == 302


def test_guessing_ends_in_a_friendly_429(admin: User) -> None:
    assert [log_in("admin", f"guess {number}") for number in range(5)] == [200] * 4 + [429]
    answer = Client(REMOTE_ADDR="192.0.2.1").post("/admin/login/", {"username": "admin", "password": PASSWORD})
    assert answer.status_code == 429
    assert answer["Retry-After"] == "900"
    text = answer.content.decode()
    assert "15 minutes" in text
    assert "/admin/login/" in text


def test_the_same_user_from_elsewhere_and_others_are_not_locked_out(admin: User, alice: User) -> None:
    for number in range(6):
        log_in("admin", f"guess {number}")
    assert log_in("admin", PASSWORD, "192.0.2.2") == 302
    assert log_in("alice", PASSWORD) == 302


def test_a_success_forgets_the_failures(admin: User) -> None:
    for _ in range(2):
        assert [log_in("admin", f"guess {number}") for number in range(4)] == [200] * 4
        assert log_in("admin", PASSWORD) == 302


def test_a_forged_address_does_not_help_a_guesser(admin: User, settings: Settings) -> None:
    codes = [log_in("admin", "guess", **{"X-Forwarded-For": f"198.51.100.{number}"}) for number in range(6)]
    assert codes[-1] == 429


def test_behind_a_proxy_of_ours_the_real_address_counts(admin: User, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["192.0.2.0/24"]
    for number in range(6):
        log_in("admin", f"guess {number}", **{"X-Forwarded-For": "198.51.100.1"})
    assert log_in("admin", PASSWORD, **{"X-Forwarded-For": "198.51.100.1"}) == 429
    assert log_in("admin", PASSWORD, **{"X-Forwarded-For": "198.51.100.2"}) == 302


@pytest.mark.parametrize("name", ["x" * 100_000, "x" * 256, "\u20ac" * 300, ""])
def test_an_absurd_name_is_answered_and_counted(admin: User, name: str) -> None:
    codes = [log_in(name, f"guess {number}") for number in range(5)]
    assert codes == ([200] * 4 + [429] if name else [200] * 5)


def test_a_name_that_can_not_be_stored_is_answered(admin: User) -> None:
    assert log_in("a\0b", "guess") == 200
