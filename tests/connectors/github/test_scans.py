"""Reading the alerts of a repository: products and refs, whole across pages and limits, and what can't be read said in words."""

from __future__ import annotations

import base64
import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from core.errors import OutboundError
from core.http import pauses
from core.http.client import Door
from core.http.door import BadAnswer, NoAuth, SignInFailed, Terms, Throttled
from core.models import CachedAnswer
from integrations.auth import HeaderAuth
from integrations.connectors.github.client import NotPermitted, NotThere
from integrations.connectors.github.connector import GitHub
from integrations.connectors.github.products import Product
from integrations.contract.connector import Context
from integrations.contract.reports import ReportedFinding, RepositoryRef
from integrations.contract.scans import PackageUsed, Problem, ScanPage, ScanQuery, Section
from tests.connectors.github.alerts_stub import SECRET, advisory, analysis, code_alert, dependabot_alert, secret_alert
from tests.connectors.github.stub import FULL_NAME, Stub, served_stub  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ID = uuid.uuid4()
CODEQL, DEPENDABOT = Section("codeql", "2", "/language:python"), Section("dependabot")
SECRETS, ADVISORIES = Section("github-secret-scanning"), Section("github-advisories")
OFF = (404, {"message": "Not Found"}, {})


def github(stub: Stub, *products: str, attempts: int = 1, auth: str = "token") -> GitHub:
    config = {"api_url": stub.url, "auth": auth} | ({"products": list(products)} if products else {})
    door = Door(
        Terms(ID, "GitHub", attempts=attempts, longest_wait=1, breaker_failures=0),
        HeaderAuth("Authorization", "t0ken", "Bearer") if auth == "token" else NoAuth(),
    )
    return GitHub(Context(ID, "x", config, {}, door))


def query(ref: str = "main", default: str = "main", packages: tuple[PackageUsed, ...] = ()) -> ScanQuery:
    return ScanQuery(RepositoryRef("github", FULL_NAME, default), ref, packages=packages)


def read(stub: Stub, *products: str, ref: str = "main", cursor: Mapping[str, Any] | None = None) -> Iterator[ScanPage]:
    for page in github(stub, *products).scan_pages(query(ref), cursor):
        assert json.loads(json.dumps(page.cursor)) == page.cursor
        yield page


def reported(pages: Iterable[ScanPage]) -> dict[Section, Counter[str]]:
    """Return by section what was reported how often; sections of other versions are the same."""
    found: dict[Section, Counter[str]] = {}
    section = None
    for item in itertools.chain.from_iterable(page.items for page in pages):
        if isinstance(item, Section):
            section = item
            found.setdefault(section, Counter())
        elif isinstance(item, ReportedFinding):
            assert section is not None
            found[section][item.source_id] += 1
    return found


def problems(pages: Iterable[ScanPage]) -> list[Problem]:
    return [item for page in pages for item in page.items if isinstance(item, Problem)]


def numbers(count: int, first: int = 1) -> Counter[str]:
    return Counter(str(number) for number in range(first, first + count))


def fill(stub: Stub, count: int = 250) -> dict[Section, Counter[str]]:
    """Give the stub alerts of all kinds, and return what is to be reported of them."""
    stub.security.dependabot = [dependabot_alert(number) for number in range(1, count + 1)]
    stub.security.code = [code_alert(number) for number in range(1, count + 1)]
    stub.security.secrets = [secret_alert(number) for number in range(1, count + 1)]
    stub.security.advisories = [advisory("GHSA-own0-own0-own0", ("shop", "< 2", ""), state="draft")]
    everything = numbers(count)
    return {DEPENDABOT: everything, CODEQL: everything, SECRETS: everything, ADVISORIES: Counter(["GHSA-own0-own0-own0"])}


def test_everything_is_read_once_and_from_any_page_on(stub: Stub) -> None:
    expected = fill(stub)
    pages = list(read(stub))
    assert reported(pages) == expected
    assert problems(pages) == []
    for place in (0, 2, 5, len(pages) - 2):
        assert reported([*pages[: place + 1], *read(stub, cursor=pages[place].cursor)]) == expected


