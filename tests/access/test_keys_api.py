"""API keys over REST."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from rest_framework.test import APIClient

from access import services
from access.models import ApiKey, AuditEntry
from access.principals import of_user
from tests.access.keys import client_of, client_with, make_key

pytestmark = pytest.mark.django_db
PATH = "/api/v1/api-keys"


def create(client: APIClient, **values: Any) -> Any:
    return client.post(PATH, {"name": "ci"} | values, format="json")


def test_a_new_key_is_shown_once_and_works() -> None:
    client = client_of(None)
    made = create(client, scopes=["webhooks:read", "api-keys:read"])
    assert made.status_code == 201
    text = made.json()["key"]
    assert text.startswith("rg_live_")
    assert text.startswith(made.json()["prefix"])
    assert client_with(text).get(PATH).status_code == 200
    one = client.get(f"{PATH}/{made.json()['id']}")
    assert "key" not in one.json()
    assert text not in one.content.decode() + client.get(PATH).content.decode()
    assert not any(text in str(entry.changes) for entry in AuditEntry.objects.all())


def test_a_test_key_says_so() -> None:
    assert create(client_of(None), environment="test").json()["key"].startswith("rg_test_")


def test_an_idempotent_creation_answers_the_same_key_again() -> None:
    client = client_of(None)
    first, second = (client.post(PATH, {"name": "ci"}, format="json", HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))
    assert first.json()["key"] == second.json()["key"]
    assert second["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"scopes": ["webhooks:fly"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "all"}, "scopes"),
        ({"rate_per_minute": 0}, "rate_per_minute"),
        ({"rate_per_minute": 10**12}, "rate_per_minute"),
        ({"allowed_cidrs": ["x"]}, "allowed_cidrs"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"environment": "prod"}, "environment"),
        ({"owner": "user:nobody"}, "owner"),
        ({"owner": "team:admin"}, "owner"),
        ({"key_hash": "x"}, "key_hash"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], field: str) -> None:
    client = client_of(None)
    before = ApiKey.objects.count()
    answer = create(client, **values)
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["fields"]
    assert ApiKey.objects.count() == before


def test_a_key_cannot_give_what_it_does_not_have(alice: User) -> None:
    client = client_of(alice, "api-keys:write", "webhooks:read")
    assert create(client, scopes=["webhooks:read"]).status_code == 201
    for scopes in (["webhooks:write"], ["all"], ["events:system"]):
        answer = create(client, scopes=scopes)
        assert answer.status_code == 403, scopes
        assert "don't have" in answer.json()["message"]
    assert create(client).status_code == 403  # the default would be all


def test_nobody_but_who_has_it_gives_events_system(admin: User) -> None:
    assert create(client_of(None), scopes=["events:system"]).status_code == 403
    assert create(client_of(None, "all", "events:system"), scopes=["events:system"]).status_code == 201


def test_a_key_cannot_widen_or_rotate_a_wider_one(alice: User) -> None:
    wide, _ = make_key(alice)
    client = client_of(alice, "api-keys:write")
    assert client.patch(f"{PATH}/{wide.id}", {"scopes": ["all"]}, format="json").status_code == 403
    assert client.post(f"{PATH}/{wide.id}/rotate").status_code == 403
    assert client.patch(f"{PATH}/{wide.id}", {"name": "renamed"}, format="json").status_code == 403
    assert client.delete(f"{PATH}/{wide.id}").status_code == 403
    wide.refresh_from_db()
    assert (wide.name, wide.revoked_at) == ("test", None)
    equal, _ = make_key(alice, "api-keys:write")
    assert client.patch(f"{PATH}/{equal.id}", {"name": "renamed"}, format="json").status_code == 200
    assert client.delete(f"{PATH}/{equal.id}").status_code == 204


def test_only_an_admin_lifts_rate_limits(alice: User) -> None:
    client = client_of(alice)
    assert create(client, unlimited=True).status_code == 403
    assert create(client, rate_per_minute=101).status_code == 403
    assert create(client, rate_per_minute=100).status_code == 201
    assert create(client_of(None, rate_per_minute=5000), rate_per_minute=5000).status_code == 201
    assert create(client_of(None, unlimited=True), unlimited=True).status_code == 201


def test_owners(alice: User, bob: User, charlie: User, team: Group) -> None:
    client = client_of(alice)
    assert create(client).json()["owner"] == "user:alice"
    assert create(client, owner="user:alice").json()["owner"] == "user:alice"
    make_key(team)
    assert create(client, owner=f"team:{team.name}").json()["owner"] == f"team:{team.name}"
    for other in ("user:charlie", "user:bob", "user:nobody", "team:none"):
        answer = create(client, owner=other)
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_owner"), other
    assert create(client, owner=None).status_code == 403
    assert create(client_of(None)).json()["owner"] is None
    assert create(client_of(None), owner="user:charlie").json()["owner"] == "user:charlie"


def test_the_owner_of_a_key_stays(alice: User, charlie: User) -> None:
    key, _ = make_key(alice)
    client = client_of(None)
    sent = client.get(f"{PATH}/{key.id}").json()
    assert client.put(f"{PATH}/{key.id}", sent, format="json").status_code == 200
    answer = client.patch(f"{PATH}/{key.id}", {"owner": "user:charlie"}, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["owner"])


def test_patch_changes_what_is_sent_and_put_resets_the_rest() -> None:
    client = client_of(None)
    key, _ = make_key(None, "webhooks:read", rate_per_minute=5, allowed_cidrs=["10.0.0.0/8"])
    patched = client.patch(f"{PATH}/{key.id}", {"name": "new", "expires_at": "2099-01-01T00:00:00Z"}, format="json").json()
    assert (patched["name"], patched["scopes"], patched["rate_per_minute"]) == ("new", ["webhooks:read"], 5)
    assert patched["expires_at"] == "2099-01-01T00:00:00Z"
    replaced = client.put(f"{PATH}/{key.id}", {"name": "bare"}, format="json").json()
    assert (replaced["scopes"], replaced["rate_per_minute"], replaced["allowed_cidrs"], replaced["expires_at"]) == (["all"], None, [], None)


def test_a_deleted_key_is_revoked_and_stays_listed() -> None:
    client = client_of(None)
    key, text = make_key()
    assert client.delete(f"{PATH}/{key.id}").status_code == 204
    assert client_with(text).get(PATH).status_code == 401
    assert client.get(f"{PATH}/{key.id}").json()["revoked_at"] is not None
    assert client.delete(f"{PATH}/{key.id}").status_code == 204
    assert AuditEntry.objects.filter(action="revoke").count() == 1
    assert client.patch(f"{PATH}/{key.id}", {"name": "x"}, format="json").status_code == 409
    assert client.post(f"{PATH}/{key.id}/rotate").status_code == 409


def test_a_rotation_answers_a_new_key_with_the_same_rights(alice: User) -> None:
    key, old = make_key(alice, "api-keys:read", rate_per_minute=7, allowed_cidrs=["127.0.0.0/8"])
    answer = client_of(None).post(f"{PATH}/{key.id}/rotate", {"overlap_hours": 2}, format="json")
    assert answer.status_code == 201
    new = answer.json()
    assert (new["name"], new["scopes"], new["rate_per_minute"], new["owner"]) == ("test", ["api-keys:read"], 7, "user:alice")
    assert client_with(new["key"]).get(PATH).status_code == client_with(old).get(PATH).status_code == 200
    key.refresh_from_db()
    assert str(key.successor_id) == new["id"]
    assert key.expires_at is not None
    assert timedelta(hours=1, minutes=59) < key.expires_at - timezone.now() <= timedelta(hours=2)


def test_a_rotation_lasts_a_day_by_default_and_never_prolongs_the_old_key() -> None:
    client = client_of(None)
    soon = timezone.now() + timedelta(hours=1)
    key, _ = make_key()
    short, _ = make_key(expires_at=soon)
    for one in (key, short):
        assert client.post(f"{PATH}/{one.id}/rotate").status_code == 201
        one.refresh_from_db()
    assert key.expires_at is not None
    assert timedelta(hours=23, minutes=59) < key.expires_at - timezone.now() <= timedelta(hours=24)
    assert short.expires_at == soon


def test_a_key_is_rotated_once() -> None:
    client = client_of(None)
    key, _ = make_key()
    client.post(f"{PATH}/{key.id}/rotate")
    answer = client.post(f"{PATH}/{key.id}/rotate")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("hours", [-1, 721, "2", None, True, 1e300])
def test_an_impossible_overlap_is_refused(hours: Any) -> None:
    key, _ = make_key()
    answer = client_of(None).post(f"{PATH}/{key.id}/rotate", {"overlap_hours": hours}, format="json")
    assert answer.status_code == 400
    assert "overlap_hours" in answer.json()["fields"]


def test_lists_can_be_filtered() -> None:
    client = client_of(None)
    test_key, _ = make_key(environment="test")
    old, _ = make_key(name="old")
    ApiKey.objects.filter(id=old.id).update(expires_at=timezone.now())

    def ids(query: str) -> set[str]:
        return {row["id"] for row in client.get(f"{PATH}?{query}").json()["results"]}

    assert ids("environment=test") == {str(test_key.id)}
    assert ids("name=old") == {str(old.id)} == ids("active=false")
    assert str(old.id) not in ids("active=true")


def test_a_strangers_key_is_not_there(alice: User, bob: User, charlie: User) -> None:
    key, _ = make_key(alice)
    for stranger in (charlie, bob):
        client = client_of(stranger)
        assert str(key.id) not in client.get(PATH).content.decode()
        for method, path in (("get", ""), ("patch", ""), ("put", ""), ("delete", ""), ("post", "/rotate"), ("get", "/usage")):
            answer = getattr(client, method)(f"{PATH}/{key.id}{path}", {"name": "x"} if method != "get" else None, format="json")
            assert answer.status_code == 404 or (method == "post" and answer.status_code == 404), (method, path)
    key.refresh_from_db()
    assert (key.name, key.revoked_at) == ("test", None)


def test_a_team_shares_its_keys(alice: User, bob: User, charlie: User, team: Group) -> None:
    key, _ = make_key(team)
    assert client_of(bob).get(f"{PATH}/{key.id}").status_code == 200
    assert client_of(charlie).get(f"{PATH}/{key.id}").status_code == 404


class TestInitialKey:
    def test_it_is_made_once(self, settings: Any) -> None:
        settings.INITIAL_API_KEY = "rg_" + "k" * 40
        assert services.ensure_initial_key()
        assert not services.ensure_initial_key()
        assert ApiKey.objects.count() == 1
        assert client_with(settings.INITIAL_API_KEY).get(PATH).status_code == 200

    def test_none_is_made_without_the_setting(self) -> None:
        assert not services.ensure_initial_key()
        assert not ApiKey.objects.exists()

    def test_a_revoked_one_does_not_come_back(self, settings: Any) -> None:
        settings.INITIAL_API_KEY = "rg_" + "k" * 40
        services.ensure_initial_key()
        services.revoke_key(ApiKey.objects.get())
        assert not services.ensure_initial_key()
        assert client_with(settings.INITIAL_API_KEY).get(PATH).status_code == 401

    @pytest.mark.parametrize("text", ["rg_short", "k" * 50, "rg_" + "k" * 39, "rg_" + "k k" * 20, "rg_" + "k" * 300])
    def test_an_unfit_one_stops_the_start(self, settings: Any, text: str) -> None:
        settings.INITIAL_API_KEY = text
        with pytest.raises(services.InvalidInput, match="INITIAL_API_KEY") as caught:
            services.ensure_initial_key()
        assert text not in str(caught.value)

    def test_one_that_starts_like_another_key_is_refused(self, settings: Any) -> None:
        key, _ = make_key()
        settings.INITIAL_API_KEY = key.prefix + "z" * 43
        with pytest.raises(services.InvalidInput, match="exists"):
            services.ensure_initial_key()


class TestService:
    """What forms refuse already is refused by the service too: the admin site and commands call it."""

    def test_unknown_fields_can_not_be_changed(self) -> None:
        key, _ = make_key()
        with pytest.raises(services.InvalidInput, match="owner_id"):
            services.update_key(key, {"owner_id": None})

    def test_an_impossible_overlap(self) -> None:
        key, _ = make_key()
        with pytest.raises(services.InvalidInput, match="overlap_hours"):
            services.rotate_key(key, -1)

    def test_an_expired_key_can_not_be_rotated(self) -> None:
        key, _ = make_key()
        ApiKey.objects.filter(id=key.id).update(expires_at=timezone.now())
        with pytest.raises(services.Conflict, match="expired"):
            services.rotate_key(key)

    def test_an_unknown_environment(self) -> None:
        key, _ = make_key()
        with pytest.raises(services.InvalidInput, match="environment"):
            services.update_key(key, {"environment": "prod"})

    def test_nobody_makes_keys_for_others(self, alice: User, charlie: User) -> None:
        who, other = of_user(alice), of_user(charlie).default_owner_id
        for owner_id in (None, other):
            with pytest.raises(services.NotAllowed, match="owner"):
                services.create_key(services.KeyValues(name="x", owner_id=owner_id), who)
        assert not ApiKey.objects.exists()
