"""Every route answers with and without a trailing slash."""

from __future__ import annotations

import pytest
from django.test import Client
from rest_framework.test import APIClient

from core.api.slashes import canonical
from integrations.models import Repository
from tests.access.keys import client_of


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/", "/"),
        ("/docs", "/docs"),
        ("/docs/", "/docs"),
        ("/api/v1/samples/", "/api/v1/samples"),
        ("/api/v1/samples//", "/api/v1/samples/"),
        ("/admin", "/admin/"),
        ("/admin/", "/admin/"),
        ("/admin/access/apikey", "/admin/access/apikey/"),
        ("/administration/", "/administration"),
    ],
)
def test_it_knows_the_declared_form(path: str, form: str) -> None:
    assert canonical(path) == form


@pytest.mark.django_db
@pytest.mark.urls("tests.core.sample_api")
def test_every_method_answers_alike_with_a_slash_and_without() -> None:
    client = client_of(None)
    for root in ("/api/v1/samples", "/api/samples"):
        for slash in ("", "/"):
            name = f"o/{root.count('/')}{len(slash)}"
            created = client.post(f"{root}{slash}", {"provider": "github", "full_name": name}, format="json")
            assert created.status_code == 201
            one = f"{root}/{created.json()['id']}{slash}"
            assert client.get(f"{root}{slash}?full_name={name}").json()["results"] == [created.json()]
            assert client.get(one).status_code == client.head(one).status_code == 200
            assert client.put(one, {"provider": "github", "full_name": name, "active": False}, format="json").status_code == 200
            assert client.patch(one, {"active": True}, format="json").status_code == 200
            assert client.delete(one).status_code == 204
    assert not Repository.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/docs", "/api/schema", "/admin/login"])
def test_pages_answer_both_ways_without_a_redirect(path: str) -> None:
    for slash in ("", "/"):
        assert Client().get(path + slash).status_code == 200


@pytest.mark.django_db
@pytest.mark.urls("tests.core.sample_api")
def test_links_keep_the_form_that_the_caller_used() -> None:
    client: APIClient = client_of(None)
    for number in range(2):
        Repository.objects.create(provider="github", full_name=f"o/{number}")
    assert "/samples/?" in client.get("/api/v1/samples/?page_size=1").json()["next"]
    assert "/samples?" in client.get("/api/v1/samples?page_size=1").json()["next"]