def test_no_call_goes_out_without_hiding_the_secrets_and_none_comes_in(stub: Stub) -> None:
    stub.security.secrets = [secret_alert(number) for number in range(1, 250)]
    stub.security.secrets.append(secret_alert(250, secret_type="password"))
    stub.security.keeps_parameters = False  # a server whose links forget what was asked for
    pages = list(read(stub, Product.SECRETS))
    assert reported(pages) == {SECRETS: numbers(250)}
    asked = [parse_qs(urlsplit(target).query) for target in stub.asked if "secret-scanning" in target]
    assert len(asked) == 4
    assert all(one["hide_secret"] == ["true"] for one in asked)
    stub.before = lambda path: (200, [secret_alert(1) | {"secret": SECRET, "more": {"secret": SECRET}}], {}) if "secret" in path else None
    shown = [(repr(item), getattr(item, "raw", None)) for page in read(stub, Product.SECRETS) for item in page.items]
    assert SECRET not in str(shown)
    kept = [base64.b64decode(body) for body in CachedAnswer.objects.values_list("body", flat=True)]
    assert len(kept) == 1  # the repository
    assert not any(b"secret-scanning" in body or SECRET.encode() in body for body in kept)


def test_alerts_that_change_and_appear_between_pages_are_neither_lost_nor_doubled(stub: Stub) -> None:
    fill(stub)
    seen = []
    for page in read(stub):
        seen.append(page)
        number = 1000 + len(seen)
        stub.security.dependabot.append(dependabot_alert(number))
        stub.security.code.append(code_alert(number))
        stub.security.secrets.append(secret_alert(number))
        for section, alerts in ((DEPENDABOT, stub.security.dependabot), (CODEQL, stub.security.code)):
            for alert in alerts[:50] if section in reported(seen) else ():  # read already; they leave lists of what is open
                alert["state"] = "fixed"
                alert.get("most_recent_instance", {})["state"] = "fixed"
    found = reported(seen)
    for section in (DEPENDABOT, CODEQL, SECRETS):
        assert {name: times for name, times in found[section].items() if int(name) <= 250} == numbers(250)
        assert max(found[section].values()) == 1


def test_an_entry_that_github_repeats_on_the_next_page_counts_once(stub: Stub) -> None:
    fill(stub)
    stub.security.repeats = 7
    assert reported(read(stub, Product.CODE)) == {CODEQL: numbers(250)}


def test_a_limit_ends_it_and_it_goes_on_with_the_page_it_had_come_to(stub: Stub) -> None:
    expected = fill(stub, 110)
    limits = itertools.cycle(
        [
            (403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time() + 900))}),
            (429, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time() + 900))}),
            (403, {"message": "You have exceeded a secondary rate limit"}, {"Retry-After": "77"}),
            (429, {"message": "slow down"}, {}),
            (403, {"message": "You have exceeded a secondary rate limit. Please wait a few minutes"}, {}),
        ]
    )
    waits, pages, asked = [], [], []
    refused: set[str] = set()

    def limited(target: str) -> Any:
        if target in refused:
            asked.append(target)
            return None
        refused.add(target)
        return next(limits)

    stub.before = limited
    cursor: Mapping[str, Any] | None = None
    while len(waits) < 100:
        try:
            for page in read(stub, cursor=cursor):
                pages.append(page)
                cursor = page.cursor
            break
        except Throttled as error:
            waits.append(error.retry_after)
            pauses.forget(ID)  # so long passes
    assert reported(pages) == expected
    assert waits[:5] == [pytest.approx(900, abs=20), pytest.approx(900, abs=20), 77, 60, 60]
    assert len(asked) == len(set(asked)) == len(waits)  # each call was refused once and made once


@pytest.mark.parametrize("links_on_304", [True, False])
def test_pages_that_are_as_they_were_cost_nothing_and_hide_no_new_page(stub: Stub, *, links_on_304: bool) -> None:
    fill(stub, 200)
    stub.links_on_304 = links_on_304
    list(read(stub))
    before = stub.not_modified
    assert reported(read(stub))[CODEQL] == numbers(200)
    assert stub.not_modified - before == 7
    # its two full pages stay as they are, and a third comes behind them
    stub.security.code.append(code_alert(201))
    stub.security.dependabot.append(dependabot_alert(201))
    found = reported(read(stub))
    assert found[CODEQL] == found[DEPENDABOT] == numbers(201)
    assert stub.not_modified - before == 14


