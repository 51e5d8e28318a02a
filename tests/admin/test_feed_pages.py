"""The page of exploit feeds: what to do at first, a file that is refused beside its field, a refresh that is followed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core import work
from integrations.models import Integration
from repoguard.metrics_feeds import feed_metrics
from scans.feeds.running import work_off
from scans.models import FeedRun, FeedState, Finding
from tests.access.keys import client_of
from tests.factories import owner_of
from tests.scans.feeds_kit import LODASH, LOG4SHELL, OTHER, epss, kev, load
from tests.scans.kit import code, ingest, repository, vulnerable

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PAGE = "admin:scans_feedstate_changelist"


def shown(browser: Client) -> str:
    answer = browser.get(reverse(PAGE))
    assert answer.status_code == 200
    return answer.content.decode()


def send(browser: Client, feed: str, content: bytes, **more: str) -> str:
    data = {f"{feed}-file": SimpleUploadedFile("list", content), **{f"{feed}-{name}": value for name, value in more.items()}}
    return browser.post(reverse("admin:scans_feedstate_file", args=[feed]), data, follow=True).content.decode()


def test_an_empty_page_says_what_to_do_and_a_file_is_followed_to_its_end(browser: Client) -> None:
    first = shown(browser)
    assert "never read" in first
    assert "add/?type=epss" in first
    assert "Refresh now</button>" not in first
    today = timezone.now().date().isoformat()
    assert "is not JSON" in send(browser, "kev", b"<html>")
    assert not FeedRun.objects.exists()
    assert 'hx-trigger="every 2s"' in send(browser, "kev", kev(LOG4SHELL, OTHER, day=today))
    assert "is going on" in send(browser, "kev", kev(LOG4SHELL, OTHER, day=today))
    work.run_due(FeedRun, work_off)
    done = shown(browser)
    assert "up to date" in done
    assert "2 rows changed, 0 findings brought up to date" in done
    assert "data-live" not in done
    assert "less than half" in (send(browser, "kev", kev(LOG4SHELL)) and send(browser, "epss", epss()) and _shrunken(browser))
    FeedState.objects.filter(feed="kev").update(read_at=timezone.now() - timedelta(days=5), error="It broke.", failed_at=timezone.now())
    late = shown(browser)
    assert "It was read 5 days ago." in late
    assert "It broke. The stored list stays in use." in late
    assert {sample.labels["feed"] for metric in feed_metrics() for sample in metric.samples} == {"kev", "epss"}


def _shrunken(browser: Client) -> str:
    work.run_due(FeedRun, work_off)
    return send(browser, "epss", epss({LODASH: 0.5}))


def test_refresh_now_is_there_with_an_integration_and_for_admins_only(browser: Client, auditor: User, log_in: object) -> None:
    Integration.objects.create(
        name="Scores of FIRST", type="epss", category="security", config={"url": "https://e.example/", "file": "x.csv"}
    )
    assert "Refresh now</button>" in shown(browser)
    refresh = reverse("admin:scans_feedstate_refresh", args=["epss"])
    assert browser.post(refresh).status_code == 302
    assert browser.post(refresh).status_code == 302
    assert FeedRun.objects.get().integration is not None
    assert "Waits for a worker" in shown(browser)
    looks = log_in(auditor)  # type: ignore[operator]
    assert "Load a file" not in shown(looks)
    assert looks.post(refresh).status_code == 403


def test_findings_are_filtered_and_marked(browser: Client, alice: User) -> None:
    shop = repository(owner=owner_of(alice))
    ingest(shop, "grype", [vulnerable(LOG4SHELL, package="log4j-core"), vulnerable(LODASH, package="lodash")])
    ingest(shop, "semgrep", [code("xss", cwe=("CWE-79",)), code("sqli", mark="f" * 16, cwe=("CWE-89",))])
    load("epss", epss())
    load("kev", kev(LOG4SHELL))
    Finding.objects.filter(rule="sqli").update(opened_at=timezone.now() - timedelta(days=40))
    long_ago = (timezone.now() - timedelta(days=30)).isoformat().replace("+", "%2B")
    client = client_of(alice)

    def names(query: str) -> set[str]:
        return {one["package"] or one["rule"] for one in client.get(f"/api/v1/findings?{query}").json()["results"]}

    def listed(**query: str) -> set[str]:
        rows = browser.get(reverse("admin:scans_finding_changelist"), query).context["cl"].result_list
        return {row.package or row.rule for row in rows}

    assert names("known_exploited=true") == listed(exploited="yes") == {"log4j-core"}
    assert names("min_epss=0.5") == listed(epss="0.5") == {"log4j-core"}
    assert names("min_epss=0.01") == listed(epss="0.01") == {"log4j-core", "lodash"}
    assert names(f"cwe=CWE-79&repository={shop.id}") == listed(cwe="79", q="acme/shop") == {"xss"}
    assert listed(cwe="79") == listed(epss="x") == listed(age="x") == set()
    assert names("source=Grype") == listed(source="grype") == {"log4j-core", "lodash"}
    assert names("source=none") == set()
    assert names(f"opened_before={long_ago}") == listed(age="30") == {"sqli"}
    assert names(f"opened_after={long_ago}") == listed(age="<7") == {"log4j-core", "lodash", "xss"}
    assert listed(package="lodash") == {"lodash"}
    for query, field in (("cwe=79", "cwe"), (f"cwe=x&repository={shop.id}", "cwe"), ("min_epss=7", "min_epss")):
        answer = client.get(f"/api/v1/findings?{query}")
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
    one = client.get("/api/v1/findings?known_exploited=true").json()["results"][0]
    assert (one["known_exploited"], one["exploited_due"], one["epss"]) == (True, "2021-12-24", 0.94358)
    page = browser.get(reverse("admin:scans_finding_change", args=[one["id"]])).content.decode()
    for text in ("known exploited</span>", "EPSS 0.94</span>", "since 2021-12-10 (Apache Log4j2), and used by ransomware"):
        assert text in page
    assert "known exploited</span>" in browser.get(reverse("admin:scans_finding_changelist")).content.decode()
