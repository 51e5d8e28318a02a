"""Every page as every role: it opens, it hides what it should, it escapes, it costs the same with more rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib import admin as django_admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from access.admin_base.base import LogAdmin
from access.models import AuditEntry
from core import runtime
from tests.admin.conftest import (
    EVIL,
    make_build,
    make_call,
    make_delivery,
    make_finding,
    make_health,
    make_integration,
    make_inventory,
    make_key,
    make_payload_template,
    make_template,
    make_webhook,
)
from tests.factories import RepositoryFactory
from webhooks.models import WebhookDelivery

OK, NO = 200, 403
LISTS = {
    "scans_finding": (OK, OK, OK),
    "scans_scan": (OK, OK, OK),
    "scans_inventory": (OK, OK, OK),
    "scans_policy": (OK, OK, OK),
    "scans_feedstate": (OK, NO, OK),
    "builds_build": (OK, OK, OK),
    "builds_buildimport": (OK, OK, OK),
    "builds_analysis": (OK, OK, OK),
    "templates_app_integrationtemplate": (OK, OK, OK),
    "templates_app_payloadtemplate": (OK, OK, OK),
    "core_requestlog": (OK, OK, OK),
    "integrations_endpoint": (OK, OK, OK),
    "integrations_integration": (OK, OK, OK),
    "integrations_integrationhealth": (OK, OK, OK),
    "webhooks_webhook": (OK, OK, OK),
    "webhooks_inboundsource": (OK, OK, OK),
    "webhooks_inboundbackfill": (OK, OK, OK),
    "webhooks_receipt": (OK, OK, OK),
    "webhooks_replay": (OK, OK, OK),
    "webhooks_webhookdelivery": (OK, OK, OK),
    "core_event": (OK, OK, OK),
    "integrations_repository": (OK, OK, OK),
    "integrations_repositorysource": (OK, OK, OK),
    "access_apikey": (OK, OK, OK),
    "access_auditentry": (OK, OK, OK),
    "auth_user": (OK, NO, NO),
    "auth_group": (OK, NO, NO),
    "axes_accessattempt": (OK, NO, OK),
    "core_worker": (OK, NO, OK),
    "core_housekeeping": (OK, NO, OK),
}
ADDS = {
    "scans_finding": (NO, NO, NO),
    "scans_scan": (NO, NO, NO),
    "scans_inventory": (NO, NO, NO),
    "scans_policy": (OK, OK, NO),
    "scans_feedstate": (NO, NO, NO),
    "builds_build": (NO, NO, NO),
    "builds_buildimport": (OK, OK, NO),
    "builds_analysis": (NO, NO, NO),
    "templates_app_integrationtemplate": (OK, OK, NO),
    "templates_app_payloadtemplate": (OK, OK, NO),
    "core_requestlog": (NO, NO, NO),
    "integrations_endpoint": (OK, OK, NO),
    "integrations_integration": (OK, OK, NO),
    "integrations_integrationhealth": (NO, NO, NO),
    "webhooks_webhook": (OK, OK, NO),
    "webhooks_inboundsource": (OK, OK, NO),
    "webhooks_inboundbackfill": (NO, NO, NO),
    "webhooks_receipt": (NO, NO, NO),
    "webhooks_replay": (NO, NO, NO),
    "webhooks_webhookdelivery": (NO, NO, NO),
    "core_event": (NO, NO, NO),
    "integrations_repository": (OK, OK, NO),
    "integrations_repositorysource": (OK, OK, NO),
    "access_apikey": (OK, OK, NO),
    "access_auditentry": (NO, NO, NO),
    "auth_user": (OK, NO, NO),
    "auth_group": (OK, NO, NO),
    "core_worker": (NO, NO, NO),
    "core_housekeeping": (NO, NO, NO),
    "core_runtimesettings": (NO, NO, NO),
}
LOGS = (
    "webhooks_webhookdelivery",
    "webhooks_receipt",
    "webhooks_inboundbackfill",
    "core_event",
    "access_auditentry",
    "core_requestlog",
    "builds_build",
    "builds_buildimport",
    "scans_finding",
    "scans_scan",
)


# what a role sees is decided before the database is asked: on PostgreSQL the admin, who sees most, is enough
_ONCE = pytest.mark.once


@pytest.fixture(params=[0, pytest.param(1, marks=_ONCE), pytest.param(2, marks=_ONCE)], ids=["admin", "integrator", "auditor"])
def role(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def page_browser(role: int, admin: User, alice: User, auditor: User, log_in: Callable[[User], Client]) -> Client:
    return log_in((admin, alice, auditor)[role])


def _change_pages(things: SimpleNamespace) -> dict[str, tuple[object, tuple[int, int, int]]]:
    return {
        "scans_finding": (things.finding.pk, (OK, OK, OK)),
        "scans_scan": (things.scan.pk, (OK, OK, OK)),
        "scans_inventory": (things.inventory.pk, (OK, OK, OK)),
        "scans_policy": (things.policy.pk, (OK, OK, OK)),
        "builds_build": (things.build.pk, (OK, OK, OK)),
        "builds_buildimport": (things.build_import.pk, (OK, OK, OK)),
        "builds_analysis": (things.analysis.pk, (OK, OK, OK)),
        "templates_app_integrationtemplate": (things.template.pk, (OK, OK, OK)),
        "templates_app_payloadtemplate": (things.payload_template.pk, (OK, OK, OK)),
        "core_requestlog": (things.call.pk, (OK, OK, OK)),
        "integrations_endpoint": (things.endpoint.pk, (OK, OK, OK)),
        "integrations_integration": (things.integration.pk, (OK, OK, OK)),
        "integrations_integrationhealth": (things.health.pk, (OK, OK, OK)),
        "webhooks_webhook": (things.webhook.pk, (OK, OK, OK)),
        "webhooks_inboundsource": (things.receipt.source_id, (OK, OK, OK)),
        "webhooks_inboundbackfill": (things.backfill.pk, (OK, OK, OK)),
        "webhooks_receipt": (things.receipt.pk, (OK, OK, OK)),
        "webhooks_replay": (things.replay.pk, (OK, OK, OK)),
        "webhooks_webhookdelivery": (things.delivery.pk, (OK, OK, OK)),
        "core_event": (things.event.pk, (OK, OK, OK)),
        "integrations_repository": (things.repository.pk, (OK, OK, OK)),
        "integrations_repositorysource": (things.source.pk, (OK, OK, OK)),
        "access_apikey": (things.key.pk, (OK, OK, OK)),
        "access_auditentry": (AuditEntry.objects.filter(object_type="webhook").latest("id").pk, (OK, OK, OK)),
        "core_housekeeping": (things.housekeeping.pk, (OK, NO, OK)),
        "core_runtimesettings": (1, (OK, NO, OK)),
        "core_worker": (things.worker.pk, (OK, NO, OK)),
        "auth_group": (things.team.pk, (OK, NO, NO)),
        "auth_user": (User.objects.get(username="alice").pk, (OK, NO, NO)),
    }


def test_it_knows_a_page_of_every_registered_model() -> None:
    registered = {f"{model._meta.app_label}_{model._meta.model_name}" for model in django_admin.site._registry}
    assert registered == set(LISTS) | set(ADDS)


def test_it_registers_nothing_that_runs_code() -> None:
    assert not [model for model in django_admin.site._registry if model._meta.app_label == "django_q"]
    assert apps.get_model("django_q", "Schedule") not in django_admin.site._registry


def test_it_opens_every_list_as_each_role(things: SimpleNamespace, page_browser: Client, role: int) -> None:
    AccessAttempt.objects.create(username="mallory", ip_address="203.0.113.9", failures_since_start=5, attempt_time=timezone.now())
    found = {name: page_browser.get(reverse(f"admin:{name}_changelist")).status_code for name in LISTS}
    assert found == {name: expected[role] for name, expected in LISTS.items()}


def test_it_opens_every_add_form_as_each_role(things: SimpleNamespace, page_browser: Client, role: int) -> None:
    found = {name: page_browser.get(reverse(f"admin:{name}_add")).status_code for name in ADDS}
    assert found == {name: expected[role] for name, expected in ADDS.items()}


def test_it_opens_every_object_as_each_role(things: SimpleNamespace, page_browser: Client, role: int) -> None:
    pages = _change_pages(things)
    found = {name: page_browser.get(reverse(f"admin:{name}_change", args=[key])).status_code for name, (key, _) in pages.items()}
    assert found == {name: expected[role] for name, (_, expected) in pages.items()}


def test_it_opens_the_pages_that_belong_to_no_table(things: SimpleNamespace, page_browser: Client) -> None:
    assert page_browser.get(reverse("admin:index")).status_code == OK
    assert b"repository.pushed" in page_browser.get(reverse("admin:event_types")).content
    assert page_browser.get(reverse("admin:search"), {"s": "webhook"}).status_code == OK
    assert page_browser.get(reverse("admin:app_list", args=["webhooks"])).status_code == OK
    assert page_browser.get(reverse("admin:search"), {"s": "webhook", "page": "x"}).status_code == 404


@_ONCE
def test_it_escapes_what_others_wrote(things: SimpleNamespace, browser: Client) -> None:
    pages = [reverse(f"admin:{name}_change", args=[key]) for name, (key, _) in _change_pages(things).items()]
    for url in [reverse("admin:index"), *pages, *(reverse(f"admin:{name}_changelist") for name in LISTS)]:
        assert EVIL not in browser.get(url).content.decode(), url


@_ONCE
def test_it_shows_a_stranger_nothing(things: SimpleNamespace, charlie: User, log_in: Callable[[User], Client]) -> None:
    client = log_in(charlie)
    for name, (key, _) in _change_pages(things).items():
        response = client.get(reverse(f"admin:{name}_change", args=[key]))
        assert response.status_code in (302, NO), name
    client = log_in(charlie)  # without the messages that name what was asked for
    for name in LISTS:
        content = client.get(reverse(f"admin:{name}_changelist")).content.decode()
        assert "alert(1)" not in content, name
        assert str(things.webhook.pk) not in content, name
    assert "alert(1)" not in client.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize("name", sorted(set(LISTS) | {"core_runtimesettings"}))
def test_it_answers_unknown_ids_without_a_fault(browser: Client, name: str) -> None:
    for key in ("01a20000-0000-7000-8000-000000000000", "no-such-thing", "1e9", "%00", "9" * 40):
        for page in ("history", "delete", "change"):
            url = reverse(f"admin:{name}_{page}", args=["KEY"]).replace("KEY", key)
            assert browser.get(url).status_code in (302, 403, 404), url
        assert browser.get(f"{url}?_to_field=").status_code in (302, 403, 404), url
        assert browser.post(reverse(f"admin:{name}_do", args=["KEY", "test"]).replace("KEY", key)).status_code in (302, 403, 404)


@pytest.mark.parametrize(
    "query", ["?q=%00", "?q=x&after=zzz", "?before=1", "?since=nonsense&until=99999", "?status=x&webhook=y", "?p=zz", "?e=1", "?o=9.-9"]
)
def test_it_answers_nonsense_in_the_address_without_a_fault(things: SimpleNamespace, browser: Client, query: str) -> None:
    for name in LISTS:
        response = browser.get(reverse(f"admin:{name}_changelist") + query)
        assert response.status_code in (200, 302), (name, query)


@pytest.mark.parametrize("name", sorted(set(LISTS) - {"scans_feedstate"}))  # a page, and no list with filters
def test_it_leaves_out_what_no_database_can_look_for(things: SimpleNamespace, browser: Client, name: str) -> None:
    url = reverse(f"admin:{name}_changelist")
    everything = browser.get(url).context["cl"]
    filters = [parameter for spec in everything.bar_filters for parameter in spec.expected_parameters()]
    parameters = [*filters, "q", "o", "p", "after", "before", "id__exact", "a%00b"]
    response = browser.get(f"{url}?{'&'.join(f'{parameter}=a%00b' for parameter in parameters)}")
    assert response.status_code == 200
    assert "left out" in response.content.decode()
    assert response.context["cl"].result_count == everything.result_count


@pytest.mark.parametrize("name", LOGS)
def test_it_counts_no_log(things: SimpleNamespace, browser: Client, name: str) -> None:
    url = reverse(f"admin:{name}_changelist")
    for query in ("", "?since=2026-01-01T00:00", "?q=alice", f"?q={uuid.uuid4()}"):
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(url + query).status_code == 200
        assert not [entry["sql"] for entry in queries if "COUNT(" in entry["sql"].upper()], name


def test_it_counts_no_deliveries_on_the_dashboard_and_the_detail(things: SimpleNamespace, browser: Client) -> None:
    urls = [reverse("admin:index"), reverse("admin:webhooks_webhookdelivery_change", args=[things.delivery.pk])]
    for url in [*urls, reverse("admin:core_event_change", args=[things.event.pk])]:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(url).status_code == 200
        counted = [entry["sql"] for entry in queries if "COUNT(" in entry["sql"].upper()]
        logs = ("webhooks_webhookdelivery", "webhooks_deliveryattempt", "core_event", "access_auditentry")
        assert not [sql for sql in counted if any(f'FROM "{table}"' in sql for table in logs)], url


def _statements(client: Client, urls: list[str]) -> dict[str, int]:
    found = {}
    for url in urls:
        client.get(url)
        runtime.forget()  # the settings are read once in five seconds: now, on every page
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200, url
        found[url] = len(queries)
    return found


# an auditor's rows are the admin's
@pytest.mark.parametrize("role", [0, pytest.param(1, marks=_ONCE)], ids=["admin", "integrator"], indirect=True)
def test_it_takes_as_many_statements_for_many_rows_as_for_few(
    things: SimpleNamespace, page_browser: Client, role: int, alice: User
) -> None:
    urls = [reverse(f"admin:{name}_changelist") for name, expected in LISTS.items() if expected[role] == OK]
    urls += [reverse("admin:index"), reverse("admin:webhooks_webhook_change", args=[things.webhook.pk])]
    urls += [reverse("admin:integrations_integrationhealth_change", args=[things.health.pk])]
    urls += [reverse("admin:integrations_integration_change", args=[things.integration.pk])]
    urls += [reverse("admin:scans_finding_change", args=[things.finding.pk])]
    urls += [reverse("admin:scans_scan_change", args=[things.scan.pk])]
    urls += [reverse("admin:core_requestlog_change", args=[things.call.pk])]
    urls += [reverse("admin:integrations_endpoint_change", args=[things.endpoint.pk])]
    urls += [
        reverse("admin:core_event_change", args=[things.event.pk]),
        reverse("admin:webhooks_webhookdelivery_change", args=[things.delivery.pk]),
    ]
    make_delivery(things.webhook, status="pending")  # rows of each kind, so that no statement is left out for want of them
    before = _statements(page_browser, urls)
    for number in range(4):
        hook = make_webhook(alice, f"more {number}")
        make_delivery(hook)
        WebhookDelivery.objects.create(webhook=hook, event=things.event, event_type="custom.thing", owner_id=hook.owner_id)
        make_key(alice, f"more {number}")
        RepositoryFactory(owner_id=hook.owner_id)
        make_health(alice, f"more {number}")
        make_template(alice, f"more {number}")
        make_payload_template(alice, f"more {number}")
        make_build(alice, f"more {number}")
        make_finding(RepositoryFactory(owner_id=hook.owner_id))
        make_inventory(RepositoryFactory(owner_id=hook.owner_id))
        make_finding(things.repository, things.scan, things.finding)
        make_integration(alice, f"more {number}")
        make_call(things.integration)
        User.objects.create_user(f"user-{number}").groups.add(things.team)
    assert _statements(page_browser, urls) == before


def test_it_pages_a_log_by_cursor(things: SimpleNamespace, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogAdmin, "list_per_page", 2)
    keys = [str(make_delivery(things.webhook).pk) for _ in range(4)][::-1]
    url = reverse("admin:webhooks_webhookdelivery_changelist")
    first = browser.get(url, {"status": "failed"}).context["cl"]
    assert [str(row.pk) for row in first.result_list] == keys[:2]
    assert first.previous_link is None
    second = browser.get(url + first.next_link).context["cl"]
    assert [str(row.pk) for row in second.result_list] == keys[2:]
    assert "status=failed" in second.next_link
    third = browser.get(url + second.next_link).context["cl"]
    assert third.next_link is None
    back = browser.get(url + third.previous_link).context["cl"]
    assert [str(row.pk) for row in back.result_list] == keys[2:]
    assert browser.get(url + back.previous_link).context["cl"].previous_link is None
