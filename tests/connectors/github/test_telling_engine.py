"""GitHub as a destination through the real engine: a server that knows GitHub's description, real threads, committed rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from core import runtime, work
from core.bus import publish
from core.models import RequestLog
from integrations.models import Integration
from scans.events import EVENT_TYPES
from tests.connectors.github.rest_stub import RestStub, rest_stub
from tests.factories import RepositoryFactory
from tests.webhooks.engine_kit import hook, state_of
from tests.webhooks.receivers import wait_for
from webhooks.choices import ErrorClass
from webhooks.destinations import follow
from webhooks.engine.pump import Engine
from webhooks.models import DeliveryAttempt, FollowUp, Webhook, WebhookDelivery, WebhookState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
TOKEN = "github_pat_planted77c9d2"
GATE = next(one.example for one in EVENT_TYPES if one.name == "gate.failed")


@pytest.fixture(autouse=True)
def engine(settings: Any) -> Iterator[Engine]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    settings.DESTINATION_THREADS = 2
    runtime.forget()
    made = Engine(10)
    yield made
    made.stop(0)
    runtime.forget()


@pytest.fixture
def github() -> Iterator[RestStub]:
    with rest_stub() as stub:
        yield stub


def told(engine: Engine, github: RestStub, *, is_registered: bool = True, **options: Any) -> tuple[Webhook, DeliveryAttempt]:
    """Publish a failed gate to a webhook with these options, and return the attempt."""
    config = {"api_url": github.url, "auth": "token", "products": []}
    to = Integration.objects.create(type="github", name="GitHub", category="development", config=config, credentials={"token": TOKEN})
    repository_id = RepositoryFactory.create(full_name="acme/shop").id if is_registered else None
    made = hook(url="", events=["gate.failed"], integration=to, destination=options)
    WebhookState.objects.filter(webhook=made).update(calls=True)
    engine.start()
    engine.claim_for(60)
    publish("gate.failed", GATE, repository_id=repository_id)
    wait_for(lambda: DeliveryAttempt.objects.exists())
    return made, DeliveryAttempt.objects.get()


def test_a_workflow_is_started_and_followed_until_it_passed(engine: Engine, github: RestStub) -> None:
    options = {"action": "workflow_dispatch", "workflow": "security.yml", "inputs": {"commit": "{commit}"}}
    _, attempt = told(engine, github, **options)
    assert (attempt.outcome, attempt.status_code) == ("accepted", 200)
    assert github.made("POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches")[0]["inputs"] == {"commit": GATE["commit"]}
    run = {
        "id": 1,
        "run_number": 57,
        "status": "completed",
        "conclusion": "success",
        "html_url": "https://github.com/acme/shop/actions/runs/1",
    }
    github.told["GET /repos/{owner}/{repo}/actions/runs/{run_id}"] = lambda call: (200, run, {})
    FollowUp.objects.update(run_after=timezone.now())
    work.run_due(FollowUp, follow.run)
    followed = FollowUp.objects.get()
    assert (followed.label, followed.result, followed.link) == ("run #57", "passed", run["html_url"])
    assert github.refused == []


def test_what_github_refuses_for_good_fails_and_names_the_permission_but_no_token(engine: Engine, github: RestStub) -> None:
    said = {"message": f"Resource not accessible by {TOKEN}"}
    github.before = lambda call: (403, said, {"X-Accepted-GitHub-Permissions": "statuses=write"})
    _, attempt = told(engine, github, action="commit_status")
    assert (WebhookDelivery.objects.get().status, attempt.error_class, attempt.status_code) == ("failed", ErrorClass.CLIENT_ERROR, 403)
    assert "permission statuses: write" in attempt.error
    logged = f"{attempt.__dict__} {[row.__dict__ for row in RequestLog.objects.all()]}"
    assert "Resource not accessible" in logged
    assert TOKEN not in logged


def test_an_event_of_no_registered_repository_chooses_none(engine: Engine, github: RestStub) -> None:
    _, attempt = told(engine, github, is_registered=False, action="commit_status")
    assert (attempt.error_class, "not registered here" in attempt.error) == (ErrorClass.UNSUITABLE, True)
    assert github.calls == []


def test_a_rate_limit_holds_the_webhook_until_it_is_reset(engine: Engine, github: RestStub) -> None:
    github.before = lambda call: (403, {"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "120"})
    made, attempt = told(engine, github, action="commit_status")
    assert (WebhookDelivery.objects.get().status, attempt.error_class) == ("pending", ErrorClass.RATE_LIMITED)
    held = state_of(made).hold_until
    assert held is not None
    assert 100 < (held - attempt.started_at).total_seconds() <= 130
    assert "takes calls again in 2 minutes" in attempt.error
