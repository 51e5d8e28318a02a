"""Who may call: keys and admin sessions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from access import services
from access.models import ApiKey
from access.throttling import FAILURES_PER_MINUTE
from tests.access.keys import client_of, client_with, make_key

pytestmark = pytest.mark.django_db
PATH = "/api/v1/api-keys"


def code_of(text: str, **extra: str) -> tuple[int, str]:
    answer = client_with(text).get(PATH, **extra)
    return answer.status_code, answer.json().get("code", "")


def test_a_valid_key_is_let_in() -> None:
    assert client_of(None).get(PATH).status_code == 200


def test_the_scheme_is_read_in_any_case() -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"bearer   {make_key()[1]}")
    assert client.get(PATH).status_code == 200


@pytest.mark.parametrize("change", ["last", "first", "cut", "longer", "empty", "spaces", "unicode", "long"])
def test_a_key_that_is_not_exactly_right_is_refused(change: str) -> None:
    _, text = make_key()
    wrong = {
        "last": text[:-1] + ("a" if text[-1] != "a" else "b"),
        "first": "x" + text[1:],
        "cut": text[:16],
        "longer": text + "a",
        "empty": "",
        "spaces": f"{text} {text}",
        "unicode": text[:-1] + "\u00fc",
        "long": text + "a" * 5000,
    }[change]
    answer = client_with(wrong).get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_key")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Basic YTpi", "Token x", "Bearer", "x"])
def test_another_scheme_is_a_401_that_names_the_right_one(header: str) -> None:
    answer = APIClient().get(PATH, HTTP_AUTHORIZATION=header)
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_key"


def test_only_a_hash_of_the_key_is_stored() -> None:
    key, text = make_key()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM access_apikey")
        stored = " ".join(str(value) for row in cursor.fetchall() for value in row)
    assert text not in stored
    assert text.rpartition("_")[2] not in stored
    assert text.startswith(key.prefix)
    assert text not in repr(key)


def test_an_expired_key_is_told_so() -> None:
    key, text = make_key(expires_at=timezone.now() + timedelta(hours=1))
    assert code_of(text)[0] == 200
    ApiKey.objects.filter(id=key.id).update(expires_at=timezone.now())
    assert code_of(text) == (401, "key_expired")


def test_a_revoked_key_is_told_so() -> None:
    key, text = make_key()
    services.revoke_key(key)
    assert code_of(text) == (401, "key_revoked")


def test_a_key_whose_user_was_switched_off_is_refused(alice: User) -> None:
    _, text = make_key(alice)
    alice.is_active = False
    alice.save()
    assert code_of(text) == (401, "owner_inactive")


def test_a_key_is_bound_to_its_networks() -> None:
    _, text = make_key(allowed_cidrs=["10.0.0.0/8"])
    assert code_of(text, REMOTE_ADDR="10.9.9.9")[0] == 200
    assert code_of(text, REMOTE_ADDR="192.0.2.1") == (401, "network_not_allowed")
    assert code_of(text, REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="10.9.9.9")[0] == 401


def test_after_a_rotation_both_keys_work_until_the_old_one_expires() -> None:
    key, old = make_key()
    _, new = services.rotate_key(key, 2)
    assert code_of(old)[0] == code_of(new)[0] == 200
    ApiKey.objects.filter(id=key.id).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert code_of(old) == (401, "key_expired")
    assert code_of(new)[0] == 200


def test_a_rotation_without_overlap_ends_the_old_key_at_once() -> None:
    key, old = make_key()
    services.rotate_key(key, 0)
    assert code_of(old) == (401, "key_expired")


def test_its_last_use_is_noted_once_a_minute() -> None:
    key, text = make_key()
    client_with(text).get(PATH, REMOTE_ADDR="192.0.2.1")
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    assert key.last_used_address == "192.0.2.1"
    client_with(text).get(PATH, REMOTE_ADDR="192.0.2.2")
    key.refresh_from_db()
    assert (key.last_used_at, key.last_used_address) == (first, "192.0.2.1")
    ApiKey.objects.filter(id=key.id).update(last_used_at=first - timedelta(seconds=61))
    client_with(text).get(PATH, REMOTE_ADDR="192.0.2.2")
    key.refresh_from_db()
    assert key.last_used_address == "192.0.2.2"


def test_authenticating_costs_the_same_statements_for_every_kind_of_owner(alice: User, team: Group) -> None:
    client_of(None, unlimited=True).get(PATH)
    counts = {}
    for name, owner in (("admins", None), ("team", team), ("user", alice)):
        client = client_of(owner, unlimited=True)
        client.get(PATH)
        with CaptureQueriesContext(connection) as queries:
            client.get(PATH)
        counts[name] = len(queries)
    # the key, the page; for a user also the groups; on PostgreSQL the usage count (on SQLite it goes to another file)
    usage = int(connection.vendor == "postgresql")
    assert counts == {"admins": 2 + usage, "team": 2 + usage, "user": 3 + usage}


class TestFailures:
    def test_too_many_failures_of_an_address_are_answered_429(self) -> None:
        stranger = client_with("rg_live_guess___guess")
        codes = [stranger.get(PATH, REMOTE_ADDR="192.0.2.1").status_code for _ in range(FAILURES_PER_MINUTE + 2)]
        assert codes == [401] * FAILURES_PER_MINUTE + [429] * 2
        answer = stranger.get(PATH, REMOTE_ADDR="192.0.2.1")
        assert 1 <= int(answer["Retry-After"]) <= 60
        assert answer.json()["code"] == "rate_limited"

    def test_a_valid_key_from_the_same_address_is_not_refused(self) -> None:
        stranger, friend = client_with("rg_live_guess___guess"), client_of(None)
        for _ in range(FAILURES_PER_MINUTE + 1):
            stranger.get(PATH, REMOTE_ADDR="192.0.2.1")
        assert friend.get(PATH, REMOTE_ADDR="192.0.2.1").status_code == 200

    def test_another_address_is_not_touched(self) -> None:
        stranger = client_with("rg_live_guess___guess")
        for _ in range(FAILURES_PER_MINUTE + 1):
            stranger.get(PATH, REMOTE_ADDR="192.0.2.1")
        assert stranger.get(PATH, REMOTE_ADDR="192.0.2.2").status_code == 401

    def test_an_ipv6_subscriber_counts_as_one(self) -> None:
        stranger = client_with("rg_live_guess___guess")
        for number in range(FAILURES_PER_MINUTE):
            stranger.get(PATH, REMOTE_ADDR=f"2001:db8::{number:x}")
        assert stranger.get(PATH, REMOTE_ADDR="2001:db8::ffff").status_code == 429
        assert stranger.get(PATH, REMOTE_ADDR="2001:db8:1::1").status_code == 401

    def test_asking_without_a_key_is_not_counted(self) -> None:
        for _ in range(FAILURES_PER_MINUTE + 1):
            assert APIClient().get(PATH, REMOTE_ADDR="192.0.2.1").status_code == 401


class TestSessions:
    def client(self, user: User, *, csrf: bool = False) -> Client:
        client = Client(enforce_csrf_checks=csrf)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def test_staff_may_use_the_api_from_the_admin(self, admin: User) -> None:
        assert self.client(admin).get(PATH).status_code == 200

    def test_others_may_not(self, alice: User) -> None:
        alice.is_staff = False
        alice.save()
        assert self.client(alice).get(PATH).status_code == 401

    def test_a_change_needs_the_csrf_token(self, admin: User) -> None:
        client = self.client(admin, csrf=True)
        answer = client.post(PATH, {"name": "x"}, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
        assert "CSRF" in answer.json()["message"]
        assert not ApiKey.objects.exists()
        client.cookies["csrftoken"] = "t" * 32
        answer = client.post(PATH, {"name": "x"}, content_type="application/json", HTTP_X_CSRFTOKEN="t" * 32)
        assert answer.status_code == 201

    def test_a_bad_key_is_not_saved_by_a_session(self, admin: User) -> None:
        answer = self.client(admin).get(PATH, HTTP_AUTHORIZATION="Bearer rg_live_guess___guess")
        assert answer.status_code == 401
