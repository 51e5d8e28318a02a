"""Lock files over REST: kept once for each path and ref, given to those who ask what a repository uses."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from access.models import AuditEntry
from core import housekeeping
from core.housekeeping import Batch
from integrations.models import Repository
from scans.inventories import keeping
from scans.inventories.selectors import packages_of
from scans.models import Inventory
from tests.access.keys import client_of
from tests.factories import owner_of

pytestmark = pytest.mark.django_db
UPLOAD = "/api/v1/inventories/upload"
SHA = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"


def lock(**packages: str) -> bytes:
    listed = {f"node_modules/{name}": {"version": version} for name, version in packages.items()}
    return json.dumps({"lockfileVersion": 3, "packages": listed}).encode()


@pytest.fixture
def shop(alice: User) -> Repository:
    return Repository.objects.create(provider="github", full_name="acme/shop", owner=owner_of(alice))


def upload(client: Any, body: bytes, repository: str = "acme/shop", kind: str = "application/x-www-form-urlencoded", **about: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in {"repository": repository, **about}.items())
    return client.generic("POST", f"{UPLOAD}?{query}", body, content_type=kind)


def used(repository: Repository, ref: str = "main") -> list[tuple[str, str, str]]:
    return [(one.name, one.version, one.manifest) for one in packages_of(repository, ref)]


def test_a_file_takes_the_place_of_the_one_before(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    first = upload(client, lock(left="1.0.0"), commit=SHA, manifest="./web/package-lock.json")
    assert (first.status_code, first.json()["manifest"], first.json()["ref"]) == (201, "web/package-lock.json", "main")
    again = upload(client, lock(left="1.0.0"), manifest="web/package-lock.json")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert AuditEntry.objects.filter(object_type="inventory").count() == 1
    second = upload(client, lock(left="2.0.0", right="1.0.0"), manifest="web/package-lock.json")
    assert (second.status_code, second.json()["package_count"], second.json()["ecosystems"]) == (200, 2, {"npm": 2})
    assert used(shop) == [("left", "2.0.0", "web/package-lock.json"), ("right", "1.0.0", "web/package-lock.json")]
    verbs = AuditEntry.objects.filter(object_type="inventory").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["created", "changed"]
    detail = client.get(f"/api/v1/inventories/{first.json()['id']}").json()
    assert detail["packages"][0] == {"ecosystem": "npm", "name": "left", "version": "2.0.0", "purl": ""}
    assert client.delete(f"/api/v1/inventories/{first.json()['id']}").status_code == 204
    assert used(shop) == []


def test_a_ref_has_files_of_its_own_or_those_of_the_default_branch(alice: User, shop: Repository, django_assert_num_queries: Any) -> None:
    client = client_of(alice)
    upload(client, lock(left="1.0.0"))
    upload(client, b"django==5.1.2\n", manifest="api/requirements.txt")
    upload(client, lock(left="9.0.0"), ref="refs/heads/topic")
    assert used(shop) == [("django", "5.1.2", "api/requirements.txt"), ("left", "1.0.0", "package-lock.json")]
    with django_assert_num_queries(1):
        assert used(shop, "topic") == [("left", "9.0.0", "package-lock.json")]
    assert used(shop, "other") == used(shop)
    listed = client.get(f"/api/v1/inventories?repository={shop.id}&ref=topic").json()["results"]
    assert [(one["ref"], one["package_count"]) for one in listed] == [("topic", 1)]


def test_it_may_be_sent_in_other_ways(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    assert upload(client, gzip.compress(lock(left="1.0.0")), kind="application/gzip").status_code == 201
    form = {"file": SimpleUploadedFile("yarn.lock", b'# yarn lockfile v1\n\nleft@^1:\n  version "1.0.0"\n')}
    assert client.post(f"{UPLOAD}?repository={shop.id}", form, format="multipart").json()["format"] == "yarn"


@pytest.mark.parametrize(
    ("body", "about", "words"),
    [
        (b"", {}, "is empty"),
        (b'{"hello": 1}', {}, "an object with the names hello"),
        (b"\x1f\x8bbroken", {}, "can't be unpacked"),
        (lock(left="1"), {"commit": "nothex"}, "hexadecimal"),
        (lock(left="1.0.0"), {"manifest": "a%0Ab"}, "printable"),
        (lock(left="1.0.0"), {"repository": "acme/none"}, "not known here"),
        (lock(left="1.0.0"), {"sha": SHA}, ""),
    ],
)
def test_wrong_files_and_values_are_refused_and_nothing_is_stored(
    body: bytes, about: dict[str, str], words: str, alice: User, shop: Repository
) -> None:
    answer = upload(client_of(alice), body, **about)
    assert answer.status_code == 400, answer.content
    assert words in answer.json()["message"]
    assert not Inventory.objects.exists()


def test_there_are_bounds(alice: User, shop: Repository, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(alice)
    monkeypatch.setattr(keeping, "MOST_FILES", 1)
    upload(client, lock(left="1.0.0"))
    assert upload(client, lock(left="1.0.0")).status_code == 200
    assert upload(client, lock(left="1.0.0"), manifest="b.json").json()["code"] == "too_many_files"
    monkeypatch.setattr(keeping, "MOST_PACKAGES", 1)
    assert upload(client, lock(left="1.0.0", right="1.0.0")).json()["code"] == "too_many_packages"
    settings.INVENTORY_MAX_BYTES = 1024
    assert upload(client, gzip.compress(b" " * 2000)).status_code == 413


def test_a_strangers_are_not_found(charlie: User, alice: User, shop: Repository) -> None:
    upload(client_of(alice), lock(left="1.0.0"))
    assert upload(client_of(charlie), lock(left="2.0.0"), str(shop.id)).json()["code"] == "unknown_repository"
    assert client_of(charlie).get("/api/v1/inventories").json()["results"] == []


def test_branches_that_nobody_works_on_are_forgotten(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    for ref in ("main", "old", "new"):
        upload(client, lock(left="1.0.0"), ref=ref)
    Inventory.objects.exclude(ref="new").update(updated_at=timezone.now() - timedelta(days=91))
    job = housekeeping.find("scans.inventories")
    assert job.run(Batch(dry_run=True)).rows == 1
    assert (job.run(Batch(limit=1)).cursor, job.run(Batch(limit=1)).cursor) == ("more", "")
    assert set(Inventory.objects.values_list("ref", flat=True)) == {"main", "new"}


def test_its_page_shows_the_packages_and_deletes_through_the_service(browser: Client, alice: User, shop: Repository) -> None:
    upload(client_of(alice), lock(left="1.0.0"))
    row = Inventory.objects.get()
    page = browser.get(reverse("admin:scans_inventory_change", args=[row.pk])).content.decode()
    assert "package-lock.json" in page
    assert "left" in page
    assert browser.get(reverse("admin:scans_inventory_changelist"), {"q": "acme/shop"}).context["cl"].result_list[0] == row
    browser.post(reverse("admin:scans_inventory_delete", args=[row.pk]), {"post": "yes"})
    assert not Inventory.objects.exists()
    assert AuditEntry.objects.filter(object_type="inventory", verb="deleted").exists()
