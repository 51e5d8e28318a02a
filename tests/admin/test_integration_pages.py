"""Integrations in the admin: choosing a connector, its form, and everything the buttons do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from access.models import AuditEntry
from core.models import Circuit, QuotaUsage
from integrations.models import HealthSample, Integration
from tests.admin.conftest import make_call, make_integration, make_webhook
from tests.core.door_stub import Service, http, serving
from tests.factories import owner_of

pytestmark = pytest.mark.once

ADD = "admin:integrations_integration_add"
TOKEN, NEW = "very-secret-token", "brand-new-token-77"


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with serving() as running:
        yield running


@pytest.fixture
def tracker(alice: User, service: Service) -> Integration:
    row = make_integration(alice, config={"base_url": service.url, "auth": "bearer"})
    Circuit.objects.all().delete()
    QuotaUsage.objects.all().delete()
    return row


def page(integration: Integration, name: str = "change") -> str:
    return reverse(f"admin:integrations_integration_{name}", args=[integration.pk])


def press(client: Client, integration: Integration, button: str) -> list[str]:
    """Press a button and return the messages."""
    response = client.post(reverse("admin:integrations_integration_do", args=[integration.pk, button]))
    assert response.status_code == 302
    return [str(message) for message in get_messages(response.wsgi_request)]


def form(base_url: str = "https://api.example.com/v1", **more: Any) -> dict[str, Any]:
    return {
        "name": "Tracker",
        "owner": "",
        "environment": "production",
        "category": "development",
        "criticality": "important",
        "quota_window_seconds": "3600",
        "timeout_seconds": "30",
        "breaker_failures": "5",
        "breaker_hold_seconds": "30",
        "stale_seconds": "0",
        "c_base_url": base_url,
        "c_kind": "rest",
        "c_health_method": "GET",
        "c_expected_status": "200-299",
        "c_auth": "bearer",
        "c_token": TOKEN,
    } | more


def stored() -> Integration:
    return Integration.objects.get()


def test_adding_begins_with_the_choice_of_a_connector(browser: Client) -> None:
    content = browser.get(reverse(ADD)).content.decode()
    assert "Any HTTP service" in content
    assert '?type=http"' in content
    assert "type=stripe" not in content  # it only sends webhooks here
    assert "c_base_url" not in content
    assert "What should be connected" in browser.get(reverse(ADD), {"type": "pigeon"}).content.decode()


def test_the_form_has_the_fields_that_the_connector_declares(browser: Client) -> None:
    content = browser.get(reverse(ADD), {"type": "http"}).content.decode()
    for part in (
        'name="c_base_url"',
        'name="c_token"',
        'data-only-if="c_auth"',
        "How the portal shows the service who calls",
        'type="password"',
    ):
        assert part in content, part


def test_it_is_created_and_its_secrets_are_never_rendered(browser: Client, alice: User) -> None:
    response = browser.post(
        reverse(ADD) + "?type=http", form(owner="user:alice", metadata='{"a": 1}', quota_limit="7", sla_availability="99.5")
    )
    row = stored()
    assert response["Location"] == page(row)
    assert (row.credentials, row.owner_id, row.metadata, row.quota_limit) == ({"token": TOKEN}, owner_of(alice).id, {"a": 1}, 7)
    assert row.config["base_url"] == "https://api.example.com/v1"
    content = browser.get(page(row)).content.decode()
    assert TOKEN not in content
    assert "kept as it is unless you enter a new one" in content
    assert "Test connection" in content


def test_errors_stand_beside_their_fields_all_at_once(browser: Client) -> None:
    sent = form(c_base_url="nonsense", c_token="", name="", metadata="[", quota_limit="0")
    response = browser.post(reverse(ADD) + "?type=http", sent)
    errors = response.context["adminform"].form.errors
    assert {"c_base_url", "name", "metadata", "quota_limit"} <= set(errors)
    assert set(browser.post(reverse(ADD) + "?type=http", form(c_token="")).context["adminform"].form.errors) == {"c_token"}
    assert not Integration.objects.exists()


def test_a_form_that_comes_back_does_not_show_the_secret(browser: Client) -> None:
    response = browser.post(reverse(ADD) + "?type=http", form(name=""))
    assert response.status_code == 200
    assert TOKEN not in response.content.decode()
    assert "Enter it again" in str(response.context["adminform"].form.errors["c_token"])


def test_a_stored_secret_that_need_not_be_there_can_be_removed(browser: Client) -> None:
    mail = {name: value for name, value in form(category="communication").items() if not name.startswith("c_")} | {
        "c_provider": "smtp", "c_from_address": "a@example.com", "c_host": "mail.example.com", "c_security": "starttls", "c_username": "me",
    }  # fmt: skip
    browser.post(reverse(ADD) + "?type=email", mail | {"c_password": TOKEN})
    without = mail | {"c_username": ""}
    refused = browser.post(page(stored()), without)
    assert "remove the password too" in str(refused.context["adminform"].form.errors["c_username"])
    assert '<input type="checkbox" name="c_password-remove">' in refused.content.decode()
    back = browser.post(page(stored()), without | {"c_host": "a b", "c_password-remove": "on"})
    assert '<input type="checkbox" name="c_password-remove" checked>' in back.content.decode()
    assert stored().credentials == {"password": TOKEN}
    browser.post(page(stored()), without | {"c_password-remove": "on"})
    assert (stored().credentials, "username" in stored().config) == ({}, False)


def test_a_change_without_a_secret_keeps_it(browser: Client, tracker: Integration, service: Service) -> None:
    browser.post(page(tracker), form(service.url, name="Renamed", c_token="", c_health_path="/up"))
    row = stored()
    assert (row.name, row.config["health_path"], row.credentials) == ("Renamed", "/up", {"token": TOKEN})
    assert row.owner_id == tracker.owner_id


def test_another_host_asks_for_the_secret_again(browser: Client, tracker: Integration) -> None:
    response = browser.post(page(tracker), form("https://evil.example.com", c_token=""))
    assert "entered again" in str(response.context["adminform"].form.errors["c_token"])
    assert stored().config["base_url"] == tracker.config["base_url"]
    browser.post(page(tracker), form("https://other.example.com", c_token=NEW))
    assert (stored().config["base_url"], stored().credentials) == ("https://other.example.com/", {"token": NEW})


def test_the_connection_is_tested(browser: Client, tracker: Integration, service: Service) -> None:
    service.says(http(200), http(500))
    assert "answered 200" in press(browser, tracker, "test")[0]
    assert "500" in press(browser, tracker, "test")[-1]
    assert list(HealthSample.objects.order_by("id").values_list("ok", "trigger")) == [(True, "manual"), (False, "manual")]


def test_credentials_are_rotated_after_a_test(browser: Client, tracker: Integration, service: Service) -> None:
    content = browser.get(page(tracker, "rotate")).content.decode()
    assert 'name="s_token"' in content
    assert TOKEN not in content
    service.says(http(401), http(200))
    refused = browser.post(page(tracker, "rotate"), {"s_token": NEW, "overlap_hours": "24"})
    assert "switch on “Store them untested”" in refused.content.decode()
    assert "send force" not in refused.content.decode()
    assert NEW not in refused.content.decode()
    assert "Enter it again" in refused.content.decode()
    assert stored().credentials == {"token": TOKEN}
    assert browser.post(page(tracker, "rotate"), {"s_token": NEW, "overlap_hours": "24"})["Location"] == page(tracker)
    assert (stored().credentials, stored().previous_credentials) == ({"token": NEW}, {"token": TOKEN})
    assert "Restore old credentials" in browser.get(page(tracker)).content.decode()
    press(browser, tracker, "restore-credentials")
    assert stored().credentials == {"token": TOKEN}


@pytest.mark.parametrize("sent", [{}, {"s_token": ""}, {"s_token": TOKEN}, {"s_token": NEW, "overlap_hours": "-1"}, {"s_token": "a\x00"}])
def test_a_wrong_rotation_is_shown_in_the_form(browser: Client, tracker: Integration, service: Service, sent: dict[str, str]) -> None:
    response = browser.post(page(tracker, "rotate"), sent)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert service.requests == []


def test_one_whose_connector_was_removed_is_shown_and_has_nothing_to_rotate(browser: Client, alice: User) -> None:
    row = make_integration(alice)
    Integration.objects.filter(pk=row.pk).update(type="gone")
    assert browser.get(page(row, "rotate")).status_code == 302
    assert browser.get(page(row)).status_code == 200
    assert "gone (removed)" in browser.get(reverse("admin:integrations_integration_changelist")).content.decode()


def test_the_breaker_is_shown_and_reset(browser: Client, tracker: Integration) -> None:
    assert "Reset breaker" not in browser.get(page(tracker)).content.decode()
    Circuit.objects.create(integration_id=tracker.pk, state="open", failures=7, hold_until=timezone.now(), last_error="it burns")
    content = browser.get(page(tracker)).content.decode()
    assert "it burns" in content
    assert "Reset breaker" in content
    press(browser, tracker, "reset-breaker")
    assert Circuit.objects.get().state == "closed"
    assert AuditEntry.objects.filter(action="reset-breaker").exists()


def test_it_is_switched_off_and_on(browser: Client, tracker: Integration) -> None:
    press(browser, tracker, "deactivate")
    assert stored().status == "inactive"
    assert "inactive" in browser.get(reverse("admin:integrations_integration_changelist")).content.decode()
    press(browser, tracker, "activate")
    assert stored().status == "active"


def test_it_is_deleted_and_a_refusal_is_said(browser: Client, tracker: Integration) -> None:
    endpoint = tracker.endpoints.create(name="get-issue", path="/issues")
    browser.post(page(tracker, "delete"), {"post": "yes"})
    assert "get-issue" in browser.get(page(tracker)).content.decode()
    endpoint.delete()
    browser.post(page(tracker, "delete"), {"post": "yes"})
    assert not Integration.objects.exists()


def test_an_auditor_sees_all_and_changes_nothing(tracker: Integration, auditor: User, log_in: Callable[[User], Client]) -> None:
    client = log_in(auditor)
    call = make_call(tracker)
    content = client.get(page(tracker)).content.decode()
    assert "token: set" in content
    for hidden in ("Test connection", "Rotate credentials", "Deactivate", "Save", TOKEN):
        assert hidden not in content, hidden
    assert client.get(reverse("admin:core_requestlog_change", args=[call.pk])).status_code == 200
    assert client.get(page(tracker, "rotate")).status_code == 403
    for button in ("test", "deactivate", "reset-breaker", "restore-credentials"):
        assert client.post(reverse("admin:integrations_integration_do", args=[tracker.pk, button])).status_code == 403
    assert client.post(page(tracker), form(name="x")).status_code == 403


def test_a_stranger_finds_nothing(tracker: Integration, charlie: User, log_in: Callable[[User], Client]) -> None:
    client = log_in(charlie)
    call = make_call(tracker)
    assert "tracker" not in client.get(reverse("admin:integrations_integration_changelist")).content.decode()
    assert "tracker" not in client.get(reverse("admin:core_requestlog_changelist")).content.decode()
    for url in (page(tracker), page(tracker, "rotate"), reverse("admin:core_requestlog_change", args=[call.pk])):
        assert client.get(url).status_code == 302, url
    assert client.post(page(tracker, "rotate"), {"s_token": NEW}).status_code == 302
    assert stored().credentials == {"token": TOKEN}


def test_the_calls_are_filtered(browser: Client, things: SimpleNamespace, alice: User) -> None:
    other = make_integration(alice, "other")
    url = reverse("admin:core_requestlog_changelist")

    def found(**query: str) -> int:
        return len(browser.get(url, query).context["cl"].result_list)

    make_call(other, outcome="refused", purpose="check", status_code=None)
    assert (
        found(),
        found(integration=str(other.pk)),
        found(integration="x"),
        found(outcome="refused"),
        found(integration=str(other.pk), purpose="check"),
    ) == (
        4,
        2,
        0,
        1,
        1,
    )
    assert found(since="2020-01-01T00:00", until="2020-01-02T00:00") == 0
    assert found(integration=str(other.pk), outcome="unexpected") == 1


def test_a_call_is_shown_redacted_and_read_only(browser: Client, things: SimpleNamespace) -> None:
    url = reverse("admin:core_requestlog_change", args=[things.call.pk])
    content = browser.get(url).content.decode()
    for part in ("401", "Request headers", "Made for", "gateway call"):
        assert part in content
    assert browser.post(url).status_code == 403


def test_its_page_leads_to_what_uses_it_and_shows_its_id(browser: Client, alice: User, tracker: Integration, monkeypatch: Any) -> None:
    other = make_integration(alice, "other")
    for number in range(3):
        tracker.endpoints.create(name=f"e{number}", path="/x")
    other.endpoints.create(name="elsewhere", path="/x")
    hook = make_webhook(alice, "through-it", url="", integration=tracker)
    make_webhook(alice, "plain")
    shown = browser.get(page(tracker)).content.decode()
    endpoints, hooks = (
        f"{reverse(f'admin:{name}_changelist')}?integration={tracker.pk}" for name in ("integrations_endpoint", "webhooks_webhook")
    )
    assert f'href="{endpoints}"><b>3</b><small>endpoints that teams call<' in shown
    assert f'href="{hooks}"><b>1</b><small>webhook that sends through it<' in shown
    assert f'value="{tracker.pk}"' in shown
    assert [row.pk for row in browser.get(hooks).context["cl"].result_list] == [hook.pk]
    assert {row.name for row in browser.get(endpoints).context["cl"].result_list} == {"e0", "e1", "e2"}
    monkeypatch.setattr("integrations.admin.uses.MOST", 2)
    assert "<b>2+</b><small>endpoints that teams call<" in browser.get(page(tracker)).content.decode()


def test_the_audit_log_finds_an_integration_and_stays_narrow(browser: Client, tracker: Integration) -> None:
    response = browser.get(reverse("admin:access_auditentry_changelist"), {"q": str(tracker.pk)})
    (entry,) = response.context["cl"].result_list
    shown = response.content.decode()
    assert "integration …" in shown
    assert " more</span>" in shown
    assert str(tracker.pk) in browser.get(reverse("admin:access_auditentry_change", args=[entry.pk])).content.decode()
