"""Reports and comparisons from the admin: linked where findings are, downloaded in every format, and for nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.models import Repository
from scans.models import Scan
from scans.reports.answering import ReportFormat
from tests.factories import owner_of
from tests.scans.test_diffs import scanned
from tests.scans.test_uploads import shop as shop

pytestmark = [pytest.mark.django_db, pytest.mark.once]
LogIn = Callable[[User], Client]
EVIL = "<script>alert(1)</script>"


def test_a_report_is_linked_where_findings_are_and_downloaded_in_every_format(
    browser: Client, charlie: User, log_in: LogIn, shop: Repository
) -> None:
    scan = scanned(shop, "semgrep", "xss")
    page = reverse("admin:scans_finding_report")
    link = f"{page}?repository={shop.id}"
    places = [
        reverse("admin:integrations_repository_change", args=[shop.id]),
        reverse("admin:scans_scan_change", args=[scan.id]),
        f"{reverse('admin:scans_finding_changelist')}?q=acme/shop",
    ]
    assert [link in browser.get(place).content.decode() for place in places] == [True, True, True]
    assert link not in browser.get(reverse("admin:scans_finding_changelist")).content.decode()
    narrowed = browser.get(f"{places[2]}&severity=high%2B&state=all&kind=code&triage=x").content.decode()
    assert f"{link}&amp;state=all&amp;kind=code&amp;min_severity=high" in narrowed
    assert "acme/shop" in browser.get(link).content.decode()
    for format in ReportFormat:
        answer = browser.get(f"{link}&report_format={format}&ref=&kind=")
        assert (answer.status_code, len(answer.getvalue()) > 100) == (200, True)
        assert answer["Content-Disposition"].startswith('attachment; filename="acme-shop-main-findings-')
    wrong = browser.get(f"{link}&report_format=sarif&state=fixed").content.decode()
    assert "must be open for sarif" in wrong
    assert [browser.get(page).status_code, log_in(charlie).get(link).status_code] == [404, 404]


def test_a_scan_is_compared_with_the_one_before_unless_another_is_chosen(
    browser: Client, charlie: User, log_in: LogIn, shop: Repository
) -> None:
    one, two = scanned(shop, "semgrep", "old", EVIL), scanned(shop, "semgrep", "old", "new")
    url = reverse("admin:scans_scan_diff", args=[two.id])
    assert url in browser.get(reverse("admin:scans_scan_change", args=[two.id])).content.decode()
    answer = browser.get(url)
    assert (answer.context["chosen"], answer.context["totals"]) == (str(one.id), {"new": 1, "gone": 1, "unchanged": 1, "unscanned": 0})
    assert EVIL not in answer.content.decode()
    running = Scan.objects.create(repository=shop, ref="main")
    other = scanned(Repository.objects.create(provider="github", full_name="acme/other", owner=owner_of(charlie)), "semgrep", "x")
    assert "nothing is known of what was there" in browser.get(url, {"base": str(running.id)}).content.decode()
    assert "totals" not in browser.get(url, {"base": str(other.id)}).context
    assert log_in(charlie).get(url).status_code == 404
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as asked:
            browser.get(url)
        counts.append(len(asked))
        scanned(shop, "semgrep", *(f"r{number}" for number in range(20)))
    assert counts[0] == counts[1]
