"""From the request of each platform to its event, and to the build that it tells of: all rooms together."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from builds.models import Build
from core.models import Event
from integrations.connectors.github.connector import GitHub
from integrations.contract.simulated import Message
from tests.connectors.senders import SENDERS, Sender, fixture
from tests.webhooks.inbound_kit import sender as _quiet_worker  # noqa: F401 - no worker is woken
from tests.webhooks.inbound_kit import url, work_off
from webhooks import secrets
from webhooks.models import InboundSource, Receipt

pytestmark = pytest.mark.django_db
SECRET = "planted-github-5d21f0a9"
RUN = {
    "id": 9183741982, "name": "test", "run_number": 812, "run_attempt": 1, "event": "push", "status": "completed", "conclusion": "failure",
    "head_branch": "main", "head_sha": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5", "created_at": "2026-11-20T09:30:00Z",
    "run_started_at": "2026-11-20T09:30:10Z", "updated_at": "2026-11-20T09:34:40Z", "html_url": "https://github.com/acme/shop/actions/runs/1",
    "workflow_id": 7, "path": ".github/workflows/test.yml", "actor": {"login": "alice"},
}  # fmt: skip
REPOSITORY = {"full_name": "acme/shop", "default_branch": "main"}


def made(provider: str, secret: str, config: Any = None) -> InboundSource:
    return InboundSource.objects.create(name=provider, provider=provider, config=config or {}, secrets=secrets.initial(secret))


def github(to: InboundSource, event: str, data: Any, delivery: str) -> Any:
    body = json.dumps(data).encode()
    headers = dict(GitHub.sign(Message(event, body, delivery, timezone.now()), SECRET, {}).headers)
    return Client().post(url(to), body, content_type="application/json", headers=headers)


@pytest.mark.parametrize("platform", SENDERS, ids=lambda one: one.name)
def test_what_a_platform_sends_is_taken_in_and_said_to_webhooks(platform: Sender) -> None:
    to = made(platform.receiver.key, platform.secrets[0], dict(platform.config))
    proof = platform.sign(platform.secrets[0], platform.body, int(time.time()))
    query, headers = (proof, {}) if platform.in_query else ({}, dict(proof))
    path = url(to) + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")
    client = Client(raise_request_exception=False)
    forged = client.post(path, platform.body, content_type="application/json", headers=dict(platform.headers)) if not query else None
    assert forged is None or forged.status_code in {401, 403}
    answer = client.post(path, platform.body, content_type="application/json", headers={**platform.headers, **headers})
    assert answer.status_code in {200, 202}, answer.content
    work_off()
    receipt = Receipt.objects.get(verdict="accepted")
    assert receipt.outcome in {"processed", "ignored"}, receipt.error
    assert Event.objects.count() == len(receipt.event_ids)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM webhooks_receipt")
        assert platform.secrets[0] not in str(cursor.fetchall())
    shown = Client().get(path)  # nothing is read here
    assert shown.status_code == 405


def test_github_tells_of_pushes_and_runs() -> None:
    to = made("github", SECRET)
    push = {"ref": "refs/heads/main", "before": "0" * 40, "after": RUN["head_sha"], "repository": REPOSITORY, "commits": []}
    assert github(to, "push", push, "d-1").status_code == 202
    assert github(to, "workflow_run", {"action": "completed", "workflow_run": RUN, "repository": REPOSITORY}, "d-2").status_code == 202
    again = {
        **RUN,
        "run_attempt": 2,
        "conclusion": "success",
        "run_started_at": "2026-11-20T09:40:00Z",
        "updated_at": "2026-11-20T09:44:00Z",
    }
    assert github(to, "workflow_run", {"action": "completed", "workflow_run": again, "repository": REPOSITORY}, "d-3").status_code == 202
    assert github(to, "workflow_run", {"action": "completed", "workflow_run": again, "repository": REPOSITORY}, "d-3").status_code in {
        200,
        202,
    }
    work_off()
    assert list(Build.objects.order_by("attempt").values_list("project", "source", "build_id", "attempt", "status", "branch")) == [
        ("acme/shop", "github", "9183741982", 1, "failure", "main"),
        ("acme/shop", "github", "9183741982", 2, "success", "main"),
    ]
    said = sorted(Event.objects.values_list("type", flat=True))
    assert said == sorted(
        [
            "repository.pushed",
            "inbound.github.workflow_run",
            "inbound.github.workflow_run",
            "build.completed",
            "build.completed",
            "build.failed",
            "build.flaky",
            "build.recovered",
        ]
    )


def test_a_pipeline_of_gitlab_becomes_a_build_once_however_often_it_comes() -> None:
    to = made("gitlab", SECRET, {"mode": "token"})
    headers = {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": "Pipeline Hook"}
    for number in range(3):
        sent = headers | {"Idempotency-Key": f"k-{number}"}
        assert Client().post(url(to), fixture("gitlab", "pipeline"), content_type="application/json", headers=sent).status_code == 202
    work_off()
    assert Build.objects.count() == 1
    assert Build.objects.get().source == "gitlab"


def test_a_secret_in_the_address_is_not_kept() -> None:
    from webhooks.inbound.keeping import kept_request

    to = made("jenkins", SECRET, {"mode": "address"})
    body = fixture("jenkins", "completed")
    assert Client().post(f"{url(to)}?token={SECRET}", body, content_type="application/json").status_code == 202
    assert Client(raise_request_exception=False).post(
        f"{url(to)}?token=guessed-7c1d22", body, content_type="application/json"
    ).status_code in {401, 403}
    assert [kept_request(receipt).query for receipt in Receipt.objects.order_by("id")] == [{"token": "***"}, {"token": "***"}]
