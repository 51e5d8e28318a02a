"""The gate of a commit: what it says, in which status, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from core.models import Event
from integrations.models import Repository
from scans.models import Finding, GateResult, RiskAcceptance
from scans.services.triage import expire
from tests.access.keys import client_of
from tests.scans.test_uploads import run, sarif, upload
from tests.scans.test_uploads import shop as shop

pytestmark = pytest.mark.django_db
ONE, TWO = "1" * 40, "2" * 40


def gate(client: Any, repository: Repository, commit: str) -> Any:
    return client.get(f"/api/v1/repositories/{repository.id}/gate?commit={commit}")


def scanned(client: Any, *rules: str, **about: str) -> None:
    assert upload(client, sarif(*rules), **about).status_code == 202
    run()


def test_unknown_running_passed_and_failed_have_statuses_of_their_own(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    unknown = gate(client, shop, ONE)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_commit")
    upload(client, sarif(), commit=ONE)
    running = gate(client, shop, ONE)
    assert (running.status_code, running.json()["code"], running["Retry-After"]) == (503, "scan_running", "5")
    run()
    passed = gate(client, shop, ONE)
    assert (passed.status_code, passed.json()["decision"]) == (200, "passed")
    scanned(client, "xss", commit=TWO)
    failed = gate(client, shop, TWO.upper())
    assert (failed.status_code, failed.json()["code"], failed.json()["decision"]) == (409, "gate_failed", "failed")
    assert failed.json()["message"] == "The gate failed: the policy allows no new findings of severity high or worse."
    assert failed.json()["broken_by"] == [{"finding_id": str(Finding.objects.get().id), "condition": 0}]
    (worst,) = failed.json()["worst"]  # what CI prints has to say what to mend
    assert (worst["rule"], worst["severity"], worst["location"]["path"]) == ("xss", "high", Finding.objects.get().path)
    assert worst["link"].endswith(f"/admin/scans/finding/{Finding.objects.get().id}/change/")
    assert gate(client, shop, ONE).status_code == 200
    assert client.get(f"/api/v1/repositories/{shop.id}/gate").json()["commit"] == TWO
    other = Repository.objects.create(provider="github", full_name="acme/other", owner=shop.owner)
    assert client.get(f"/api/v1/repositories/{other.id}/gate").json()["code"] == "no_gate"


def test_a_finding_of_an_earlier_commit_is_not_new(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    scanned(client, "xss", commit=ONE)
    scanned(client, "xss", commit=TWO)
    assert [gate(client, shop, commit).status_code for commit in (ONE, TWO)] == [409, 200]


def test_on_a_branch_new_is_what_the_default_branch_lacks(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    scanned(client, "xss")
    scanned(client, "xss", ref="feature", commit=ONE)
    scanned(client, "xss", "sql-injection", ref="feature", commit=TWO)
    assert [gate(client, shop, commit).status_code for commit in (ONE, TWO)] == [200, 409]


def test_what_was_triaged_does_not_count_until_its_day_has_come(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    client.post("/api/v1/policies", {"name": "none", "repository": str(shop.id), "conditions": [{"among": "all"}]}, format="json")
    scanned(client, "xss", commit=ONE)
    id = Finding.objects.get().id
    until = (timezone.now() + timedelta(days=1)).isoformat()
    answer = client.post(
        f"/api/v1/findings/{id}/triage", {"triage": "accepted", "reason": "inner tool", "expires_at": until}, format="json"
    )
    assert (answer.status_code, answer.json()["triage"]) == (200, "accepted")
    scanned(client, "xss", commit=TWO)
    assert [gate(client, shop, commit).status_code for commit in (ONE, TWO)] == [409, 200]
    assert client.get(f"/api/v1/repositories/{shop.id}/findings/summary").json()["total"] == 0
    RiskAcceptance.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert (expire(10), expire(10)) == (1, 0)
    assert client.get(f"/api/v1/repositories/{shop.id}/findings/summary").json()["total"] == 1
    assert [Event.objects.filter(type=f"finding.{word}").count() for word in ("accepted", "expired")] == [1, 1]


def test_a_decision_is_taken_back(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    scanned(client, "xss")
    id = Finding.objects.get().id
    client.post(f"/api/v1/findings/{id}/triage", {"triage": "false_positive", "reason": "a test"}, format="json")
    assert client.post(f"/api/v1/findings/{id}/reopen", {}, format="json").json()["triage"] == ""
    assert client.post(f"/api/v1/findings/{id}/reopen", {}, format="json").json()["code"] == "not_triaged"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"triage": "maybe"}, "triage"),
        ({"reason": ""}, "reason"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"until": "x"}, "until"),
    ],
)
def test_wrong_decisions_are_refused(wrong: dict[str, str], field: str, alice: User, shop: Repository) -> None:
    client = client_of(alice)
    scanned(client, "xss")
    body = {"triage": "accepted", "reason": "why", **wrong}
    answer = client.post(f"/api/v1/findings/{Finding.objects.get().id}/triage", body, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


def test_a_policy_of_the_repository_goes_before_the_default(alice: User, admin: User, shop: Repository) -> None:
    policies = "/api/v1/policies"
    assert client_of(alice).post(policies, {"name": "d", "conditions": []}, format="json").status_code == 403
    lax = {"name": "lax", "conditions": [{"severity": "critical"}]}
    assert client_of(admin).post(policies, lax, format="json").json()["sentences"] == ["no new critical findings"]
    assert client_of(admin).post(policies, lax, format="json").json()["code"] == "already_exists"
    scanned(client_of(alice), "xss", commit=ONE)
    assert gate(client_of(alice), shop, ONE).json()["policy"] == "lax"
    strict = {"name": "strict", "repository": str(shop.id), "conditions": [{"among": "all", "severity": "low", "most": 0}]}
    made = client_of(alice).post(policies, strict, format="json").json()
    scanned(client_of(alice), "xss", commit=TWO)
    assert gate(client_of(alice), shop, TWO).json()["policy"] == "strict"
    changed = client_of(alice).patch(f"{policies}/{made['id']}", {"conditions": [{"among": "all", "most": 1}]}, format="json").json()
    assert (changed["version"], changed["sentences"]) == (2, ["at most 1 findings of severity high or worse"])
    assert client_of(alice).delete(f"{policies}/{made['id']}").status_code == 204
    assert GateResult.objects.filter(policy_name="strict").count() == 1  # what was decided stays


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ("all", "conditions"),
        ([{"severity": "awful"}], "conditions.0.severity"),
        ([{}, {"most": -1}], "conditions.1.most"),
        ([{"most": True}], "conditions.0.most"),
        ([{"colour": 1}], "conditions.0.colour"),
        ([{"kinds": ["code", "x"]}], "conditions.0.kinds"),
        ([{"min_epss": 0}], "conditions.0.min_epss"),
        ([{"min_epss": "0.1"}], "conditions.0.min_epss"),
        ([{"known_exploited": 1}], "conditions.0.known_exploited"),
        ([{"since": "2026-13-01"}], "conditions.0.since"),
        ([{"since": "2026-11-01", "among": "all"}], "conditions.0.since"),
        ([{"over_sla": True}], "sla_days"),
        ([{}] * 31, "conditions"),
    ],
)
def test_wrong_conditions_are_named(conditions: Any, field: str, alice: User, shop: Repository) -> None:
    answer = client_of(alice).post("/api/v1/policies", {"name": "p", "repository": str(shop.id), "conditions": conditions}, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


@pytest.mark.once
@pytest.mark.parametrize(
    ("days", "field"), [([], "sla_days"), ({"high": 0}, "sla_days.high"), ({"high": True}, "sla_days.high"), ({"bad": 1}, "sla_days.bad")]
)
def test_wrong_days_are_named(days: Any, field: str, alice: User, shop: Repository) -> None:
    body = {"name": "p", "repository": str(shop.id), "conditions": [], "sla_days": days}
    answer = client_of(alice).post("/api/v1/policies", body, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


def test_days_are_kept_by_patch_and_can_not_be_taken_from_a_condition_that_needs_them(alice: User, shop: Repository) -> None:
    client, body = client_of(alice), {"name": "p", "conditions": [{"over_sla": True}], "sla_days": {"low": 9, "critical": None}}
    url = f"/api/v1/policies/{client.post('/api/v1/policies', body | {'repository': str(shop.id)}, format='json').json()['id']}"
    assert client.patch(url, {"name": "q"}, format="json").json()["sla_days"] == {"low": 9}
    assert list(client.put(url, {"name": "q", "conditions": [{"over_sla": True}]}, format="json").json()["fields"]) == ["sla_days"]
    assert client.put(url, {"name": "q", "conditions": []}, format="json").json()["sla_days"] == {}
