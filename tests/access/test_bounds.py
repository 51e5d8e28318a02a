"""A key with limits can't lift them: neither its own nor by another key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from access import bounds, services
from access.models import ApiKey
from access.principals import of_user
from tests.access.keys import client_with, make_key

pytestmark = pytest.mark.django_db
PATH = "/api/v1/api-keys"
WIDER: list[tuple[dict[str, Any], str]] = [
    ({"expires_at": None}, "expires_at"),
    ({"expires_at": "2099-01-01T00:00:00Z"}, "expires_at"),
    ({"allowed_cidrs": []}, "allowed_cidrs"),
    ({"allowed_cidrs": ["0.0.0.0/0"]}, "allowed_cidrs"),
    ({"allowed_cidrs": ["127.0.0.1", "::1"]}, "allowed_cidrs"),
    ({"rate_per_minute": 51}, "rate_per_minute"),
    ({"rate_per_minute": None}, "rate_per_minute"),
    ({"unlimited": True}, "unlimited"),
    ({"scopes": ["all", "events:system"]}, "scopes"),
]


@pytest.fixture
def end() -> datetime:
    return timezone.now().replace(microsecond=0) + timedelta(days=30)


@pytest.fixture
def limited(alice: User, end: datetime) -> tuple[ApiKey, APIClient]:
    key, text = make_key(alice, expires_at=end, allowed_cidrs=["127.0.0.0/8"], rate_per_minute=50)
    return key, client_with(text)


@pytest.fixture
def limited_admin(end: datetime) -> tuple[ApiKey, APIClient]:
    key, text = make_key(None, expires_at=end, allowed_cidrs=["127.0.0.0/8"], rate_per_minute=50)
    return key, client_with(text)


@pytest.mark.parametrize("kind", ["limited", "limited_admin"])
@pytest.mark.parametrize(("changes", "field"), WIDER)
def test_a_key_can_not_lift_its_own_limits(request: pytest.FixtureRequest, kind: str, changes: dict[str, Any], field: str) -> None:
    key, client = request.getfixturevalue(kind)
    before = bounds.limits_of(ApiKey.objects.get(id=key.id))
    answer = client.patch(f"{PATH}/{key.id}", changes, format="json")
    assert answer.status_code == 403, answer.content
    assert answer.json()["message"].startswith(f"{field}: ")
    assert bounds.limits_of(ApiKey.objects.get(id=key.id)) == before


@pytest.mark.parametrize("kind", ["limited", "limited_admin"])
@pytest.mark.parametrize(("values", "field"), [(values, field) for values, field in WIDER if all(values.values())])
def test_a_key_can_not_make_a_wider_one(request: pytest.FixtureRequest, kind: str, values: dict[str, Any], field: str) -> None:
    _, client = request.getfixturevalue(kind)
    answer = client.post(PATH, {"name": "child"} | values, format="json")
    assert answer.status_code == 403, answer.content
    assert answer.json()["message"].startswith(f"{field}: ")
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("empty", [{}, {"expires_at": None, "allowed_cidrs": [], "rate_per_minute": None}])
def test_a_new_key_has_the_limits_of_its_maker(limited: tuple[ApiKey, APIClient], end: datetime, empty: dict[str, Any]) -> None:
    made = limited[1].post(PATH, {"name": "child"} | empty, format="json").json()
    assert (made["allowed_cidrs"], made["rate_per_minute"], made["unlimited"]) == (["127.0.0.0/8"], 50, False)
    assert ApiKey.objects.get(id=made["id"]).expires_at == end


def test_a_key_may_narrow_itself_and_make_narrower_ones(limited: tuple[ApiKey, APIClient], end: datetime) -> None:
    key, client = limited
    sooner = (end - timedelta(days=1)).isoformat()
    narrow = {"expires_at": sooner, "allowed_cidrs": ["127.0.0.0/9", "127.0.0.1"], "rate_per_minute": 49}
    assert client.post(PATH, {"name": "child"} | narrow, format="json").status_code == 201
    assert client.patch(f"{PATH}/{key.id}", {"name": "renamed"} | narrow, format="json").status_code == 200


def test_neighbouring_networks_count_as_one(alice: User) -> None:
    _, text = make_key(alice, allowed_cidrs=["127.0.0.0/9", "127.128.0.0/9", "2001:db8::/32"])
    client = client_with(text)
    assert client.post(PATH, {"name": "x", "allowed_cidrs": ["127.0.0.0/8", "2001:db8:1::/48"]}, format="json").status_code == 201
    assert client.post(PATH, {"name": "x", "allowed_cidrs": ["2001:db9::/32"]}, format="json").status_code == 403


@pytest.mark.parametrize(
    "wider",
    [
        {"allowed_cidrs": ["127.0.0.0/8"], "rate_per_minute": 50},
        {"expires_at": "soon", "rate_per_minute": 50},
        {"expires_at": "soon", "allowed_cidrs": ["127.0.0.0/8"]},
        {"expires_at": "soon", "allowed_cidrs": ["127.0.0.0/8"], "unlimited": True},
    ],
)
def test_a_key_gets_no_wider_one_by_rotation(alice: User, limited: tuple[ApiKey, APIClient], wider: dict[str, Any]) -> None:
    soon = {"expires_at": timezone.now() + timedelta(days=1)} if "expires_at" in wider else {}
    other, _ = make_key(alice, **(wider | soon))
    answer = limited[1].post(f"{PATH}/{other.id}/rotate")
    assert answer.status_code == 403, answer.content
    other.refresh_from_db()
    assert other.successor_id is None


def test_a_limited_key_rotates_itself(limited: tuple[ApiKey, APIClient], end: datetime) -> None:
    key, client = limited
    answer = client.post(f"{PATH}/{key.id}/rotate")
    assert answer.status_code == 201
    assert bounds.limits_of(ApiKey.objects.get(id=answer.json()["id"])) == bounds.limits_of(key)


def test_an_unlimited_key_may_give_any_rate() -> None:
    client = client_with(make_key(None, unlimited=True)[1])
    assert client.post(PATH, {"name": "x", "unlimited": True}, format="json").status_code == 201
    assert client.post(PATH, {"name": "x", "rate_per_minute": 5000}, format="json").status_code == 201


def test_a_put_of_what_is_stored_is_no_widening(alice: User, limited: tuple[ApiKey, APIClient]) -> None:
    other, _ = make_key(alice)
    client = limited[1]
    sent = client.get(f"{PATH}/{other.id}").json() | {"name": "renamed"}
    assert client.put(f"{PATH}/{other.id}", sent, format="json").status_code == 200


def test_sessions_have_no_key_to_be_measured_by(admin: User, end: datetime) -> None:
    key, _ = make_key(None, expires_at=end, allowed_cidrs=["127.0.0.0/8"], rate_per_minute=5)
    services.update_key(key, {"expires_at": None, "allowed_cidrs": [], "rate_per_minute": 5000}, of_user(admin))
    key.refresh_from_db()
    assert (key.expires_at, key.allowed_cidrs, key.rate_per_minute) == (None, [], 5000)
