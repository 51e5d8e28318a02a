from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from access.models import AuditEntry
from core.models import RuntimeSettings
from integrations.models import Repository
from tests.access.keys import client_of
from tests.factories import RepositoryFactory, WebhookFactory, owner_of
from webhooks.models import WebhookRepository

pytestmark = pytest.mark.django_db
SHOP = {"provider": "github", "full_name": "acme/shop"}


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


def post(client: APIClient, body: Any) -> Any:
    return client.post("/api/v1/repositories", body, format="json")


def test_it_registers_a_repository(client: APIClient) -> None:
    answer = post(client, SHOP)
    assert answer.status_code == 201
    body = answer.json()
    stored = Repository.objects.get()
    assert body == {
        "id": str(stored.id), **SHOP, "default_branch": "main", "active": True, "sources": [], "owner": "user:alice",
        "created_at": body["created_at"], "updated_at": body["updated_at"],
    }  # fmt: skip
    assert client.get(f"/api/v1/repositories/{stored.id}").json() == body
    assert client.get("/api/v1/repositories").json()["results"] == [body]
    assert AuditEntry.objects.get(object_type="repository").verb == "created"


def test_it_can_belong_to_a_team(client: APIClient, team: Group) -> None:
    assert post(client, SHOP | {"owner": "team:team-blue"}).json()["owner"] == "team:team-blue"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"provider": "sourceforge"}, "provider"), ({"provider": None}, "provider"), ({"full_name": "shop"}, "full_name"),
        ({"full_name": "acme/sh op"}, "full_name"), ({"full_name": "acme//shop"}, "full_name"),
        ({"full_name": "a/" + "x" * 260}, "full_name"),
        ({"full_name": "a/\x00"}, "full_name"), ({"full_name": 5}, "full_name"), ({"full_name": "a/\ud800"}, "full_name"),
        ({"default_branch": ""}, "default_branch"), ({"default_branch": "a b"}, "default_branch"), ({"active": "yes"}, "active"),
        ({"owner": "user:charlie"}, "owner"), ({"badge_token": "x"}, "badge_token"), ({"stars": 5}, "stars"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_400_that_names_its_field(client: APIClient, charlie: User, change: dict[str, Any], field: str) -> None:
    answer = post(client, SHOP | change)
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["fields"]) == [field]
    assert not Repository.objects.exists()


@pytest.mark.parametrize("name", ["acme/shop", "group/sub/project", "acme/.github", "Acme_1/shop.js"])
def test_it_takes_names_as_providers_spell_them(client: APIClient, name: str) -> None:
    assert post(client, SHOP | {"full_name": name}).status_code == 201


def test_a_repository_is_registered_once_for_a_provider(client: APIClient, charlie: User) -> None:
    RepositoryFactory(full_name="acme/shop", owner=owner_of(charlie))
    answer = post(client, SHOP)
    assert (answer.status_code, list(answer.json()["fields"])) == (409, ["full_name"])
    assert "charlie" not in answer.content.decode()
    assert post(client, SHOP | {"provider": "gitlab"}).status_code == 201


def test_it_is_changed_and_audited(client: APIClient, team: Group) -> None:
    id = post(client, SHOP | {"active": False}).json()["id"]
    body = client.patch(f"/api/v1/repositories/{id}", {"default_branch": "trunk", "owner": "team:team-blue"}, format="json").json()
    assert (body["default_branch"], body["owner"], body["active"]) == ("trunk", "team:team-blue", False)
    assert set(AuditEntry.objects.get(object_type="repository", verb="changed").changes) == {"default_branch", "owner_id"}
    body = client.put(f"/api/v1/repositories/{id}", SHOP, format="json").json()
    assert (body["default_branch"], body["owner"], body["active"]) == ("main", "team:team-blue", True)


def test_what_was_read_can_be_sent_back(client: APIClient) -> None:
    body = post(client, SHOP).json()
    answer = client.put(f"/api/v1/repositories/{body['id']}", body, format="json")
    assert (answer.status_code, answer.json()) == (200, body)
    assert not AuditEntry.objects.filter(object_type="repository", verb="changed").exists()


def test_it_cannot_take_anothers_name(client: APIClient) -> None:
    RepositoryFactory(full_name="acme/shop")
    id = post(client, SHOP | {"full_name": "acme/blog"}).json()["id"]
    assert client.patch(f"/api/v1/repositories/{id}", {"full_name": "acme/shop"}, format="json").status_code == 409
    assert client.get(f"/api/v1/repositories/{id}").json()["full_name"] == "acme/blog"


def test_it_is_deleted(client: APIClient) -> None:
    id = post(client, SHOP).json()["id"]
    assert client.delete(f"/api/v1/repositories/{id}").status_code == 204
    assert not Repository.objects.exists()
    assert AuditEntry.objects.filter(object_type="repository", verb="deleted").exists()


def test_where_only_admins_register_a_team_claims_no_name(client: APIClient, alice: User, admin: User, team: Group) -> None:
    RuntimeSettings.objects.create(pk=1, teams_register_repositories=False)
    refused = post(client, SHOP)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert "Ask one to register it" in refused.json()["message"]
    event = {"type": "custom.a", "data": {}, "repository": "acme/shop"}
    upload = f"/api/v1/scans/upload?repository=acme/shop&commit={'a' * 40}"
    for unknown in (client.post("/api/v1/events", event, format="json"), client.post(upload, {}, format="json")):
        assert unknown.json()["fields"]["repository"][0].endswith("; ask an admin to register it for your team.")
    given = post(client_of(admin), SHOP | {"owner": "user:alice"}).json()
    url = f"/api/v1/repositories/{given['id']}"
    assert client.patch(url, {"full_name": "acme/payments"}, format="json").status_code == 403
    assert client.patch(url, {"owner": str(owner_of(team))}, format="json").status_code == 403
    same = {"full_name": "acme/shop", "owner": "user:alice", "default_branch": "trunk"}
    assert client.patch(url, same, format="json").json()["default_branch"] == "trunk"
    assert list(Repository.objects.values_list("full_name", flat=True)) == ["acme/shop"]


def test_a_repository_that_a_webhook_is_limited_to_stays(client: APIClient, alice: User) -> None:
    shop = RepositoryFactory(owner=owner_of(alice))
    WebhookRepository.objects.create(webhook=WebhookFactory(owner=owner_of(alice)), repository=shop)
    answer = client.delete(f"/api/v1/repositories/{shop.id}")
    assert answer.status_code == 409
    assert answer.json()["code"] == "in_use"
    assert WebhookRepository.objects.exists()


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_a_strangers_repository_is_not_found(alice: User, charlie: User, method: str) -> None:
    shop = RepositoryFactory(owner=owner_of(alice))
    stranger = client_of(charlie)
    path, body = f"/api/v1/repositories/{shop.id}", {} if method == "get" else SHOP
    assert getattr(stranger, method)(path, body, format="json").status_code == 404
    assert stranger.get("/api/v1/repositories").json()["results"] == []


def test_the_list_is_filtered(client: APIClient, alice: User) -> None:
    owner = owner_of(alice)
    RepositoryFactory(owner=owner, full_name="acme/a")
    RepositoryFactory(owner=owner, full_name="acme/b", provider="gitlab", active=False)

    def names(query: str) -> list[str]:
        return [row["full_name"] for row in client.get(f"/api/v1/repositories?{query}").json()["results"]]

    assert names("provider=gitlab") == names("active=false") == names("full_name=acme/b") == ["acme/b"]
    assert client.get("/api/v1/repositories?provider=x").status_code == 400
