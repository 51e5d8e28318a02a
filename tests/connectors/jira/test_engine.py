"""Jira told by the real engine: committed rows, a real door, a server that lags and limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core import runtime
from core.bus import publish
from integrations.models import Integration
from tests.connectors import told
from tests.connectors.jira.kit import options
from tests.connectors.jira.stub import Jira, jira_server
from tests.webhooks.engine_kit import hook, state_of
from tests.webhooks.receivers import wait_for
from webhooks.engine.pump import Engine
from webhooks.models import DeliveryAttempt, DestinationMemory, WebhookDelivery, WebhookState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
TOKEN = "tok-planted-5b1f77c9d2"
TYPES = ["finding.opened.single", "finding.fixed.single", "webhook.test"]


@pytest.fixture
def run(settings: Any) -> Iterator[Callable[[], None]]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    runtime.forget()
    engine = Engine(20)
    engine.start()

    def until_done() -> None:
        engine.claim_for(60)
        wait_for(lambda: not WebhookDelivery.objects.filter(status="pending").exists())

    yield until_done
    engine.stop(0)
    runtime.forget()


def routed(url: str) -> Any:
    config = {"deployment": "cloud", "base_url": url, "email": "bot@example.com"}
    to = Integration.objects.create(type="jira", name="Jira", category="development", config=config, credentials={"api_token": TOKEN})
    made = hook(url="", integration=to, destination=options(), events=TYPES, retry_config={"schedule": [0.2, 0.2, 0.2, 0.2]})
    WebhookState.objects.filter(webhook=made).update(calls=True)
    return made


def test_a_ticket_is_made_and_closed_by_the_engine(run: Callable[[], None]) -> None:
    with jira_server(Jira()) as jira:
        routed(jira.url)
        publish("finding.opened.single", dict(told.example("finding.opened.single").data))
        run()
        publish("finding.fixed.single", dict(told.example("finding.fixed.single").data))
        run()
        assert (jira.only()["status"], len(jira.only()["comments"]), jira.refused) == ("Done", 1, [])
    made, closed = DeliveryAttempt.objects.order_by("id")
    assert (made.status_code, closed.status_code, made.url) == (201, 200, "Jira: Jira")
    assert "SEC-1" in made.response_body
    assert "closed" in closed.response_body
    assert sorted(DestinationMemory.objects.values_list("external_id", flat=True))[0] == "10001"
    assert DestinationMemory.objects.count() == 2, "the ticket and its last event, and nothing else"


def test_limits_hold_the_webhook_and_refusals_end_the_delivery(run: Callable[[], None]) -> None:
    answers = [(429, None, {"Retry-After": "1"}), (400, {"errors": {"priority": f"{TOKEN} is no priority"}}, {})]
    with jira_server(Jira()) as jira:
        made = routed(jira.url)
        jira.before = lambda method, path: answers.pop(0) if method == "POST" and answers else None
        publish("finding.opened.single", dict(told.example("finding.opened.single").data))
        run()
    limited, refused = DeliveryAttempt.objects.order_by("id")
    assert (limited.error_class, refused.error_class, refused.status_code) == ("rate_limited", "client_error", 400)
    assert "Check the names in the option Priorities" in refused.error
    assert TOKEN not in f"{refused.error} {refused.response_body}"
    assert state_of(made).failed_count == 1
    assert DestinationMemory.objects.filter(key__endswith="making").count() == 0


@pytest.mark.usefixtures("run")
def test_a_preview_shows_the_issue(admin_client: Any) -> None:
    webhook = routed("https://acme.atlassian.net")
    asked = {"event_type": "finding.opened.single"}
    (request,) = admin_client.post(f"/api/v1/webhooks/{webhook.id}/preview", asked, content_type="application/json").json()["requests"]
    assert request["url"] == "https://acme.atlassian.net/rest/api/3/issue"
    assert "Prototype pollution in lodash" in request["body"]
    assert DestinationMemory.objects.count() == 0
