"""What CI hears of a commit: it passes only where everything that was to be known is known and good."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import bus
from core.housekeeping import Batch
from core.ids import first_id_at
from core.models import Event
from integrations.models import Repository
from scans import commits
from scans.housekeeping import prune_commits
from scans.models import KnownCommit, Scan
from tests.access.keys import client_of
from tests.scans.test_gates import ONE, TWO, gate, scanned
from tests.scans.test_uploads import run, upload
from tests.scans.test_uploads import shop as shop

pytestmark = pytest.mark.django_db
BROKEN = b'{"version": "2.1.0", "runs": 42}'


def publish(repository: Repository, type: str, data: Any) -> None:
    bus.publish(type, data, owner_id=repository.owner_id, repository_id=repository.id)


def test_a_pushed_commit_is_waited_for_until_its_scan_has_ended(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    publish(shop, "repository.pushed", {"after": ONE.upper(), "commits": [{"id": "3" * 40}, {"id": 7}, "x"]})
    publish(shop, "pull_request.updated", {"pull_request": {"head": {"sha": "9" * 12}, "merge_commit_sha": None}})
    for commit in (ONE, "3" * 40, "9" * 40):  # Bitbucket says twelve digits
        waited = gate(client, shop, commit)
        assert (waited.status_code, waited.json()["code"], waited["Retry-After"]) == (503, "scan_awaited", "5"), commit
    assert gate(client, shop, TWO).status_code == 404
    scanned(client, commit=ONE)
    assert gate(client, shop, ONE).status_code == 200


def test_remembering_commits_takes_one_statement_and_nothing_for_other_events(shop: Repository) -> None:
    push = Event(type="repository.pushed", repository_id=shop.id, payload={"after": ONE, "commits": [{"id": TWO}] * 3000})
    hostile: list[Any] = [None, [], "x", {"after": []}, {"commits": {"id": ONE}}, {"after": "0" * 40}, {"after": "main; drop"}]
    strange = [Event(type=type, repository_id=shop.id, payload=data) for type in commits._NAMED for data in hostile]
    strange += [Event(type="pull_request.updated", repository_id=shop.id, payload={"pull_request": {"head": "x"}})]
    unknown = Event(type="repository.pushed", repository_id=None, payload={"after": ONE})
    with CaptureQueriesContext(connection) as queries:
        commits.on_events([*strange, unknown, Event(type="custom.x", repository_id=shop.id, payload={"after": ONE})])
    assert len(queries) == 0
    with CaptureQueriesContext(connection) as queries:
        commits.on_events([push, push])
    assert (len([one for one in queries if "INSERT" in one["sql"]]), KnownCommit.objects.count()) == (1, 2)
    old = first_id_at(timezone.now() - timedelta(days=91))
    KnownCommit.objects.filter(commit=ONE).update(id=old)
    prune_commits(Batch())
    assert list(KnownCommit.objects.values_list("commit", flat=True)) == [TWO]


def test_a_scan_that_failed_fails_the_gate_until_it_is_made_good(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    scanned(client, commit=ONE)
    failed = upload(client, BROKEN, report_format="sarif", category="semgrep", commit=ONE).json()["id"]
    run()
    answer = gate(client, shop, ONE)
    assert (answer.status_code, answer.json()["code"], answer.json()["scan"]) == (409, "scan_failed", failed)
    assert client.get(f"/api/v1/repositories/{shop.id}/gate").json()["code"] == "scan_failed"
    scanned(client, commit=ONE, category="other")  # another tool's report does not say what that one would have
    assert gate(client, shop, ONE).status_code == 409
    scanned(client, commit=ONE, category="semgrep")
    assert (gate(client, shop, ONE).status_code, client.get(f"/api/v1/repositories/{shop.id}/gate").status_code) == (200, 200)
    Scan.objects.filter(category="other").update(outcome="partial")
    assert gate(client, shop, ONE).json()["incomplete"] is True


def test_a_commit_passes_where_it_passes_on_all_refs(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    scanned(client, "xss", commit=ONE, ref="feature")
    scanned(client, commit=ONE)  # the default branch, by another tool
    assert [gate(client, shop, f"{ONE}&ref={ref}").status_code for ref in ("feature", "main", "none")] == [409, 200, 404]
    assert gate(client, shop, ONE).status_code == 409


@pytest.mark.once
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("commit=", "commit"),
        ("commit=main", "commit"),
        (f"commit={ONE}&wait=61", "wait"),
        (f"commit={ONE}&wait=-1", "wait"),
        ("ref=main", "ref"),
    ],
)
def test_a_question_that_can_not_be_meant_is_refused(query: str, field: str, alice: User, shop: Repository) -> None:
    answer = client_of(alice).get(f"/api/v1/repositories/{shop.id}/gate?{query}")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