def test_a_branch_has_code_scanning_only_and_closes_nothing_else(stub: Stub) -> None:
    fill(stub, 3)
    topic, pull = "refs/heads/topic", "refs/pull/7/merge"
    stub.security.code += [code_alert(5, ref=topic, state="fixed"), code_alert(6, tool="Semgrep OSS", category="", ref=pull)]
    stub.security.code[-2]["most_recent_instance"]["state"] = "open"  # on this branch; it is fixed on the default branch
    assert reported(read(stub, ref="topic")) == {CODEQL: numbers(1, 5)}
    assert reported(read(stub, ref=pull)) == {Section("semgrep", "2"): numbers(1, 6)}
    assert reported(read(stub, ref="refs/heads/main"))[DEPENDABOT] == numbers(3)
    assert problems(read(stub, ref="topic")) == []
    asked = len(stub.asked)
    assert reported(read(stub, Product.DEPENDABOT, Product.SECRETS, Product.ADVISORIES, ref="topic")) == {}
    assert len(stub.asked) == asked + 1


def test_another_default_branch_at_github_is_said(stub: Stub) -> None:
    fill(stub, 1)
    pages = list(github(stub).scan_pages(query("master", "master")))
    assert set(reported(pages)) == set()
    assert [problem.elsewhere for problem in problems(pages)] == [True]
    assert "the default branch of acme/shop is main, here it is master" in problems(pages)[0].sentence


def test_states_and_tools_without_an_alert_left(stub: Stub) -> None:
    stub.security.dependabot = [
        dependabot_alert(1, state="fixed"), dependabot_alert(2, state="dismissed", dismissed_reason="not_used"),
        dependabot_alert(3, state="auto_dismissed"), dependabot_alert(4),
    ]  # fmt: skip
    stub.security.code = [
        code_alert(1, state="dismissed", dismissed_reason="false positive"), code_alert(2, tool="Trivy", category="image", state="fixed"),
        code_alert(3, state="fixed", most_recent_instance=code_alert(3)["most_recent_instance"]),
    ]  # fmt: skip
    stub.security.analyses = [analysis(), analysis("Bandit", ""), analysis("Gosec", "", "refs/heads/topic")]
    stub.security.secrets = [
        secret_alert(1, state="resolved", resolution="false_positive"), secret_alert(2, state="resolved", resolution="revoked"),
    ]  # fmt: skip
    stub.security.advisories = [
        advisory("GHSA-a", ("shop", "< 2", ""), state="published", withdrawn_at="2026-01-01T00:00:00Z"),
        advisory("GHSA-b", ("shop", "< 2", "2"), state="published"), advisory("GHSA-c", ("shop", "< 3", ""), state="published"),
    ]  # fmt: skip
    pages = list(read(stub))
    items = [item for page in pages for item in page.items]
    states: dict[str, str] = {}
    for item in items:
        if isinstance(item, Section):
            tool = item.tool
        elif isinstance(item, ReportedFinding):
            states[f"{tool} {item.source_id}"] = (
                f"{item.state} {item.raw.get('dismissed_reason') or item.raw.get('resolution') or ''}".strip()
            )
    assert states == {
        "dependabot 2": "suppressed not_used", "dependabot 3": "suppressed", "dependabot 4": "open",
        "codeql 1": "suppressed false positive", "codeql 3": "open",  # fixed on the default branch of another moment, open on this ref
        "github-secret-scanning 1": "suppressed false_positive",
        "github-advisories GHSA-b": "suppressed", "github-advisories GHSA-c": "open",
    }  # fmt: skip
    assert {CODEQL, Section("bandit", "2"), Section("trivy", "2", "image")} <= set(reported(pages))
    assert Section("gosec", "2") not in reported(pages)
    assert problems(pages) == []


