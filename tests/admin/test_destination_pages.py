"""Webhooks through integrations in the admin: what is offered to whom, what is asked for, and what is shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.admin.conftest import make_delivery
from tests.factories import owner_of
from tests.webhooks.destination_kit import connectors, integration, routed
from webhooks.models import DeliveryAttempt, FollowUp, Webhook, WebhookDelivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("connectors"), pytest.mark.once]
__all__ = ["connectors"]
ADD = "admin:webhooks_webhook_add"
FORM = {"name": "CI", "url": "", "owner": "", "events": ["build.*"], "more_events": "", "filter": "", "headers": "", "retries": "default",
        "schedule": "", "rate_limit": "", "concurrency": "7", "priority": "1"}  # fmt: skip


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def change(webhook: Webhook) -> str:
    return reverse("admin:webhooks_webhook_change", args=[webhook.pk])


def errors(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = response.context["adminform"].form.errors
    return found


def test_it_creates_a_webhook_through_an_integration(browser: Client) -> None:
    to = integration()
    page = browser.get(reverse(ADD)).content.decode()
    assert "my poster (poster)" in page
    assert 'name="d_poster_path"' in page
    assert f'data-only-if-values="{to.id}"' in page
    assert "d_http_" not in page, "nothing is asked for that no integration takes"
    answer = browser.post(reverse(ADD), {**FORM, "integration": str(to.id), "d_poster_path": "in", "d_poster_method": "PUT"})
    assert answer.status_code == 200, "the page with its secret"
    webhook = Webhook.objects.get()
    assert f'data-made="{change(webhook)}"' in answer.content.decode(), "where reloading leads, instead of creating it a second time"
    assert (webhook.integration_id, webhook.destination, webhook.url) == (to.id, {"path": "in", "method": "PUT"}, "")
    listed = browser.get(reverse("admin:webhooks_webhook_changelist")).content.decode()
    assert "my poster" in listed


def test_it_says_beside_the_field_what_is_missing(browser: Client) -> None:
    to = integration()
    assert set(errors(browser.post(reverse(ADD), {**FORM, "integration": str(to.id)}))) == {"d_poster_path"}
    assert set(errors(browser.post(reverse(ADD), FORM))) == {"url"}
    assert not Webhook.objects.exists()


def test_it_keeps_what_a_form_leaves_as_it_was_and_changes_the_rest(browser: Client) -> None:
    webhook = routed(integration(), {"path": "in", "method": "PUT"})
    form = browser.get(change(webhook)).context["adminform"].form
    data = {name: form.initial.get(name, field.initial) for name, field in form.fields.items()}
    data = {name: "" if value is None else value for name, value in data.items()} | {"name": "new", "events": ["build.*"]}
    assert (data["integration"], data["d_poster_path"], data["d_poster_method"]) == (str(webhook.integration_id), "in", "PUT")
    assert browser.post(change(webhook), data).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.name, webhook.destination) == ("new", {"path": "in", "method": "PUT"})
    assert browser.post(change(webhook), {**data, "integration": "", "url": "https://example.com/a"}).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.integration_id, webhook.destination, webhook.url) == (None, {}, "https://example.com/a")


def test_an_integrator_is_offered_their_own_and_keeps_what_an_admin_lent(alice: User, charlie: User) -> None:
    mine, theirs, lent = integration(owner=owner_of(alice), name="mine"), integration(owner=owner_of(charlie), name="theirs"), integration()
    browser = as_user(alice)
    page = browser.get(reverse(ADD)).content.decode()
    assert str(mine.id) in page
    assert str(theirs.id) not in page
    assert str(lent.id) not in page
    refused = browser.post(reverse(ADD), {**FORM, "owner": "user:alice", "integration": str(theirs.id), "d_poster_path": "in"})
    assert "integration" in errors(refused)
    webhook = routed(lent, owner=owner_of(alice))
    page = browser.get(change(webhook)).content.decode()
    assert "my poster (of the admins)" in page
    data = {**FORM, "owner": "user:alice", "integration": str(lent.id), "d_poster_path": "elsewhere"}
    assert browser.post(change(webhook), data).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.integration_id, webhook.destination) == (lent.id, {"path": "hook"})


def test_a_webhook_whose_integration_is_off_or_unknown_still_opens(browser: Client) -> None:
    for change_it in ({"status": "inactive"}, {"type": "removed"}):
        to = integration(**change_it)  # type: ignore[arg-type]
        assert browser.get(change(routed(to))).status_code == 200


def test_an_attempt_that_had_nothing_to_send_looks_like_no_failure(browser: Client) -> None:
    delivery = make_delivery(routed(integration()), status="success", last_error_class="")
    page = reverse("admin:webhooks_webhookdelivery_change", args=[delivery.pk])
    DeliveryAttempt.objects.update(outcome="success", status_code=None, error_class="", error="Nothing was sent: no metrics.")
    text = browser.get(page).content.decode()
    assert '<p class="rg-sentence rg-quiet">Nothing was sent: no metrics.</p>' in text
    assert "no answer" not in text
    WebhookDelivery.objects.update(last_error="Nothing was sent: no metrics.")
    listed = browser.get(reverse("admin:webhooks_webhookdelivery_changelist")).content.decode()
    assert '<span title="Nothing was sent: no metrics.">nothing was sent</span>' in listed
    DeliveryAttempt.objects.update(outcome="failed", error_class="timeout")
    assert "no answer" in browser.get(page).content.decode()


def test_a_delivery_shows_what_it_started(browser: Client) -> None:
    delivery = make_delivery(routed(integration()))
    page = reverse("admin:webhooks_webhookdelivery_change", args=[delivery.pk])
    text = browser.get(page).content.decode()
    assert "What it started" not in text
    assert f'href="{reverse("admin:webhooks_webhook_message", args=[delivery.webhook_id])}?event={delivery.event_id}"' in text
    assert "Body that is sent" not in text  # the connector makes a message of the event
    row = FollowUp.objects.create(
        delivery=delivery, url="https://ci/q/1", label="build #812", link="https://ci/812", give_up_at=timezone.now() + timedelta(hours=1)
    )
    text = browser.get(page).content.decode()
    assert 'href="https://ci/812"' in text
    assert "running" in text
    WebhookDelivery.objects.update(status="success")
    assert 'hx-trigger="every 5s"' in browser.get(page).content.decode()
    FollowUp.objects.filter(pk=row.pk).update(result="passed", state="done")
    text = browser.get(page).content.decode()
    assert "<strong>passed</strong>" in text
    assert "data-live" not in text
    FollowUp.objects.filter(pk=row.pk).update(result="", state="failed", error="The token is refused.")
    text = browser.get(page).content.decode()
    assert "not followed any more" in text
    assert "The token is refused." in text
