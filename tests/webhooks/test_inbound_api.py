"""Inbound sources and receipts over REST: who sees and changes what, secrets shown once, filters, reprocessing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import AuditEntry
from core.models import Event
from integrations.contract.inbound import InboundEvent
from tests.access.keys import client_of
from tests.factories import owner_of, statements
from tests.webhooks.inbound_kit import SECRET, Sender, Told, send, source, work_off
from tests.webhooks.inbound_kit import sender as sender
from webhooks.inbound import reprocess
from webhooks.inbound.selectors import receivers
from webhooks.models import InboundSource, Receipt

pytestmark = pytest.mark.django_db
SOURCES, EVENTS = "/api/v1/inbound-sources", "/api/v1/inbound-events"


def create(client: Any, **more: Any) -> Any:
    return client.post(SOURCES, {"name": "main", "provider": "sender"} | more, format="json")


def test_a_source_is_created_with_the_given_secret_and_receives(alice: User) -> None:
    answer = create(client_of(alice), secret=SECRET)
    made = answer.json()
    assert (answer.status_code, made["secret"], made["owner"], made["config"]) == (
        201,
        SECRET,
        "user:alice",
        {"header": "x-sender-signature"},
    )
    assert made["url"] == f"http://localhost:8000/api/v1/webhook/sender/{made['id']}"
    assert send(f"/api/v1/webhook/sender/{made['id']}").status_code == 202
    shown = client_of(alice).get(f"{SOURCES}/{made['id']}")
    assert "secret" not in shown.json()
    assert SECRET not in shown.content.decode()


def test_a_secret_is_generated_where_the_platform_takes_ours(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert create(client_of(alice)).json()["secret"].startswith("whsec_")
    monkeypatch.setattr(Sender, "secret_is_given", True)
    answer = create(client_of(alice))
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["secret"])
    monkeypatch.setattr(Sender, "needs_secret", False)
    assert create(client_of(alice)).json()["secret"] is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"provider": "nosuch"}, "provider"),
        ({"provider": "deaf"}, "provider"),
        ({"config": {"color": "red"}}, "config.color"),
        ({"config": {"header": "x" * 41}}, "config.header"),
        ({"allowed_cidrs": ["nowhere"]}, "allowed_cidrs"),
        ({"silence_seconds": -1}, "silence_seconds"),
        ({"secret": None}, "secret"),
        ({"secret": ""}, "secret"),
        ({"secret": " a "}, "secret"),
        ({"name": ""}, "name"),
        ({"colour": 1}, "colour"),
    ],
)
def test_wrong_values_are_named(alice: User, wrong: dict[str, Any], field: str) -> None:
    answer = create(client_of(alice), **wrong)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
    assert not InboundSource.objects.exists()


def test_put_and_patch_keep_the_secret_and_read_only_fields_are_ignored(alice: User) -> None:
    client = client_of(alice)
    made = create(client, secret=SECRET, silence_seconds=60, allowed_cidrs=["127.0.0.0/8"]).json()
    patched = client.patch(f"{SOURCES}/{made['id']}", {"name": "new", "accepted_count": 9}, format="json").json()
    assert (patched["name"], patched["accepted_count"], patched["silence_seconds"]) == ("new", 0, 60)
    put = client.put(f"{SOURCES}/{made['id']}", {"name": "put", "provider": "sender"}, format="json").json()
    assert (put["silence_seconds"], put["allowed_cidrs"]) == (None, [])
    assert send(f"/api/v1/webhook/sender/{made['id']}").status_code == 202
    moved = client.patch(f"{SOURCES}/{made['id']}", {"provider": "deaf"}, format="json")
    assert (moved.status_code, list(moved.json()["fields"])) == (400, ["provider"])


def test_a_rotated_secret_verifies_beside_the_old_one_for_its_overlap(alice: User) -> None:
    client = client_of(alice)
    made = create(client, secret=SECRET).json()
    path = f"/api/v1/webhook/sender/{made['id']}"
    new = client.post(f"{SOURCES}/{made['id']}/rotate-secret", {}, format="json").json()["secret"]
    assert [send(path, secret=secret).status_code for secret in (SECRET, new)] == [202, 202]
    last = client.post(
        f"{SOURCES}/{made['id']}/rotate-secret", {"overlap_hours": 0, "secret": "planted-the-last-one"}, format="json"
    ).json()["secret"]
    assert [send(path, secret=secret).status_code for secret in (SECRET, new, last)] == [403, 403, 202]
    entries = json.dumps(list(AuditEntry.objects.values("action", "changes")), default=str)
    assert "rotate-secret" in entries
    assert not [secret for secret in (SECRET, new, last) if secret in entries]


def test_a_switched_off_source_refuses_and_an_enabled_one_receives(alice: User) -> None:
    client = client_of(alice)
    made = create(client, secret=SECRET).json()
    path = f"/api/v1/webhook/sender/{made['id']}"
    assert client.post(f"{SOURCES}/{made['id']}/disable", {}, format="json").json()["active"] is False
    assert send(path).status_code == 403
    assert client.post(f"{SOURCES}/{made['id']}/enable", {}, format="json").json()["active"] is True
    assert send(path).status_code == 202
    assert client.delete(f"{SOURCES}/{made['id']}").status_code == 204
    assert send(path).status_code == 404


def test_one_source_of_a_provider_is_its_default_and_an_admin_says_which(alice: User, admin: User) -> None:
    assert create(client_of(alice), is_default=True).status_code == 403
    first = create(client_of(admin), is_default=True).json()
    again = create(client_of(admin), is_default=True)
    assert (again.status_code, again.json()["code"]) == (409, "default_taken")
    assert client_of(admin).patch(f"{SOURCES}/{first['id']}", {"is_default": False}, format="json").status_code == 200
    assert create(client_of(admin), is_default=True).status_code == 201


def listed(client: Any, **filters: Any) -> list[str]:
    answer = client.get(EVENTS, filters)
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def test_receipts_are_listed_newest_first_and_filtered(alice: User) -> None:
    client, to, other = client_of(alice), source(owner=owner_of(alice)), source(owner=owner_of(alice))
    one = send(to, event="push", id="d-1").json()["id"]
    two = send(to, b"no json", event="push").json()["id"]
    send(other, event="pull", secret="wrong")
    three = str(Receipt.objects.get(verdict="refused").id)
    work_off()
    send(to, event="push", id="d-1")
    assert listed(client) == [three, two, one]
    assert listed(client, source=str(to.id)) == [two, one]
    assert listed(client, verdict="refused") == [three]
    assert listed(client, source=str(to.id), verdict="refused") == []
    assert listed(client, verdict="accepted", source=str(to.id)) == [two, one]
    assert listed(client, outcome="failed") == [two]
    assert listed(client, outcome="processed", event="push") == [one]
    assert listed(client, since=timezone.now().isoformat()) == []
    assert client.get(EVENTS, {"verdict": "maybe"}).status_code == 400


def test_a_duplicate_that_waited_is_not_listed_but_found_by_its_id(alice: User) -> None:
    client, to = client_of(alice), source(owner=owner_of(alice))
    first, second = (send(to, id="d-1").json()["id"] for _ in range(2))
    work_off()
    assert listed(client) == [first]
    assert client.get(f"{EVENTS}/{second}").json()["outcome"] == "duplicate"
    assert client.get(f"{EVENTS}/{first}").json()["duplicates"] == 1


def test_one_request_is_shown_with_masked_headers_and_body(alice: User) -> None:
    to = source(owner=owner_of(alice))
    made = send(to, {"password": "planted-9f2c", "a": 1}, **{"X-GitHub-Event": "push", "X-Other": "planted-77aa"}).json()["id"]
    answer = client_of(alice).get(f"{EVENTS}/{made}")
    shown = answer.json()
    assert "planted" not in answer.content.decode()
    assert (shown["headers"]["x-github-event"], shown["headers"]["x-other"], shown["body_truncated"]) == ("push", "***", False)
    assert '"a": 1' in shown["body"]


def test_an_unreadable_one_is_shown_without_headers_and_body(alice: User, settings: Any) -> None:
    to = source(owner=owner_of(alice))
    made = send(to).json()["id"]
    settings.FERNET_KEYS = ["other" * 8]
    shown = client_of(alice).get(f"{EVENTS}/{made}").json()
    assert (shown["headers"], shown["body"], listed(client_of(alice))) == (None, None, [made])


def fail(*args: Any) -> list[InboundEvent]:
    raise KeyError("planted")


def test_a_failed_one_is_interpreted_again(alice: User) -> None:
    client, to = client_of(alice), source(owner=owner_of(alice))
    made = send(to, id="d-1").json()["id"]
    waiting = client.post(f"{EVENTS}/{made}/reprocess", {}, format="json")
    assert (waiting.status_code, waiting.json()["code"]) == (409, "receipt_waiting")
    Told.parse = fail
    work_off()
    Told.parse = None
    answer = client.post(f"{EVENTS}/{made}/reprocess", {}, format="json")
    assert (answer.status_code, answer.json()["outcome"], answer.json()["error"]) == (202, "waiting", "")
    work_off()
    assert (listed(client, outcome="processed"), Event.objects.count()) == ([made], 1)
    client.post(f"{EVENTS}/{made}/reprocess", {}, format="json")
    work_off()
    assert (listed(client, outcome="processed"), Event.objects.count()) == ([made], 1)


def test_a_refused_one_is_never_interpreted(alice: User) -> None:
    send(source(owner=owner_of(alice)), secret="wrong")
    answer = client_of(alice).post(f"{EVENTS}/{Receipt.objects.get().id}/reprocess", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "receipt_refused")


def test_a_range_is_interpreted_again_within_its_bound(alice: User, charlie: User, monkeypatch: pytest.MonkeyPatch) -> None:
    to, foreign = source(owner=owner_of(alice)), source(owner=owner_of(charlie))
    Told.parse = fail
    for target in (to, to, to, foreign):
        send(target)
    work_off()
    Told.parse = None
    client, body = client_of(alice), {"since": (timezone.now() - timedelta(hours=1)).isoformat()}
    monkeypatch.setattr(reprocess, "MOST_AT_ONCE", 2)
    assert client.post(f"{EVENTS}/reprocess", body, format="json").json() == {"count": 2, "more": True}
    work_off()
    assert client.post(f"{EVENTS}/reprocess", body | {"source": str(to.id)}, format="json").json() == {"count": 1, "more": False}
    work_off()
    assert sorted(Receipt.objects.values_list("outcome", flat=True)) == ["failed", "processed", "processed", "processed"]
    stranger = client.post(f"{EVENTS}/reprocess", body | {"source": str(foreign.id)}, format="json")
    assert (stranger.status_code, list(stranger.json()["fields"])) == (400, ["source"])
    assert client.post(f"{EVENTS}/reprocess", {}, format="json").status_code == 400


def test_a_list_takes_the_same_statements_however_long(alice: User) -> None:
    client, to = client_of(alice), source(owner=owner_of(alice))
    client.get(SOURCES)  # the first request of a key reads more
    counts = []
    for _ in range(2):
        send(to)
        send(to)
        for path in (EVENTS, SOURCES):
            with CaptureQueriesContext(connection) as queries:
                client.get(path)
            counts.append(statements(queries))
        source(owner=owner_of(alice))
    assert counts[:2] == counts[2:]


@pytest.mark.parametrize("provider", [one.key for one in receivers() if one.__module__.startswith("integrations.")])
def test_name_provider_and_secret_are_enough_for_every_provider(provider: str, alice: User) -> None:
    answer = create(client_of(alice), provider=provider, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert (answer.status_code, answer.json().get("provider")) == (201, provider), answer.content