@pytest.mark.parametrize(
    ("product", "answer", "words"),
    [
        (Product.SECRETS, OFF, ""),
        (Product.CODE, (404, {"message": "no analysis found"}, {}), ""),
        (Product.ADVISORIES,
         (404, {"message": "Not Found"}, {"X-OAuth-Scopes": "gist, repo", "X-Accepted-OAuth-Scopes": "repo, security_events"}), ""),
        (Product.DEPENDABOT, (403, {"message": "Dependabot alerts are disabled for this repository."}, {}), ""),
        (Product.SECRETS,
         (404, {"message": "Not Found"}, {"X-OAuth-Scopes": "read:user", "X-Accepted-OAuth-Scopes": "repo, security_events"}),
         "GitHub hides the Secret scanning alerts of acme/shop from a token of these scopes (404). Give the token or app the repository"
         " permission “Secret scanning alerts: read” (a classic token the scope security_events), or take Secret scanning alerts out of"),
        (Product.DEPENDABOT,
         (403, {"message": "Resource not accessible by personal access token"},
          {"X-Accepted-GitHub-Permissions": "vulnerability_alerts=read"}),
         "GitHub refuses the Dependabot alerts of acme/shop to these credentials (403). It takes the permission vulnerability alerts: read."
         " GitHub says: Resource not accessible by personal access token. Give the token or app the repository permission “Dependabot"),
        (Product.SECRETS, (403, {"message": "Resource not accessible by integration"}, {}), "permission “Secret scanning alerts: read”"),
        (Product.CODE, (403, {"message": "Advanced Security must be enabled for this repository to use code scanning."}, {}),
         "Code scanning alerts of acme/shop can't be read: GitHub Advanced Security is off there. Turn it on in the repository's settings,"
         " or take Code scanning alerts out of what this integration reads. GitHub says: Advanced Security must be enabled for"),
        (Product.ADVISORIES, (410, {"message": "Gone"}, {}), "gone (410)"),
    ],
)  # fmt: skip
def test_a_product_that_cant_be_read_is_passed_over_and_the_others_close(stub: Stub, product: Product, answer: Any, words: str) -> None:
    expected = fill(stub, 2)
    paths = {
        Product.DEPENDABOT: ("/dependabot/alerts", DEPENDABOT), Product.CODE: ("/code-scanning/alerts", CODEQL),
        Product.SECRETS: ("/secret-scanning/alerts", SECRETS), Product.ADVISORIES: ("/security-advisories", ADVISORIES),
    }  # fmt: skip
    path, section = paths[product]
    stub.security.off = {path: answer, path.replace("alerts", "analyses"): answer}
    pages = list(read(stub))
    assert reported(pages) == {other: found for other, found in expected.items() if other != section}
    said = problems(pages)
    assert len(said) == bool(words)
    assert all(problem.elsewhere and words in problem.sentence and problem.sentence.endswith(".") for problem in said)


def test_what_breaks_off_in_the_middle_of_a_product_closes_nothing(stub: Stub) -> None:
    fill(stub)
    for words in ("page=2", "code-scanning/alerts"):  # the latter: analyses have named its tools
        stub.security.analyses = [analysis()]
        stub.before = lambda target, words=words: (403, {"message": "No"}, {}) if words in target and "alerts" in target else None
        said = problems(read(stub, Product.CODE))
        assert [problem.elsewhere for problem in said] == [False]
        assert said[0].sentence.startswith("The rest could not be read, and nothing is taken for fixed. GitHub refuses the Code scanning")


def test_a_repository_that_cant_be_read_ends_the_scan(stub: Stub) -> None:
    for answer, error in ((OFF, NotThere), ((403, {"message": "No"}, {}), NotPermitted), ((200, [], {}), BadAnswer)):
        stub.before = lambda target, answer=answer: answer
        with pytest.raises(error):
            list(read(stub))


def test_without_credentials_only_what_asks_for_some_is_left_out(stub: Stub) -> None:
    fill(stub, 2)
    stub.before = lambda target: (401, {"message": "Requires authentication"}, {}) if "dependabot" in target else None
    pages = list(github(stub, auth="none").scan_pages(query()))
    assert set(reported(pages)) == {CODEQL, SECRETS, ADVISORIES}
    assert [problem.elsewhere for problem in problems(pages)] == [True]
    with pytest.raises(SignInFailed):
        list(read(stub))


