"""The audit trail."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from access.models import AuditEntry
from access.owners import owner_for_team, owner_for_user
from core import context
from core.ids import first_id_at
from core.models import IdempotencyKey
from integrations.models import Repository
from tests.access.keys import client_of, make_key

pytestmark = pytest.mark.django_db
PATH = "/api/v1/audit-log"


@pytest.fixture
def repository(alice: User) -> Repository:
    return Repository.objects.create(provider="github", full_name="o/n", owner=owner_for_user(alice))


def test_an_entry_says_who_did_what_under_which_request(repository: Repository) -> None:
    with context.acting(context.Actor("key", "k-1", "key ci"), "req-7"):
        entry = audit.record(AuditVerb.ACTED, repository, action="rescan", changes={"active": [True, False]})
    entry.refresh_from_db()
    assert (entry.actor_kind, entry.actor_id, entry.actor, entry.request_id) == ("key", "k-1", "key ci", "req-7")
    assert (entry.verb, entry.action, entry.changes) == ("acted", "rescan", {"active": [True, False]})
    assert (entry.object_type, entry.object_id, entry.object_name) == ("repository", str(repository.id), "github:o/n")
    assert entry.owner_id == repository.owner_id


def test_the_owner_may_be_given(repository: Repository) -> None:
    assert audit.record("changed", repository, owner_id=None).owner_id is None


def test_a_change_by_key_is_recorded_with_its_address_and_request() -> None:
    client = client_of(None)
    made = client.post("/api/v1/api-keys", {"name": "ci"}, format="json", REMOTE_ADDR="192.0.2.9", HTTP_X_REQUEST_ID="req-1").json()
    entry = AuditEntry.objects.get(object_id=made["id"])
    assert (entry.verb, entry.address, entry.request_id, entry.actor_kind) == ("created", "192.0.2.9", "req-1", "key")
    client.patch(f"/api/v1/api-keys/{made['id']}", {"name": "ci 2"}, format="json")
    assert AuditEntry.objects.filter(object_id=made["id"]).latest("id").changes == {"name": ["ci", "ci 2"]}


def test_a_change_that_changes_nothing_is_not_recorded() -> None:
    client = client_of(None)
    key, _ = make_key(name="same")
    client.patch(f"/api/v1/api-keys/{key.id}", {"name": "same"}, format="json")
    assert not AuditEntry.objects.filter(object_id=str(key.id), verb="changed").exists()


def test_a_session_is_recorded_as_its_user(browser: Any, admin: User) -> None:
    made = browser.post("/api/v1/api-keys", {"name": "ci"}, content_type="application/json").json()
    entry = AuditEntry.objects.get(object_id=made["id"])
    assert (entry.actor_kind, entry.actor_id, entry.actor) == ("user", str(admin.pk), "user admin")


def test_secrets_are_masked_but_their_change_is_seen() -> None:
    row = IdempotencyKey(fingerprint="f", body_hash="b", answer="hunter2")
    before = audit.snapshot(row)
    assert "hunter2" not in str(before)
    assert str(before["answer"]) == "(set)"
    assert audit.diff(before, audit.snapshot(row)) == {}
    row.answer = "hunter3"
    assert audit.diff(before, audit.snapshot(row)) == {"answer": ["(set)", "(changed)"]}
    row.answer = None
    assert audit.diff(before, audit.snapshot(row)) == {"answer": ["(set)", ""]}
    assert audit.diff({}, before)["answer"] == ["", "(set)"]


def test_named_secret_fields_are_masked_too() -> None:
    assert audit.diff({"token": "a", "n": 1}, {"token": "b", "n": 2}, ["token"]) == {"token": ["(set)", "(changed)"], "n": [1, 2]}


def test_derived_times_are_no_changes(repository: Repository) -> None:
    before = audit.snapshot(repository)
    repository.updated_at = timezone.now() + dt.timedelta(days=1)
    assert audit.diff(before, audit.snapshot(repository)) == {}


def test_values_are_kept_as_json_and_long_ones_cut(repository: Repository) -> None:
    moment, number = timezone.now(), uuid.uuid4()
    changes = {"a": [moment, number], "b": ["x" * 5000, {"k": number}], "c": [{"k": "y" * 5000}, None], "d": (1, 2.5)}
    entry = audit.record("changed", repository, changes=changes)
    entry.refresh_from_db()
    assert entry.changes["a"] == [moment.isoformat(), str(number)]
    assert entry.changes["b"][1] == {"k": str(number)}
    assert all(len(text) < 2100 for text in (entry.changes["b"][0], entry.changes["c"][0]))
    assert entry.changes["d"] == [1, 2.5]


class TestLog:
    def test_it_can_be_filtered(self, repository: Repository) -> None:
        with context.acting(context.Actor("user", "7", "user x")):
            audit.record("changed", repository)
        with context.acting(context.Actor("user", "8", "user y")):
            audit.record("deleted", repository)
        client = client_of(None)

        def found(**query: Any) -> list[str]:
            answer = client.get(PATH, query)
            assert answer.status_code == 200, answer.content
            return [row["verb"] for row in answer.json()["results"] if row["object_type"] == "repository"]

        assert found() == ["deleted", "changed"]
        assert found(actor_id="7") == found(verb="changed") == ["changed"]
        assert found(object_type="repository", object_id=str(repository.id)) == ["deleted", "changed"]
        assert found(object_type="apikey") == []

    def test_an_object_id_alone_is_refused_for_no_index_finds_it(self) -> None:
        answer = client_of(None).get(PATH, {"object_id": "7"})
        assert answer.status_code == 400
        assert answer.json()["fields"] == {"object_id": ["needs object_type as well, for example object_type=webhook."]}

    @pytest.mark.parametrize(("given", "hint"), [("api-key", "Did you mean apikey?"), ("zzz", "It is written as entries show it")])
    def test_a_kind_of_object_that_does_not_exist_is_no_clean_record(self, given: str, hint: str) -> None:
        answer = client_of(None).get(PATH, {"object_type": given})
        assert answer.status_code == 400
        assert f"is not a kind of object. {hint}" in answer.json()["fields"]["object_type"][0]

    def test_times_are_ranges_of_the_id(self, repository: Repository) -> None:
        noon = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
        for hours in (-1, 0, 1):
            audit.record("changed", repository, action=f"{hours}")
            AuditEntry.objects.filter(action=f"{hours}").update(id=first_id_at(noon + dt.timedelta(hours=hours)))
        rows = client_of(None).get(PATH, {"since": "2026-03-01T12:00:00Z", "until": "2026-03-01T13:00:00Z"}).json()["results"]
        assert [row["action"] for row in rows] == ["0"]

    def test_one_entry(self, repository: Repository) -> None:
        entry = audit.record("changed", repository)
        assert client_of(None).get(f"{PATH}/{entry.id}").json()["owner"] == "user:alice"

    def test_it_cannot_be_changed(self, repository: Repository) -> None:
        entry = audit.record("changed", repository)
        client = client_of(None)
        for method in ("put", "patch", "delete"):
            assert getattr(client, method)(f"{PATH}/{entry.id}", {}, format="json").status_code == 405
        assert client.post(PATH, {}, format="json").status_code == 405

    def test_everybody_sees_their_own_part(self, repository: Repository, bob: User, charlie: User, auditor: User, team: Group) -> None:
        entry = audit.record("changed", repository)
        shared = audit.record("changed", Repository(provider="github", full_name="t/n", owner=owner_for_team(team)))
        admins = audit.record("changed", Repository(provider="github", full_name="a/n"))

        def seen(client: Any) -> set[str]:
            return {row["id"] for row in client.get(PATH).json()["results"]} & {str(entry.id), str(shared.id), str(admins.id)}

        assert seen(client_of(repository.owner.user)) == {str(entry.id), str(shared.id)}  # type: ignore[union-attr]
        assert seen(client_of(bob)) == seen(client_of(team)) == {str(shared.id)}
        assert seen(client_of(charlie)) == set()
        assert seen(client_of(auditor)) == seen(client_of(None)) == {str(entry.id), str(shared.id), str(admins.id)}
        assert client_of(charlie).get(f"{PATH}/{entry.id}").status_code == 404
