"""A sample that a source receives on request, by a call or over REST: the whole way of the network, but for the network."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from access.models import AuditEntry
from builds.models import Build
from tests.access.keys import client_of
from tests.factories import owner_of
from tests.webhooks.inbound_kit import sender as sender
from tests.webhooks.inbound_kit import source, work_off
from webhooks import secrets
from webhooks.choices import Verdict
from webhooks.inbound.samples import Sending, send_sample, simulated
from webhooks.inbound.storing import read_target
from webhooks.models import InboundSource, Receipt

pytestmark = pytest.mark.django_db
SECRET = "planted-sample-9e41b07d"
SOURCES = "/api/v1/inbound-sources"


def github(**more: Any) -> InboundSource:
    return source(**{"provider": "github", "secrets": secrets.initial(SECRET)} | more)


def audited() -> list[tuple[str, Any]]:
    return [(entry.object_id, entry.changes) for entry in AuditEntry.objects.filter(action="send-sample")]


def test_a_sample_is_verified_stored_and_processed_and_audited(sender: list[int]) -> None:
    to = github(allowed_cidrs=["192.30.252.0/22"])
    result = send_sample(to, "workflow_run")
    receipt = Receipt.objects.get()
    assert (result.verdict, result.receipt, result.reason) == (Verdict.ACCEPTED, receipt.pk, "")
    assert (receipt.verdict, receipt.event, receipt.remote_address) == ("accepted", "workflow_run", "")
    assert sender
    work_off()
    receipt.refresh_from_db()
    assert (receipt.outcome, Build.objects.get().status) == ("processed", "failure")
    assert audited() == [(str(to.pk), {"event": [None, "workflow_run"]})]
    assert send_sample(to, "workflow_run").receipt != receipt.pk  # not a duplicate of the first


@pytest.mark.parametrize("kept", [False, True])
def test_a_sample_that_does_not_verify_is_refused_as_from_the_network(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    to = github()
    if kept:
        read_target("github", to.pk)
    wrong = Sending(simulated(to.provider), {}, "another-secret-9e41")
    monkeypatch.setattr("webhooks.inbound.samples.sending_to", lambda source: wrong)
    result = send_sample(to, "push")
    receipt = Receipt.objects.get()
    assert (result.verdict, result.receipt, result.reason) == (Verdict.REFUSED, receipt.pk, receipt.reason)
    assert "another secret" in result.reason
    assert len(audited()) == 1


def test_over_rest_it_answers_with_the_receipt(alice: User) -> None:
    to = github(owner=owner_of(alice))
    answer = client_of(alice, "inbound:write").post(f"{SOURCES}/{to.pk}/send-sample", {"event": "push"}, format="json")
    receipt = Receipt.objects.get()
    assert (answer.status_code, answer.json()) == (
        200,
        {"event": "push", "verdict": "accepted", "reason": "", "receipt": str(receipt.pk)},
    )
    assert SECRET not in json.dumps(audited())


@pytest.mark.parametrize(
    ("made", "data", "status", "words"),
    [
        ({}, {"event": "nosuch"}, 400, "ping, push, pull_request"),
        ({}, {}, 400, "event"),
        ({}, {"event": "push", "more": 1}, 400, "more"),
        ({"active": False}, {"event": "push"}, 409, "switched off"),
        ({"secrets": []}, {"event": "push"}, 400, "rotate"),
        ({"provider": "sender"}, {"event": "push"}, 409, "no samples"),
        ({"provider": "standard_webhooks", "secrets": secrets.initial("whpk_AAAA")}, {"event": "contact.created"}, 400, "public key"),
    ],
)
def test_what_can_not_be_sent_is_said_and_leaves_nothing(alice: User, made: Any, data: Any, status: int, words: str) -> None:
    to = github(owner=owner_of(alice), **made)
    answer = client_of(alice).post(f"{SOURCES}/{to.pk}/send-sample", data, format="json")
    assert answer.status_code == status
    assert words in answer.content.decode()
    assert not Receipt.objects.exists()
    assert not audited()