def test_a_busy_code_scanning_is_asked_again_and_goes_on_later(stub: Stub) -> None:
    expected = fill(stub, 2)
    busy = (503, {"message": "Service unavailable"}, {})
    answers = iter([busy, None])
    stub.before = lambda target: next(answers, None) if "code-scanning/alerts" in target else None
    assert reported(github(stub, attempts=2).scan_pages(query())) == expected
    stub.before = lambda target: busy if "code-scanning/alerts" in target else None
    pages = []
    with pytest.raises(OutboundError) as caught:
        pages += read(stub)
    assert not caught.value.permanent


def test_whatever_comes_is_a_problem_or_an_error_in_words(stub: Stub) -> None:
    entries: list[Any] = [
        None, [], 7, "x", {}, {"number": []}, {"number": 1, "rule": 3, "tool": [], "most_recent_instance": 1},
        {"number": 2, "secret_type": {}}, {"ghsa_id": 4, "vulnerabilities": {}},
        {"number": 3, "dependency": [], "security_advisory": "x", "state": {}},
    ]  # fmt: skip
    for product in (Product.DEPENDABOT, Product.CODE, Product.SECRETS, Product.ADVISORIES):
        stub.before = lambda target: (200, entries, {}) if target.count("/") > 3 and "secret_type" not in target else None
        assert len(problems(read(stub, product))) == len(entries)
        for body in (None, {}, 7, {"message": "x"}):
            stub.before = lambda target, body=body: (200, body, {}) if target.count("/") > 3 else None
            with pytest.raises(OutboundError, match=r"\.$"):
                list(read(stub, product))


@pytest.mark.parametrize("link", ["https://evil.example/x", "{url}/repositories/4711/code-scanning/alerts?page=2"])
def test_a_link_that_leads_astray_ends_in_words(stub: Stub, link: str) -> None:
    stub.before = lambda target: (
        (200, [code_alert(1)], {"Link": f'<{link.format(url=stub.url)}>; rel="next"'}) if "code-scanning/alerts" in target else None
    )
    said = problems(read(stub, Product.CODE))
    assert [problem.elsewhere for problem in said] == [False]


def test_packages_are_asked_about_and_each_advisory_is_given_to_the_one_it_is_about(stub: Stub) -> None:
    both = advisory("GHSA-both", ("lodash", "< 4.17.21", "4.17.21"), ("lodash-es", "< 4.17.21", "4.17.21"))
    two = advisory("GHSA-two", ("django", "< 3.2.5", "3.2.5"), ("django", ">= 4.0, < 4.0.2", "4.0.2"))
    malware = advisory("GHSA-evil", ("evil", ">= 0", ""), type="malware")
    stub.security.database = [
        (both, {"lodash@4.17.20", "lodash-es@4.17.20"}), (two, {"django@4.0.1"}), (malware, {"evil@1"}),
        (advisory("GHSA-gone", ("django", "< 9", "9"), withdrawn_at="2026-01-01T00:00:00Z"), {"django@4.0.1"}),
    ]  # fmt: skip
    used = [("lodash", "4.17.20"), ("lodash-es", "4.17.21"), ("django", "4.0.1"), ("evil", "1"), ("a,b", "1"), ("bare", "")]
    packages = tuple(PackageUsed("npm", name, version, manifest="package-lock.json") for name, version in used)
    packages += tuple(PackageUsed("npm", f"filler-{number}", "1.0.0") for number in range(60))
    connector = github(stub, Product.PACKAGES)
    pages = list(connector.scan_pages(query(packages=packages)))
    found = [item for page in pages for item in page.items if isinstance(item, ReportedFinding)]
    assert {(one.rule, one.package.name, one.package.version, one.package.fixed_version) for one in found if one.package} == {
        ("GHSA-both", "lodash", "4.17.20", "4.17.21"), ("GHSA-two", "django", "4.0.1", "4.0.2"), ("GHSA-evil", "evil", "1", ""),
    }  # fmt: skip
    assert len(found) == 3
    assert set(reported(pages)) == {Section("github-advisories", "", "packages")}
    assert problems(pages) == []
    for place in (0, 2, len(pages) - 2):
        again = [*pages[: place + 1], *connector.scan_pages(query(packages=packages), pages[place].cursor)]
        assert reported(again) == reported(pages)
    assert reported(connector.scan_pages(query())) == {}
    assert [one.needs_packages(one.config) for one in (connector, github(stub))] == [True, False]
