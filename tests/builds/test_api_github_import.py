"""POST builds/import."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from builds.models import BuildImport
from integrations.models import Integration
from tests.factories import owner_of, statements

pytestmark = pytest.mark.django_db
PATH = "/api/v1/builds/import"


@pytest.fixture
def client(api: APIClient, alice: User) -> APIClient:
    api.force_authenticate(alice)
    return api


@pytest.fixture
def integration(alice: User) -> Integration:
    config = {"api_url": "https://api.github.com/", "auth": "token"}
    values: dict[str, Any] = {"name": "GitHub", "type": "github", "category": "development", "config": config}
    return Integration.objects.create(**values, credentials={"token": "github_pat_0a1b"}, owner=owner_of(alice))


def test_it_is_started(client: APIClient, integration: Integration, alice: User) -> None:
    asked = {
        "project": "acme/shop",
        "integration": str(integration.id),
        "branch": "main",
        "workflow": "test.yml",
        "since": "2026-01-01T00:00:00Z",
    }
    answer = client.post(PATH, asked, format="json")
    assert answer.status_code == 202, answer.content
    body = answer.json()
    row = BuildImport.objects.get(pk=body["id"])
    assert {name: body[name] for name in asked} == asked
    assert (body["status"], body["seen"], body["total"], body["percent"], body["owner"]) == ("running", 0, None, None, "user:alice")
    assert (row.owner_id, row.kind, row.state) == (owner_of(alice).id, "github", "queued")
    assert row.until is not None


def test_the_least_is_a_project(client: APIClient) -> None:
    body = client.post(PATH + "/", {"project": "https://github.com/acme/shop", "integration": None, "since": None}, format="json").json()
    assert (body["project"], body["integration"], body["branch"]) == ("acme/shop", None, "")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "project"),
        ({"project": "shop"}, "project"),
        ({"project": None}, "project"),
        ({"project": 7}, "project"),
        ({"project": "a/b", "integration": "x"}, "integration"),
        ({"project": "a/b", "integration": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"}, "integration"),
        ({"project": "a/b", "since": "2999-01-01T00:00:00Z"}, "since"),
        ({"project": "a/b", "until": "yesterday"}, "until"),
        ({"project": "a/b", "branch": "a\u0000b"}, "branch"),
        ({"project": "a/b", "repository": "a/b"}, "repository"),
    ],
)
def test_what_is_wrong_is_named(client: APIClient, asked: dict[str, Any], field: str) -> None:
    answer = client.post(PATH, asked, format="json")
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["fields"]) == [field]
    assert BuildImport.objects.count() == 0


def test_a_second_one_of_the_same_is_a_conflict(client: APIClient) -> None:
    assert client.post(PATH, {"project": "acme/shop"}, format="json").status_code == 202
    answer = client.post(PATH, {"project": "acme/shop"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "import_running")


def test_another_ones_integration_is_unknown(client: APIClient, integration: Integration, charlie: User) -> None:
    client.force_authenticate(charlie)
    answer = client.post(PATH, {"project": "acme/shop", "integration": str(integration.id)}, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["integration"])


def test_an_auditor_starts_nothing(client: APIClient, auditor: User) -> None:
    client.force_authenticate(auditor)
    assert client.post(PATH, {"project": "acme/shop"}, format="json").status_code == 403


def test_an_idempotency_key_starts_one(client: APIClient) -> None:
    ids = {client.post(PATH, {"project": "acme/shop"}, format="json", HTTP_IDEMPOTENCY_KEY="k").json()["id"] for _ in range(2)}
    assert len(ids) == 1


def test_it_is_not_told_by_get(client: APIClient) -> None:
    assert client.get(PATH).status_code == 405


def test_statements_are_constant(client: APIClient, integration: Integration) -> None:
    counts = []
    for place in range(3):  # the first warms up
        with CaptureQueriesContext(connection) as queries:
            client.post(PATH, {"project": f"acme/shop-{place}", "integration": str(integration.id)}, format="json")
        counts.append(statements(queries))
        BuildImport.objects.bulk_create(
            [BuildImport(kind="github", project=f"x/{number}", owner=integration.owner) for number in range(30)]
        )
    assert counts[1] == counts[2]
