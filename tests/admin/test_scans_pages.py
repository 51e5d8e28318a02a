"""Findings, scans and policies in the admin: what counts comes first, names find, and people decide through forms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from access.models import AuditEntry
from integrations.models import Repository
from scans.models import Finding, FindingIdentifier, Policy, RiskAcceptance
from tests.access.keys import client_of
from tests.factories import owner_of
from tests.scans.kit import code, ingest, vulnerable
from tests.scans.test_uploads import run, sarif, upload

pytestmark = [pytest.mark.django_db, pytest.mark.once]
LIST = "admin:scans_finding_changelist"
LogIn = Callable[[User], Client]


@pytest.fixture
def shop(alice: User) -> Repository:
    return Repository.objects.create(provider="github", full_name="acme/shop", owner=owner_of(alice))


@pytest.fixture
def finding(shop: Repository) -> Finding:
    ingest(shop, "semgrep", [code("sql-injection")])
    return Finding.objects.get()


def found(client: Client, **query: str) -> set[str]:
    answer = client.get(reverse(LIST), query)
    assert answer.status_code == 200
    return {row.package or row.rule for row in answer.context["cl"].result_list}


def page(name: str, row: Any) -> str:
    return reverse(f"admin:{name}", args=[row.pk])


def test_it_shows_what_counts_and_finds_the_rest_by_filters(browser: Client, shop: Repository) -> None:
    ingest(shop, "semgrep", [code("gone")])
    ingest(shop, "semgrep", [code("xss"), code("weak", mark="f" * 16, severity="low")])
    ingest(shop, "semgrep", [code("later", path="b.py")], ref="topic")
    assert found(browser) == {"xss", "weak"}
    assert (found(browser, state="fixed"), found(browser, state="branch")) == ({"gone"}, {"later"})
    assert found(browser, state="all") == {"xss", "weak", "gone", "later"}
    assert (found(browser, severity="low"), found(browser, severity="medium+"), found(browser, severity="x")) == ({"weak"}, {"xss"}, set())
    Finding.objects.filter(rule="xss").update(triage="accepted")
    Finding.objects.filter(rule="weak").update(suppressed=True)
    assert found(browser) == set()
    assert (found(browser, triage="accepted"), found(browser, triage="suppressed")) == ({"xss"}, {"weak"})
    assert found(browser, triage="all") == {"xss", "weak"}


def test_it_finds_by_each_name_in_full(browser: Client, shop: Repository, alice: User, charlie: User, log_in: LogIn) -> None:
    other = Repository.objects.create(provider="github", full_name="acme/other", owner=owner_of(alice))
    babel = vulnerable("CVE-2023-45133", "GHSA-67hx-6x53-jw92", package="@babel/traverse")
    ingest(shop, "trivy", [babel, vulnerable("CVE-2020-8203")])
    ingest(shop, "semgrep", [code("xss")])
    ingest(other, "semgrep", [code("elsewhere")])
    assert FindingIdentifier.objects.filter(value="CVE-2023-45133").exists()
    assert found(browser, q="acme/shop") == {"@babel/traverse", "lodash", "xss"}
    for name in ("cve-2023-45133", "GHSA-67HX-6x53-jw92", "@babel/traverse", "acme/shop @babel/traverse"):
        assert found(browser, q=name) == {"@babel/traverse"}, name
    assert found(browser, q="acme/shop xss") == {"xss"}
    assert found(browser, q=str(Finding.objects.get(rule="elsewhere").pk)) == {"elsewhere"}
    assert found(browser, q="acme/other CVE-2020-8203") == set()
    assert "at most 4" in browser.get(reverse(LIST), {"q": "acme/shop " * 5}).content.decode()
    assert "names no repository" in browser.get(reverse(LIST), {"q": "nosuch"}).content.decode()
    stranger = log_in(charlie)
    for name in ("lodash", "CVE-2020-8203", "acme/shop"):  # nobody learns from the answer what others have
        assert "names no repository" in stranger.get(reverse(LIST), {"q": name}).content.decode(), name


def test_a_risk_is_accepted_until_a_day_and_taken_back(alice: User, log_in: LogIn, finding: Finding) -> None:
    client, url = log_in(alice), page("scans_finding_decide", finding)
    day = (timezone.now() + timedelta(days=30)).date()
    answer = client.post(url, {"triage": "accepted", "reason": " Not <b>reachable</b>. ", "expires_at": day.isoformat()})
    assert (answer.status_code, answer["Location"]) == (302, page("scans_finding_change", finding))
    decision = RiskAcceptance.objects.get()
    assert (decision.triage, decision.reason, decision.decided_by) == ("accepted", "Not <b>reachable</b>.", "user alice")
    assert decision.expires_at == datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)
    assert AuditEntry.objects.filter(object_id=str(finding.pk)).exists()
    shown = client.get(page("scans_finding_change", finding)).content.decode()
    assert ("Not &lt;b&gt;reachable&lt;/b&gt;." in shown, "Take the decision back" in shown, found(client)) == (True, True, set())
    client.post(reverse("admin:scans_finding_do", args=[finding.pk, "take-back"]))
    finding.refresh_from_db()
    assert (finding.triage, found(client)) == ("", {"sql-injection"})
    assert "Take the decision back" not in client.get(page("scans_finding_change", finding)).content.decode()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"triage": "ignored", "reason": "  "}, "reason"),
        ({"triage": "nonsense", "reason": "x"}, "triage"),
        ({"triage": "ignored", "reason": "x", "expires_at": "2020-01-01"}, "expires_at"),
        ({"triage": "ignored", "reason": "x", "expires_at": "soon"}, "expires_at"),
        ({"triage": "ignored", "reason": "x" * 2001}, "reason"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(browser: Client, finding: Finding, values: dict[str, str], field: str) -> None:
    answer = browser.post(page("scans_finding_decide", finding), values)
    assert (answer.status_code, list(answer.context["form"].errors)) == (200, [field])
    assert 'class="rg-field-error"' in answer.content.decode()
    assert not RiskAcceptance.objects.exists()


def test_only_those_who_may_decide(auditor: User, charlie: User, log_in: LogIn, finding: Finding) -> None:
    values = {"triage": "ignored", "reason": "x"}
    client = log_in(auditor)
    assert 'name="triage"' not in client.get(page("scans_finding_change", finding)).content.decode()
    assert client.post(page("scans_finding_decide", finding), values).status_code == 403
    assert client.post(reverse("admin:scans_finding_do", args=[finding.pk, "take-back"])).status_code == 403
    assert log_in(charlie).post(page("scans_finding_decide", finding), values).status_code in (302, 403)
    assert not RiskAcceptance.objects.exists()


def test_only_sure_addresses_become_links(browser: Client, finding: Finding) -> None:
    names = [["CVE", "CVE-2020-8203"], ["GHSA", "GHSA-p6mc-m468-83gw"], ["CVE", "../../evil"], ["SNYK", "SNYK-JS-LODASH-567746"]]
    Finding.objects.update(identifiers=names, url="javascript:alert(1)", title='"><img src=x onerror=y>', path="<i>a.py")
    shown = browser.get(page("scans_finding_change", finding)).content.decode()
    assert 'href="https://nvd.nist.gov/vuln/detail/CVE-2020-8203"' in shown
    assert 'href="https://github.com/advisories/GHSA-p6mc-m468-83gw"' in shown
    assert "SNYK-JS-LODASH-567746" in shown
    for text in ('href="javascript', "detail/../", "<img", "<i>a.py"):
        assert text not in shown, text
    listed = browser.get(reverse(LIST)).content.decode()
    assert ("<img" in listed, "<i>a.py" in listed) == (False, False)


def test_a_finding_without_a_title_can_be_opened(browser: Client, finding: Finding) -> None:
    Finding.objects.update(title="", rule="")
    listed = browser.get(reverse(LIST)).content.decode()
    assert "(its scanner gave no title)</a>" in " ".join(listed.split()).replace(" </a>", "</a>")
    assert "(its scanner gave no title)" in browser.get(page("scans_finding_change", finding)).content.decode()


def test_a_scan_says_what_broke_the_gate(alice: User, log_in: LogIn, shop: Repository) -> None:
    upload(client_of(alice), sarif("xss"), commit="1" * 40)
    client = log_in(alice)
    scans = reverse("admin:scans_scan_changelist")
    queued = client.get(scans).context["cl"].result_list[0]
    assert "hx-get" in client.get(page("scans_scan_live", queued)).content.decode()
    run()
    shown = client.get(page("scans_scan_change", queued)).content.decode()
    assert "no new findings of severity high or worse" in shown
    assert f'href="{page("scans_finding_change", Finding.objects.get())}"' in shown
    assert ">broken<" in shown
    assert "hx-get" not in client.get(page("scans_scan_live", queued)).content.decode()
    for query, count in (("acme/shop", 1), (f"acme/shop {'1' * 40}", 1), (f"acme/shop {'2' * 40}", 0), ("nosuch", 0), (str(queued.pk), 1)):
        assert len(client.get(scans, {"q": query}).context["cl"].result_list) == count, query


def conditions(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"conditions-TOTAL_FORMS": len(rows), "conditions-INITIAL_FORMS": 0} | {
        f"conditions-{number}-{name}": value
        for number, row in enumerate(rows)
        for name, value in ({"severity": "high", "most": 0} | row).items()
    }


def test_a_policy_is_made_and_changed_in_rows(alice: User, log_in: LogIn, shop: Repository) -> None:
    client, add = log_in(alice), reverse("admin:scans_policy_add")
    rows = conditions({"among": ""}, {"among": "all", "severity": "critical", "kinds": ["code"]}, {"among": "new", "most": 3})
    answer = client.post(add, {"name": "Ours", "repository": "acme/shop", **rows})
    policy = Policy.objects.get()
    assert (answer.status_code, answer["Location"], policy.repository_id) == (302, page("scans_policy_change", policy), shop.pk)
    assert [one["most"] for one in policy.conditions] == [0, 3]
    shown = client.get(page("scans_policy_change", policy)).content.decode()
    assert ("no critical findings (code)" in shown, "at most 3 new findings of severity high or worse" in shown) == (True, True)
    client.post(page("scans_policy_change", policy), {"name": "Ours", **conditions({"among": "", "severity": "low"}, {"among": "new"})})
    policy.refresh_from_db()
    assert (len(policy.conditions), policy.version) == (1, 2)
    client.post(page("scans_policy_delete", policy), {"post": "yes"})
    assert not Policy.objects.exists()


def test_a_wrong_policy_is_explained_beside_its_field(alice: User, browser: Client, log_in: LogIn, shop: Repository) -> None:
    client, add = log_in(alice), reverse("admin:scans_policy_add")
    for values, wrong in (({"repository": ""}, "repository"), ({"repository": "acme/none"}, "repository"), ({"name": " "}, "name")):
        answer = client.post(add, {"name": "Ours", "repository": "acme/shop", **conditions({"among": "new"}), **values})
        assert list(answer.context["form"].errors) == [wrong], values
    rows = conditions({"among": ""}, {"among": "new", "most": 5_000_000})
    answer = client.post(add, {"name": "Ours", "repository": "acme/shop", **rows})
    assert answer.context["rows"].errors == [{}, {"most": ["Must be a whole number from 0 to 1000000."]}]
    assert client.post(add, {"name": "x", "repository": "acme/shop", "conditions-TOTAL_FORMS": "z"}).status_code == 200
    assert not Policy.objects.exists()
    every = {"name": "All", "repository": "", **conditions({"among": "new"})}
    assert browser.post(add, every).status_code == 302  # an admin makes the default one, once
    assert "default policy already" in str(browser.post(add, every).context["form"].errors["repository"])
    assert page("scans_policy_change", Policy.objects.get()) not in client.get(reverse("admin:scans_policy_changelist")).content.decode()


def test_a_policy_is_tried_before_it_is_saved(alice: User, log_in: LogIn, shop: Repository) -> None:
    upload(client_of(alice), sarif("xss"), commit="1" * 40)
    run()
    client, add = log_in(alice), reverse("admin:scans_policy_add")
    assert 'name="sla_critical" value="7"' in client.get(add).content.decode()
    row = {"among": "all", "severity": "low", "over_sla": "on", "min_epss": "", "since": ""}
    values = {"name": "Ours", "repository": "acme/shop", "sla_high": "30", **conditions(row)}
    shown = client.post(add, {**values, "try": "1"}).content.decode()
    assert "Of the last scan, 1 would have passed; 0 did. 1 that failed would have passed." in shown
    assert "then: no new findings of severity high or worse: found 1" in shown
    assert not Policy.objects.exists()
    client.post(add, values)
    policy = Policy.objects.get()
    assert (policy.sla_days, policy.conditions[0]["over_sla"]) == ({"high": 30}, True)
    assert "no findings of severity low or worse past their days to fix" in client.get(page("scans_policy_change", policy)).content.decode()
    wrong = {**values, "sla_high": "", **conditions(row | {"over_sla": "", "since": "2026-11-01"})}
    answer = client.post(page("scans_policy_change", policy), wrong)
    assert list(answer.context["rows"].errors[0]) == ["since"]
    answer = client.post(page("scans_policy_change", policy), {**values, "sla_high": "", "conditions-INITIAL_FORMS": 1})
    assert "where a condition looks at what is past them" in answer.content.decode()
    finding = Finding.objects.get()
    assert f"{finding.opened_at + timedelta(days=30):%Y-%m-%d}" in client.get(page("scans_finding_change", finding)).content.decode()
