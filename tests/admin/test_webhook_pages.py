"""Webhooks in the admin: the form speaks the service's words, secrets are shown once, buttons do what they say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from access.models import AuditEntry
from core.bus import publish
from core.models import RuntimeSettings
from tests.admin.conftest import make_delivery, make_webhook
from webhooks.admin.attempts import timing_bars
from webhooks.admin.words import parse_schedule, schedule_text
from webhooks.models import DeliveryAttempt, Lease, Webhook, WebhookDelivery, WebhookState

pytestmark = pytest.mark.once

ADD = "admin:webhooks_webhook_add"


def _form(**values: Any) -> dict[str, Any]:
    return {
        "name": "CI",
        "url": "https://example.com/ci",
        "owner": "",
        "events": ["build.*"],
        "more_events": "custom.deployed",
        "filter": '{"branch": "main"}',
        "headers": "X-Token: very-secret",
        "retries": "own",
        "schedule": "5 s, 2 min",
        "rate_limit": "2.5",
        "concurrency": "7",
        "priority": "0",
    } | values


def _do(client: Client, webhook: Webhook, name: str, **data: Any) -> Any:
    return client.post(reverse("admin:webhooks_webhook_do", args=[webhook.pk, name]), data)


def test_it_creates_a_webhook_and_shows_its_secret_once(browser: Client, admin: User) -> None:
    response = browser.post(reverse(ADD), _form())
    webhook = Webhook.objects.get()
    secret = webhook.secrets[0]["secret"]
    assert secret in response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]
    assert (webhook.events, webhook.filter) == (["build.*", "custom.deployed"], {"branch": "main"})
    assert (webhook.headers, webhook.retry_config) == ({"X-Token": "very-secret"}, {"schedule": [5, 120]})
    assert (webhook.rate_limit, webhook.concurrency, webhook.priority) == (2.5, 7, 0)
    page = browser.get(reverse("admin:webhooks_webhook_change", args=[webhook.pk])).content.decode()
    assert secret not in page
    assert "very-secret" not in page
    assert "X-Token: ********" in page
    entry = AuditEntry.objects.get(object_type="webhook", verb="created")
    assert (entry.actor, entry.actor_id) == ("user admin", str(admin.pk))


def test_it_keeps_what_a_form_leaves_as_it_was(browser: Client) -> None:
    webhook = make_webhook(name="old", headers={"X-Token": "very-secret"}, retry_config={"schedule": []})
    page = browser.get(reverse("admin:webhooks_webhook_change", args=[webhook.pk]))
    form = page.context["adminform"].form
    data = {name: form.initial.get(name, field.initial) for name, field in form.fields.items()}
    data = {name: "" if value is None else value for name, value in data.items()} | {"name": "new"}
    assert browser.post(reverse("admin:webhooks_webhook_change", args=[webhook.pk]), data).status_code == 302
    changed = Webhook.objects.get()
    assert (changed.name, changed.headers, changed.retry_config) == ("new", {"X-Token": "very-secret"}, {"schedule": []})
    assert changed.secrets == webhook.secrets
    assert AuditEntry.objects.get(object_type="webhook", verb="changed").changes == {"name": ["old", "new"]}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("url", "http://10.0.0.1/x", "EGRESS_ALLOW_CIDRS"),
        ("filter", "{not json", "Not JSON"),
        ("filter", '{"a": {"$bogus": 1}}', "the operators are"),
        ("filter", "[" * 5000, "Nested too deeply"),
        ("headers", "Host: x", "can&#x27;t be set"),
        ("headers", "nonsense", "no colon"),
        ("headers", "X-New: ********", "no stored value"),
        ("schedule", "soon", "is not a delay"),
        ("schedule", "", "Write the delays"),
        ("schedule", "30 d", "seven days"),
        ("schedule", "9" * 400, "seven days"),
        ("schedule", "9" * 400 + " d", "seven days"),
        ("filter", '{"a": ' + "9" * 5000 + "}", "too long"),
        ("filter", '{"a": NaN}', "JSON can"),
        ("filter", '{"a": "\\ud800"}', "JSON can"),
        ("filter", '{"a": "\\u0000"}', "NUL"),
        ("more_events", "no.such", "not a known event type"),
        ("rate_limit", "-1", "from 0.01"),
        ("concurrency", "0", "from 1 to"),
        ("name", "", "required"),
    ],
)
def test_it_says_what_is_wrong_and_stores_nothing(browser: Client, field: str, value: str, words: str) -> None:
    response = browser.post(reverse(ADD), _form(**{field: value}))
    assert response.status_code == 200
    assert words in response.content.decode()
    assert not Webhook.objects.exists()


def test_it_asks_for_an_event(browser: Client) -> None:
    response = browser.post(reverse(ADD), _form(events=[], more_events=""))
    assert "Choose at least one event type" in response.content.decode()


def test_it_shows_the_refusal_of_the_service_beside_the_field(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.errors import InvalidInput

    def refuse(values: Any) -> Any:
        raise InvalidInput.of("url", "is not liked today.")

    monkeypatch.setattr("webhooks.admin.webhooks.services.create_webhook", refuse)
    response = browser.post(reverse(ADD), _form())
    assert response.context["adminform"].form.errors == {"url": ["Is not liked today."]}


def test_it_lets_an_integrator_give_webhooks_to_own_owners_only(alice: User, charlie: User, log_in: Callable[[User], Client]) -> None:
    client = log_in(alice)
    assert client.post(reverse(ADD), _form(owner="user:charlie")).status_code == 200
    assert client.post(reverse(ADD), _form(owner="")).status_code == 200
    assert not Webhook.objects.exists()
    client.post(reverse(ADD), _form(owner="user:alice"))
    assert str(Webhook.objects.get().owner) == "user:alice"


def test_it_shows_the_owner_of_a_webhook_and_takes_no_other(browser: Client, alice: User, charlie: User) -> None:
    webhook = make_webhook(alice)
    make_webhook(charlie)  # so that the form could offer it
    page = reverse("admin:webhooks_webhook_change", args=[webhook.pk])
    owner = browser.get(page).context["adminform"].form["owner"]
    assert (owner.field.disabled, owner.value()) == (True, "user:alice")
    assert browser.post(page, _form(owner="user:charlie", name="new")).status_code == 302
    webhook.refresh_from_db(fields=["name", "owner"])
    assert (webhook.name, str(webhook.owner)) == ("new", "user:alice")


def test_it_sends_a_test_and_shows_the_delivery(browser: Client, admin: User) -> None:
    webhook = make_webhook()
    response = _do(browser, webhook, "test")
    delivery = WebhookDelivery.objects.get()
    assert response.url == reverse("admin:webhooks_webhookdelivery_change", args=[delivery.pk])
    assert (delivery.trigger, delivery.event_type) == ("test", "webhook.test")
    page = browser.get(response.url).content.decode()
    assert "hx-trigger" in page
    live = browser.get(reverse("admin:webhooks_webhookdelivery_live", args=[delivery.pk]))
    assert "no-store" in live.headers["Cache-Control"]
    assert b"waiting to be sent" in live.content
    assert AuditEntry.objects.filter(action="test", actor="user admin").exists()


def test_it_stops_looking_when_a_delivery_has_ended(things: SimpleNamespace, browser: Client) -> None:
    assert b"hx-trigger" not in browser.get(reverse("admin:webhooks_webhookdelivery_live", args=[things.delivery.pk])).content


def test_it_rotates_a_secret_and_shows_the_new_one(browser: Client) -> None:
    webhook = make_webhook()
    old = webhook.secrets[0]["secret"]
    response = _do(browser, webhook, "rotate-secret", overlap_hours="2")
    stored = Webhook.objects.get().secrets
    assert stored[0]["secret"] in response.content.decode()
    assert old not in response.content.decode()
    assert [entry["secret"] for entry in stored] == [stored[0]["secret"], old]
    assert _do(browser, webhook, "rotate-secret", overlap_hours="long").status_code == 302
    assert _do(browser, webhook, "rotate-secret", overlap_hours="nan").status_code == 302
    assert Webhook.objects.get().secrets == stored


def test_it_disables_enables_and_deletes_through_the_services(browser: Client) -> None:
    webhook = make_webhook()
    _do(browser, webhook, "disable")
    assert not WebhookState.objects.get().enabled
    page = browser.get(reverse("admin:webhooks_webhook_change", args=[webhook.pk])).content.decode()
    assert "Switched off by a user" in page
    assert "Send test" not in page
    _do(browser, webhook, "enable")
    assert WebhookState.objects.get().enabled
    browser.post(reverse("admin:webhooks_webhook_delete", args=[webhook.pk]), {"post": "yes"})
    assert Webhook.objects.get().deleted_at is not None
    assert browser.get(reverse("admin:webhooks_webhook_change", args=[webhook.pk])).status_code == 302
    assert set(AuditEntry.objects.values_list("action", flat=True)) >= {"disable", "enable"}


def test_it_says_how_a_webhook_stands(browser: Client) -> None:
    webhook = make_webhook()
    url = reverse("admin:webhooks_webhook_change", args=[webhook.pk])
    state = WebhookState.objects.filter(webhook=webhook)
    assert b"Untried" in browser.get(url).content
    state.update(last_success_at=timezone.now())
    assert b"Healthy" in browser.get(url).content
    state.update(failing_since=timezone.now(), consecutive_failures=3, last_error="no route")
    assert "3 failures in a row. Last error: no route" in browser.get(url).content.decode()
    state.update(hold_until=timezone.now() + timedelta(hours=1), hold_reason="breaker")
    assert b"It kept failing" in browser.get(url).content


def test_it_redelivers_and_cancels(things: SimpleNamespace, browser: Client) -> None:
    url = reverse("admin:webhooks_webhookdelivery_do", args=[things.delivery.pk, "redeliver"])
    assert browser.get(url).status_code == 302
    assert WebhookDelivery.objects.get(pk=things.delivery.pk).status == "failed"
    browser.post(url)
    assert WebhookDelivery.objects.get(pk=things.delivery.pk).status == "pending"
    browser.post(reverse("admin:webhooks_webhookdelivery_do", args=[things.delivery.pk, "cancel"]))
    assert WebhookDelivery.objects.get(pk=things.delivery.pk).status == "cancelled"
    assert list(AuditEntry.objects.filter(object_type="webhookdelivery").values_list("action", flat=True).order_by("id")) == [
        "redeliver",
        "cancel",
    ]


def test_it_offers_no_button_that_can_not_work(things: SimpleNamespace, browser: Client) -> None:
    url = reverse("admin:webhooks_webhookdelivery_change", args=[things.delivery.pk])
    assert b"do/cancel/" not in browser.get(url).content
    assert browser.post(reverse("admin:webhooks_webhookdelivery_do", args=[things.delivery.pk, "cancel"])).status_code == 302
    assert WebhookDelivery.objects.get(pk=things.delivery.pk).status == "failed"
    waiting = make_delivery(things.webhook, status="pending", finished_at=None)
    Lease.objects.create(delivery_id=waiting.pk, webhook_id=things.webhook.pk, owner=waiting.pk, token=waiting.pk)
    content = browser.get(reverse("admin:webhooks_webhookdelivery_change", args=[waiting.pk])).content
    assert b"do/redeliver/" not in content
    assert b"do/cancel/" not in content


def test_it_lets_auditors_press_nothing(things: SimpleNamespace, auditor: User, log_in: Callable[[User], Client]) -> None:
    client = log_in(auditor)
    for name, key, buttons in (
        ("webhooks_webhook", things.webhook.pk, ("test", "rotate-secret", "enable", "disable")),
        ("webhooks_webhookdelivery", things.delivery.pk, ("redeliver", "cancel")),
        ("access_apikey", things.key.pk, ("rotate", "revoke")),
    ):
        content = client.get(reverse(f"admin:{name}_change", args=[key])).content.decode()
        assert "/do/" not in content
        assert "very-secret" not in content
        assert "X-Token" not in content
        for button in buttons:
            assert client.post(reverse(f"admin:{name}_do", args=[key, button])).status_code == 403
        assert client.post(reverse(f"admin:{name}_change", args=[key]), {"name": "x"}).status_code == 403
        assert client.post(reverse(f"admin:{name}_delete", args=[key]), {"post": "yes"}).status_code == 403


def test_it_lets_strangers_press_nothing(things: SimpleNamespace, charlie: User, log_in: Callable[[User], Client]) -> None:
    client = log_in(charlie)
    before = WebhookDelivery.objects.get(pk=things.delivery.pk).status
    assert client.post(reverse("admin:webhooks_webhookdelivery_do", args=[things.delivery.pk, "redeliver"])).status_code == 302
    assert _do(client, things.webhook, "disable").status_code == 302
    assert client.post(reverse("admin:webhooks_webhook_delete", args=[things.webhook.pk]), {"post": "yes"}).status_code == 302
    assert WebhookDelivery.objects.get(pk=things.delivery.pk).status == before
    assert WebhookState.objects.get(webhook=things.webhook).enabled
    assert Webhook.objects.get(pk=things.webhook.pk).deleted_at is None


def test_it_lets_the_owner_press_them(things: SimpleNamespace, alice: User, log_in: Callable[[User], Client]) -> None:
    client = log_in(alice)
    assert "/do/redeliver/" in client.get(reverse("admin:webhooks_webhookdelivery_change", args=[things.delivery.pk])).content.decode()
    client.post(reverse("admin:webhooks_webhookdelivery_do", args=[things.delivery.pk, "redeliver"]))
    assert WebhookDelivery.objects.get(pk=things.delivery.pk).status == "pending"


def test_it_wants_a_csrf_token(things: SimpleNamespace, admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(reverse("admin:webhooks_webhookdelivery_do", args=[things.delivery.pk, "redeliver"])).status_code == 403
    assert WebhookDelivery.objects.get(pk=things.delivery.pk).status == "failed"


def test_it_finds_a_delivery_by_any_of_its_ids(things: SimpleNamespace, browser: Client) -> None:
    other = make_delivery(make_webhook(name="other"))
    url = reverse("admin:webhooks_webhookdelivery_changelist")
    for term in (things.delivery.pk, things.event.pk, things.webhook.pk, things.delivery.pk.hex):
        found = [row.pk for row in browser.get(url, {"q": str(term)}).context["cl"].result_list]
        assert found == [things.delivery.pk], term
    assert list(browser.get(url, {"q": "hello"}).context["cl"].result_list) == []
    assert [row.pk for row in browser.get(url, {"webhook": str(other.webhook_id)}).context["cl"].result_list] == [other.pk]
    assert len(browser.get(url, {"last_error_class": "client_error", "since": "2020-01-01T00:00"}).context["cl"].result_list) == 2
    assert list(browser.get(url, {"until": "2020-01-01T00:00"}).context["cl"].result_list) == []


def test_it_hides_bodies_where_the_settings_say_so(things: SimpleNamespace, browser: Client) -> None:
    from core import runtime

    url = reverse("admin:webhooks_webhookdelivery_change", args=[things.delivery.pk])
    runtime.forget()
    assert "&quot;data&quot;: {" in browser.get(url).content.decode()
    RuntimeSettings.objects.create(pk=1, log_request_bodies=False)
    runtime.forget()
    assert "&quot;data&quot;: {" not in browser.get(url).content.decode()
    runtime.forget()


def test_it_draws_phases_one_after_the_other() -> None:
    bars = timing_bars(DeliveryAttempt(dns_ms=10, connect_ms=20, tls_ms=None, first_byte_ms=50, total_ms=100))
    assert [(bar.label, bar.start, bar.width) for bar in bars] == [
        ("name lookup", 0, 10),
        ("connect", 10, 20),
        ("waiting", 30, 50),
        ("reading", 80, 20),
    ]
    assert [bar.label for bar in timing_bars(DeliveryAttempt(connect_ms=1, total_ms=5))] == ["connect", "until error"]
    assert timing_bars(DeliveryAttempt()) == []


def test_it_reads_schedules_as_it_writes_them() -> None:
    delays = [5, 300, 7200, 86_400, 90, 0.5]
    assert schedule_text(delays) == "5 s, 5 min, 2 h, 1 d, 90 s, 0.5 s"
    assert parse_schedule(schedule_text(delays)) == delays
    assert parse_schedule("1h;2 Days\n30") == [3600, 172_800, 30]


def test_it_opens_pages_of_a_webhook_that_can_not_be_decrypted(browser: Client) -> None:
    webhook = make_webhook(headers={"X-Token": "very-secret"})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhooks_webhook SET headers = %s, secrets = %s", [b"junk", b"junk"])
    url = reverse("admin:webhooks_webhook_change", args=[webhook.pk])
    assert browser.get(reverse("admin:webhooks_webhook_changelist")).status_code == 200
    assert browser.get(reverse("admin:index")).status_code == 200
    page = browser.get(url)
    assert "The stored headers" in page.content.decode()
    for headers in ("", "X-New: 1"):
        assert browser.post(url, _form(headers=headers)).status_code in (200, 302)
    assert _do(browser, webhook, "rotate-secret").status_code == 200


# --- routing ----------------------------------------------------------------------------------------------------------

_ROUTING = {
    "branches": "main, release/*\n!dependabot/*",
    "min_severity": "high",
    "new_only": "on",
    "digest": "all",
    "digest_window": "5 min",
    "digest_key": ["branch", "repository"],
    "digest_quiet": "30 s",
    "digest_max": "50",
    "critical_first": "on",
    "supersede": "on",
    "expires_after": "1 h",
}


def test_the_routing_is_written_in_words_shown_again_and_kept(browser: Client) -> None:
    assert browser.post(reverse(ADD), _form(**_ROUTING)).status_code == 200
    webhook = Webhook.objects.get()
    assert webhook.routing == {
        "branches": ["main", "release/*", "!dependabot/*"],
        "min_severity": "high",
        "new_only": True,
        "digest": {"window_seconds": 300, "key": ["repository", "branch"], "mode": "all", "quiet_seconds": 30, "max_events": 50},
        "lanes": "severity",
        "supersede": True,
        "expires_after": 3600,
    }
    assert webhook.expires_after == 3600
    url = reverse("admin:webhooks_webhook_change", args=[webhook.pk])
    form = browser.get(url).context["adminform"].form
    data = {name: form.initial.get(name, field.initial) for name, field in form.fields.items()}
    data = {name: value for name, value in data.items() if value is not None and value is not False}
    assert browser.post(url, data | {"name": "renamed"}).status_code == 302
    changed = Webhook.objects.get()
    assert (changed.name, changed.routing) == ("renamed", webhook.routing)
    browser.post(url, {name: value for name, value in data.items() if name not in _ROUTING})
    assert (Webhook.objects.get().routing, Webhook.objects.get().expires_after) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("branches", "refs/heads/main", "without refs/heads/"),
        ("digest_window", "", "Must be given"),
        ("digest_window", "5 s", "from 10 to 86,400"),
        ("digest_window", "1 min, 2 min", "one length of time"),
        ("digest_quiet", "10 min", "not be longer than the window"),
        ("digest_max", "1", "from 2 to 1,000"),
        ("expires_after", "soon", "is not a delay"),
    ],
)
def test_what_is_wrong_with_the_routing_stands_beside_its_field(browser: Client, field: str, value: str, words: str) -> None:
    page = browser.post(reverse(ADD), _form(**_ROUTING | {field: value}))
    assert words in str(page.context["adminform"].form.errors[field])
    assert not Webhook.objects.exists()


def test_pages_say_what_is_collected_and_by_which_rules(browser: Client) -> None:
    webhook = make_webhook(events=["*"], routing={"branches": ["main"], "digest": {"window_seconds": 300}})
    publish("custom.a", {"branch": "main"})
    publish("custom.a", {"branch": "dev"})
    listed = browser.get(reverse("admin:webhooks_webhook_changelist")).content.decode()
    assert "1 collected" in listed
    assert "main; a digest every 5 min for each repository" in listed
    page = browser.get(reverse("admin:webhooks_webhook_change", args=[webhook.pk])).content.decode()
    assert "<b>1</b><small>collected, the first leave" in page
