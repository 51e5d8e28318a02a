"""What has scans queued: pushes, pull requests, alerts, the clock, the API; and that a flood of them queues one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import bus
from core.bus import Announcement
from core.housekeeping import Batch
from core.models import Event
from integrations.models import Integration, Repository, RepositorySource
from integrations.services.integrations import delete_integration
from scans.models import Scan
from scans.triggers.schedule import queue_due
from scans.triggers.sink import on_events
from scans.triggers.wishes import wish_of
from tests.access.keys import client_of
from tests.factories import owner_of
from tests.scans.source_kit import FakeScanner, drain, go_on, install, integration, linked, says, take

pytestmark = pytest.mark.django_db
A, B = "a" * 40, "b" * 40
SCANS = "/api/v1/scans"


@pytest.fixture
def scanner(monkeypatch: pytest.MonkeyPatch) -> type[FakeScanner]:
    says(found := install(monkeypatch))
    return found


@pytest.fixture
def shop(alice: User) -> Repository:
    return Repository.objects.create(provider="github", full_name="acme/shop", owner=owner_of(alice))


@pytest.fixture
def by(alice: User, scanner: type[FakeScanner], shop: Repository) -> Integration:
    found = integration(owner=owner_of(alice))
    linked(shop, found)
    return found


def push(repository: Repository | None, commit: str = A, ref: str = "refs/heads/main", **more: Any) -> Announcement:
    data = {"ref": ref, "before": B, "after": commit, "deleted": False, "repository": {"full_name": "acme/shop"}, **more}
    return Announcement("repository.pushed", data, repository and repository.owner_id, repository and repository.id)


def pull_request(repository: Repository, action: str = "synchronize", **head: Any) -> Announcement:
    about = {"state": "open", "head": {"ref": "topic", "sha": A, **head}, "base": {"ref": "main"}}
    data = {"action": action, "number": 7, "pull_request": about, "repository": {"full_name": "acme/shop"}}
    return Announcement("pull_request.updated", data, repository.owner_id, repository.id)


def queued() -> list[tuple[str, str, str]]:
    return list(Scan.objects.order_by("id").values_list("ref", "commit", "status"))


def test_a_push_has_its_branch_scanned_at_its_commit(shop: Repository, by: Integration, scanner: type[FakeScanner]) -> None:
    bus.publish_all([push(shop), push(shop, B, "refs/heads/topic")])
    assert queued() == [("main", A, "queued"), ("topic", B, "queued")]
    drain()
    assert {(query.ref, query.commit) for query, _ in scanner.asked} == {("main", A), ("topic", B)}
    assert set(Scan.objects.values_list("trigger", "status")) == {("event", "completed")}


@pytest.mark.parametrize(
    "change",
    [
        {"after": "0" * 40, "deleted": True}, {"deleted": True}, {"ref": "refs/tags/v1"}, {"ref": "refs/heads/a b"}, {"ref": None},
        {"after": 5}, {"after": "0" * 40},
    ],
)  # fmt: skip
def test_a_push_without_a_branch_to_scan_queues_nothing(change: dict[str, Any], shop: Repository, by: Integration) -> None:
    said = push(shop)
    bus.publish_all([replace(said, data={**cast("dict[str, Any]", said.data), **change})])
    assert queued() == []


def test_what_is_unknown_switched_off_or_gone_is_not_scanned(shop: Repository, by: Integration) -> None:
    bus.publish_all([push(None)])
    RepositorySource.objects.update(scan_on_push=False)
    bus.publish_all([push(shop)])
    RepositorySource.objects.update(scan_on_push=True)
    Repository.objects.update(active=False)
    bus.publish_all([push(shop)])
    Repository.objects.update(active=True)
    Integration.objects.update(status="inactive")
    bus.publish_all([push(shop)])
    delete_integration(by)
    bus.publish_all([push(shop)])
    assert queued() == []
    assert Event.objects.filter(type="repository.pushed").count() == 5


def test_a_pull_request_has_its_branch_scanned_and_that_of_a_fork_is_none_of_ours(shop: Repository, by: Integration) -> None:
    bus.publish_all([pull_request(shop)])
    assert queued() == []  # unless asked for
    RepositorySource.objects.update(scan_on_pull_request=True)
    fork = pull_request(shop, ref="main", repo={"full_name": "mallory/shop"})
    bus.publish_all([pull_request(shop), pull_request(shop, "labeled", ref="other"), fork, pull_request(shop, ref="main")])
    assert queued() == [("refs/pull/7/merge", A, "queued"), ("topic", A, "queued")]


def test_an_alert_has_only_its_own_kind_of_integration_look(shop: Repository, by: Integration, charlie: User) -> None:
    theirs = Repository.objects.create(provider="gitlab", full_name="acme/shop", owner=owner_of(charlie))
    linked(theirs, by)

    def alert(provider: str) -> Announcement:
        data = {"provider": provider, "repository": "acme/shop", "action": "created", "alert": {"title": "x"}}
        return Announcement("inbound.alert_changed", data, shop.owner_id)

    bus.publish_all([alert("snyk")])
    assert queued() == []
    bus.publish_all([alert(FakeScanner.key)])
    assert list(Scan.objects.values_list("repository_id", "ref", "commit")) == [(shop.id, "main", "")]
    assert Scan.objects.get().run_after > timezone.now() + timedelta(seconds=30)  # more of them are likely to come
    bus.publish_all([alert(FakeScanner.key), push(shop)])
    assert (Scan.objects.get().commit, Scan.objects.get().run_after <= timezone.now()) == (A, True)


def test_a_flood_of_pushes_makes_one_scan_that_runs_and_one_that_waits(shop: Repository, by: Integration) -> None:
    for number in range(10):
        bus.publish_all([push(shop, f"{number:040x}1")])
    assert queued() == [("main", f"{9:040x}1", "queued")]
    running = take()
    Scan.objects.update(started_at=timezone.now())
    bus.publish_all([push(shop, f"{number:040x}1") for number in range(100)])
    assert sorted(queued()) == [("main", f"{9:040x}1", "running"), ("main", f"{99:040x}1", "queued")]
    held_up = go_on()
    assert held_up.error == "Waits for the scan of this branch that is under way."
    go_on(running)
    assert go_on().commit == f"{99:040x}1"
    assert set(Scan.objects.values_list("status", flat=True)) == {"completed"}


def test_the_sink_only_writes_rows_with_the_same_statements_for_one_event_and_for_many(shop: Repository, by: Integration) -> None:
    def statements(count: int, offset: int) -> list[str]:
        Scan.objects.all().delete()
        said = [push(shop, f"{number:040x}", f"refs/heads/b{number + offset}") for number in range(1, count + 1)]
        events = [bus.prepare(one) for one in said]
        for one in events:
            one.event.payload = one.data
        with CaptureQueriesContext(connection) as queries:
            on_events([one.event for one in events])
        assert Scan.objects.count() == count
        return [query["sql"].split()[0] for query in queries]

    assert statements(1, 0) == statements(20, 500)  # more are inserted in more batches on SQLite
    with CaptureQueriesContext(connection) as queries:
        on_events([Event(type="custom.thing", payload={})])
    assert len(queries) == 0


@pytest.mark.once
@pytest.mark.parametrize("data", [[], "x", {}, {"ref": {}, "after": []}, {"pull_request": 5, "action": []}, {"alert": [], "provider": 5}])
def test_no_payload_breaks_the_sink(data: Any) -> None:
    for name in ("repository.pushed", "pull_request.updated", "inbound.alert_changed"):
        assert wish_of(Event(type=name, payload=data)) is None


def test_a_lock_file_that_changed_has_its_branch_scanned_with_what_it_names(
    alice: User, shop: Repository, by: Integration, scanner: type[FakeScanner]
) -> None:
    def upload(version: str) -> None:
        body = {"lockfileVersion": 3, "packages": {"node_modules/lodash": {"version": version}}}
        answer = client_of(alice).post(f"/api/v1/inventories/upload?repository=acme/shop&ref=topic&commit={A}", body, format="json")
        assert answer.status_code in (200, 201), answer.content

    upload("1.0.0")
    assert queued() == []  # nobody asks about packages
    linked(shop, integration("Packages", config={"reads_packages": True}))
    upload("1.0.0")
    assert queued() == []  # the same again
    for version in ("2.0.0", "3.0.0"):
        upload(version)
    assert queued() == [("topic", A, "queued")]
    drain()
    assert [(one.name, one.version) for one in scanner.asked[-1][0].packages] == [("lodash", "3.0.0")]
    upload("4.0.0")
    assert [status for _, _, status in queued()] == ["completed", "queued"]  # though this commit was scanned before


def test_the_clock_queues_what_is_due_and_spreads_the_next(shop: Repository, by: Integration) -> None:
    source = RepositorySource.objects.get()
    never = linked(Repository.objects.create(provider="github", full_name="acme/other"), by, every_hours=None)
    assert queue_due(Batch(dry_run=True)).rows == 1
    assert (queue_due(Batch()).rows, queue_due(Batch()).rows) == (1, 0)
    assert list(Scan.objects.values_list("repository_id", "ref", "trigger")) == [(shop.id, "main", "schedule")]
    before, source = source.next_at, RepositorySource.objects.get(pk=source.pk)
    assert timedelta(hours=21) < source.next_at - before < timedelta(hours=27)
    assert never.next_at == RepositorySource.objects.get(pk=never.pk).next_at


def ask(client: Any, by: Integration, **values: Any) -> Any:
    return client.post(SCANS, {"repository": "acme/shop", "integration": str(by.id), **values}, format="json")


def test_it_is_asked_for_over_rest_and_answered_with_what_there_is(alice: User, shop: Repository, by: Integration) -> None:
    client = client_of(alice)
    first = ask(client, by, commit=A)
    body = first.json()
    assert (first.status_code, body["reused"], body["status"], body["trigger"]) == (202, "", "queued", "api")
    assert (body["integration_name"], body["ref"], body["started_by"].startswith("key")) == ("Scanner", "main", True)
    newer = ask(client, by, commit=B, ref="refs/heads/main")
    assert (newer.status_code, newer.json()["id"], newer.json()["reused"], newer.json()["commit"]) == (202, body["id"], "queued", B)
    running = take()
    Scan.objects.update(started_at=timezone.now())
    assert ask(client, by, commit=B).json()["reused"] == "running"
    go_on(running)
    again = ask(client, by, commit=B)
    assert (again.status_code, again.json()["id"], again.json()["reused"]) == (200, body["id"], "completed")
    assert ask(client, by, commit=B, full=True).json()["reused"] == ""
    drain()
    assert ask(client, by).json()["reused"] == ""  # what it has now
    drain()
    assert ask(client, by, commit=B).json()["reused"] == ""  # another came since
    drain()
    Scan.objects.update(finished_at=timezone.now() - timedelta(hours=2))
    assert ask(client, by, commit=B).json()["reused"] == ""
    listed = client.get(f"{SCANS}?integration={by.id}").json()["results"]
    assert len(listed) == 5


def test_a_request_that_is_sent_twice_queues_once(alice: User, shop: Repository, by: Integration) -> None:
    client = client_of(alice)
    body = {"repository": str(shop.id), "integration": str(by.id), "commit": A}
    first, second = (client.post(SCANS, body, format="json", headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert (first.status_code, second.json()) == (202, first.json())
    assert second.headers["Idempotency-Replayed"] == "true"


def test_wrong_requests_are_refused_in_words(alice: User, charlie: User, shop: Repository, by: Integration) -> None:
    client = client_of(alice)
    blind = Integration.objects.create(name="Chat", type="slack", category="communication", owner=shop.owner)
    for values, field in (
        ({"integration": str(blind.id)}, "integration"), ({"integration": "x"}, "integration"), ({"repository": "acme/none"}, "repository"),
        ({"commit": "nothex"}, "commit"), ({"ref": "two words"}, "ref"), ({"full": "yes"}, "full"), ({"sha": A}, "sha"),
    ):  # fmt: skip
        answer = ask(client, by, **values)
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field]), answer.content
    Integration.objects.filter(pk=by.pk).update(status="inactive")
    answer = ask(client, by)
    assert (answer.status_code, answer.json()["code"]) == (409, "inactive")
    assert not Scan.objects.exists()


def test_another_teams_key_neither_starts_nor_sees_nor_cancels(alice: User, charlie: User, shop: Repository, by: Integration) -> None:
    scan = ask(client_of(alice), by).json()["id"]
    theirs = Repository.objects.create(provider="github", full_name="charlie/own", owner=owner_of(charlie))
    other = client_of(charlie)
    assert ask(other, by).json()["code"] in ("unknown_integration", "unknown_repository")
    assert ask(other, by, repository=str(theirs.id)).json()["code"] == "unknown_integration"
    assert other.get(f"{SCANS}/{scan}").status_code == other.post(f"{SCANS}/{scan}/cancel", {}, format="json").status_code == 404
    mine = {"sources": [{"integration": str(by.id)}]}
    assert list(other.patch(f"/api/v1/repositories/{theirs.id}", mine, format="json").json()["fields"]) == ["sources"]
    assert client_of(alice, scopes=["scans:read"]).post(SCANS, {}, format="json").status_code == 403
    assert Scan.objects.count() == 1
