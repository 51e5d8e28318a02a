"""Scan sources of a repository over REST: set as a whole, left alone by those who do not name them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from access.models import AuditEntry
from integrations.models import Repository, RepositorySource
from tests.access.keys import client_of
from tests.factories import RepositoryFactory, owner_of
from tests.scans.source_kit import install, integration

pytestmark = pytest.mark.django_db


def test_sources_are_set_and_kept_and_those_of_others_stay(alice: User, charlie: User, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    one, two = (integration(name, owner=owner_of(alice)) for name in ("One", "Two"))
    foreign = integration("Foreign", owner=owner_of(charlie))
    shop: Repository = RepositoryFactory(owner=owner_of(alice))
    RepositorySource.objects.create(repository=shop, integration=foreign)
    client, url = client_of(alice), f"/api/v1/repositories/{shop.id}"

    def sources(**body: Any) -> dict[str, Any]:
        answer = client.patch(url, body, format="json")
        assert answer.status_code == 200, answer.content
        return {source["integration"]: source for source in answer.json()["sources"]}

    found = sources(sources=[{"integration": str(one.id)}, {"integration": str(two.id), "scan_on_push": False, "every_hours": None}])
    assert found[str(one.id)] == {
        "integration": str(one.id), "scan_on_push": True, "scan_on_pull_request": False, "scan_on_alert": True, "every_hours": 24,
    }  # fmt: skip
    assert (found[str(two.id)]["scan_on_push"], found[str(two.id)]["every_hours"]) == (False, None)
    assert len(sources(active=True)) == 3
    put = client.put(url, {"provider": "github", "full_name": shop.full_name}, format="json")
    assert len(put.json()["sources"]) == 3
    assert list(sources(sources=[{"integration": str(two.id)}])) == [str(foreign.id), str(two.id)]
    assert list(sources(sources=[])) == [str(foreign.id)]
    verbs = AuditEntry.objects.filter(object_type="repositorysource").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["created", "created", "deleted", "changed", "deleted"]


def test_a_wrong_source_is_a_400_that_names_it_and_nothing_is_stored(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    by = str(integration(owner=owner_of(alice)).id)
    client = client_of(alice)
    for source, field in (
        ({}, "sources.0.integration"), ({"integration": "x"}, "sources.0.integration"), ({"integration": None}, "sources.0.integration"),
        ({"integration": by, "every_hours": 0}, "sources.0.every_hours"), ({"integration": by, "hours": 5}, "sources.0.hours"),
        ({"integration": by, "scan_on_push": "yes"}, "sources.0.scan_on_push"), ("x", "sources.0"),
    ):  # fmt: skip
        body = {"provider": "github", "full_name": "acme/x", "sources": [source]}
        answer = client.post("/api/v1/repositories", body, format="json")
        assert answer.status_code == 400, answer.content
        assert all(name.startswith(field) for name in answer.json()["fields"]), answer.content
    twice = client.post("/api/v1/repositories", body | {"sources": [{"integration": by}] * 2}, format="json")
    assert list(twice.json()["fields"]) == ["sources"]
    assert not Repository.objects.exists()


def test_nobody_turns_a_source_of_others_to_other_repositories_or_hours(
    alice: User, charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its credentials may reach what the repository's owner must not see."""
    install(monkeypatch)
    shop: Repository = RepositoryFactory(owner=owner_of(alice), full_name="acme/shop")
    foreign = integration("Foreign", owner=owner_of(charlie))
    source = RepositorySource.objects.create(repository=shop, integration=foreign)
    url, client = f"/api/v1/repositories/{shop.id}", client_of(alice)
    same = {"integration": str(foreign.id), "every_hours": source.every_hours}
    assert client.patch(url, {"default_branch": "trunk", "full_name": shop.full_name, "sources": [same]}, format="json").status_code == 200
    for body, status, field in (
        ({"full_name": "charlie/secret"}, 403, "full_name"), ({"provider": "gitlab"}, 403, "full_name"),
        ({"sources": [same | {"every_hours": 1}]}, 400, "sources"),
    ):  # fmt: skip
        answer = client.patch(url, body, format="json")
        assert (answer.status_code, answer.json()["message"].partition(":")[0]) == (status, field), answer.content
    page = reverse("admin:integrations_repositorysource_change", args=[source.pk])
    browser = Client()
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get(page).status_code == 200
    browser.post(page, {"every_hours": 1})
    browser.post(reverse("admin:integrations_repositorysource_delete", args=[source.pk]), {"post": "yes"})
    source.refresh_from_db()
    shop.refresh_from_db()
    assert (source.every_hours, shop.full_name, shop.provider) == (24, "acme/shop", "github")
    foreign.owner = owner_of(alice)
    foreign.save()
    assert client.patch(url, {"full_name": "acme/store"}, format="json").status_code == 200
