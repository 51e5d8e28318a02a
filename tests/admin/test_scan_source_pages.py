"""Scan sources on their page, and the buttons that start and cancel scans."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from access.models import AuditEntry
from core.http.door import Throttled
from integrations.models import Integration, Repository, RepositorySource
from scans.models import Scan
from tests.factories import RepositoryFactory, owner_of
from tests.scans.kit import code
from tests.scans.source_kit import go_on, install, integration, linked, says

pytestmark = pytest.mark.once

ADD = reverse("admin:integrations_repositorysource_add")


@pytest.fixture
def shop(alice: User) -> Repository:
    return RepositoryFactory(owner=owner_of(alice))


@pytest.fixture
def by(alice: User, monkeypatch: pytest.MonkeyPatch) -> Integration:
    says(scanner := install(monkeypatch), [code()], [code("other")])
    scanner.stops[1] = Throttled("Wait for me.", retry_after=1800)
    return integration(owner=owner_of(alice))


def test_a_source_is_added_changed_and_removed(
    shop: Repository, by: Integration, alice: User, charlie: User, log_in: Callable[[User], Client]
) -> None:
    theirs = integration("Of charlie", owner=owner_of(charlie))
    browser = log_in(alice)
    page = browser.get(f"{ADD}?repository={shop.pk}").content.decode()
    assert f'<option value="{shop.pk}" selected>' in page
    assert "Of charlie" not in page
    values = {"repository": shop.pk, "integration": by.pk, "scan_on_push": "on", "every_hours": "6"}
    assert browser.post(ADD, values | {"integration": theirs.pk}).status_code == 200
    assert browser.post(ADD, values).status_code == 302
    source = RepositorySource.objects.get()
    assert (source.integration_id, source.scan_on_push, source.scan_on_alert, source.every_hours) == (by.pk, True, False, 6)
    assert "scans this repository already" in browser.post(ADD, values).content.decode().lower()
    change = reverse("admin:integrations_repositorysource_change", args=[source.pk])
    assert browser.post(change, {"every_hours": ""}).status_code == 302
    source.refresh_from_db()
    assert (source.integration_id, source.scan_on_push, source.every_hours) == (by.pk, False, None)
    assert log_in(charlie).get(change).status_code in (302, 403)
    assert browser.post(reverse("admin:integrations_repositorysource_delete", args=[source.pk]), {"post": "yes"}).status_code == 302
    assert list(AuditEntry.objects.filter(object_type="repositorysource").order_by("id").values_list("verb", flat=True)) == [
        "created", "changed", "deleted",
    ]  # fmt: skip


def test_buttons_start_a_scan_and_cancel_it_and_the_page_tells_how_far_it_is(
    shop: Repository, by: Integration, alice: User, auditor: User, log_in: Callable[[User], Client]
) -> None:
    browser = log_in(alice)
    page = reverse("admin:integrations_repository_change", args=[shop.pk])
    assert "Scan now" not in browser.get(page).content.decode()
    linked(shop, by)
    assert "Scan now" in browser.get(page).content.decode()
    assert "Scan now" in browser.get(reverse("admin:integrations_integration_change", args=[by.pk])).content.decode()
    assert "Scan now" not in log_in(auditor).get(page).content.decode()
    assert log_in(auditor).post(reverse("admin:integrations_repository_do", args=[shop.pk, "scan"])).status_code == 403
    for where in ("integrations_repository", "integrations_integration"):
        key = shop.pk if where == "integrations_repository" else by.pk
        answer = browser.post(reverse(f"admin:{where}_do", args=[key, "scan"]), follow=True)
        assert "One scan is queued" in answer.content.decode()
    scan = Scan.objects.get()
    assert (scan.trigger, scan.ref, scan.started_by) == ("manual", "main", "user alice")
    go_on()
    content = browser.get(reverse("admin:scans_scan_change", args=[scan.pk])).content.decode()
    assert "Wait for me." in content
    assert "findings read so far of 2, 1 page" in content
    assert "Next try" in content
    assert "1 of 2" in browser.get(reverse("admin:scans_scan_changelist")).content.decode()
    browser.post(reverse("admin:scans_scan_do", args=[scan.pk, "cancel"]))
    scan.refresh_from_db()
    assert (scan.status, scan.error) == ("failed", "Cancelled by user alice.")
    assert "do/cancel" not in browser.get(reverse("admin:scans_scan_change", args=[scan.pk])).content.decode()
    Scan.objects.update(complete=False)  # a source that tells changes found none, and what it reported earlier is still there
    assert "0 changed" in browser.get(reverse("admin:scans_scan_changelist")).content.decode()
