"""What goes with a repository."""

from __future__ import annotations

from collections import Counter

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.housekeeping import Batch, Step
from core.models.work import WorkState
from integrations.models import Repository
from scans.choices import FindingState
from scans.housekeeping import end_changes_of_branches, end_leftovers, end_removals
from scans.models import ChangedBranch, Finding, FindingIdentifier, GateResult, Presence, RemovedRepository, Scan, Stream
from scans.services.removing import AT_ONCE
from tests.access.keys import client_of
from tests.scans.kit import code, ingest, vulnerable
from tests.scans.test_uploads import run, sarif, upload
from tests.scans.test_uploads import shop as shop

pytestmark = pytest.mark.django_db


def test_a_repository_is_deleted_with_its_scans_and_findings_and_no_others(alice: User, shop: Repository) -> None:
    other = Repository.objects.create(provider="github", full_name="acme/other")
    ingest(other, "semgrep", [code()])
    ingest(shop, "trivy", [vulnerable("CVE-2024-0001", "GHSA-aaaa-bbbb-cccc")])
    upload(client_of(alice), sarif("xss"))
    run()
    upload(client_of(alice), sarif("xss"))  # still waiting
    assert client_of(alice).delete(f"/api/v1/repositories/{shop.id}").status_code == 204
    assert [model.objects.count() for model in (Finding, Presence, Stream, Scan)] == [1, 1, 1, 1]
    assert [model.objects.count() for model in (FindingIdentifier, GateResult)] == [0, 0]


@pytest.mark.parametrize("by", ["api", "admin"])
def test_what_a_large_repository_leaves_is_hidden_and_goes_bit_by_bit(by: str, alice: User, admin_client: Client, shop: Repository) -> None:
    other = Repository.objects.create(provider="github", full_name="acme/other", owner=shop.owner)
    ingest(other, "semgrep", [code()])
    ingest(shop, "semgrep", [code(path=f"src/f{one}.py", mark=f"{one:016x}") for one in range(AT_ONCE + 30)])
    client = client_of(alice)
    with CaptureQueriesContext(connection) as queries:
        if by == "api":
            assert client.delete(f"/api/v1/repositories/{shop.id}").status_code == 204
        else:
            admin_client.post(reverse("admin:integrations_repository_delete", args=[shop.id]), {"post": "yes"})
    assert len(queries) < 60
    assert Finding.objects.count() == 31
    assert len(client.get("/api/v1/findings").json()["results"]) == 1
    step = end_removals(Batch(limit=20))
    assert (step.rows, bool(step.cursor), Finding.objects.count()) == (20, True, 11)
    assert end_removals(Batch(limit=20)) == Step(10)
    assert [model.objects.count() for model in (Finding, Presence, RemovedRepository)] == [1, 1, 0]
    assert end_removals(Batch(limit=20)) == Step(0)


def test_what_a_lost_scan_staged_goes_unless_another_scan_may_take_it_over(shop: Repository) -> None:
    ingest(shop, "semgrep", [code(), vulnerable("CVE-2024-0001")])
    ingest(Repository.objects.create(provider="github", full_name="acme/other"), "semgrep", [code()])
    Finding.objects.filter(repository=shop).update(state=FindingState.STAGED)
    assert end_leftovers(Batch()).rows == 0  # the scans of the kit are queued
    Scan.objects.update(state=WorkState.FAILED)
    assert (end_leftovers(Batch(dry_run=True)).rows, Finding.objects.count()) == (2, 3)
    assert (end_leftovers(Batch()).rows, end_leftovers(Batch()).rows) == (2, 0)
    assert [model.objects.count() for model in (Finding, Presence, FindingIdentifier)] == [1, 1, 0]


def test_findings_follow_a_changed_default_branch_bit_by_bit(alice: User, shop: Repository) -> None:
    here, there = ([code(path=f"{name}/f{one}.py", mark=f"{one:016x}") for one in range(4)] for name in ("src", "new"))
    ingest(shop, "semgrep", [*here, code()])
    ingest(shop, "semgrep", [*there, code()], ref="trunk")
    ingest(shop, "semgrep", [code()])  # what was under src is fixed
    url = f"/api/v1/repositories/{shop.id}"
    assert client_of(alice).patch(url, {"active": True}, format="json").status_code == 200
    assert end_changes_of_branches(Batch()) == Step()
    for branch in ("other", "trunk"):  # the second change begins anew
        assert client_of(alice).patch(url, {"default_branch": branch}, format="json").status_code == 200
        assert end_changes_of_branches(Batch(limit=2)) == Step(2, "more")
    while end_changes_of_branches(Batch(limit=2)).cursor:
        pass
    states = Counter(Finding.objects.values_list("state", flat=True))
    assert (states, ChangedBranch.objects.count()) == ({"open": 5, "fixed": 4}, 0)
    client_of(alice).patch(url, {"default_branch": "main"}, format="json")
    end_changes_of_branches(Batch())
    assert Counter(Finding.objects.values_list("state", flat=True)) == {"open": 1, "branch": 4, "fixed": 4}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_changed_branch_is_noted_under_the_lock_that_its_work_takes_first(shop: Repository) -> None:
    ChangedBranch.objects.create(id=shop.id)
    shop.default_branch = "trunk"
    with CaptureQueriesContext(connection) as asked:
        shop.save()
    said = [one["sql"] for one in asked if "FOR " in one["sql"] and "UPDATE" in one["sql"]]
    assert ["scans_changedbranch" in sql for sql in said] == [False, True]
    assert 'FROM "integrations_repository"' in said[0]
