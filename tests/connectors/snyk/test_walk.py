"""Reading a repository's issues: nothing lost or doubled across pages, going on from any page, changes only, and what stands in the way."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import OutboundError
from core.http.client import Door
from core.http.door import Terms, Throttled
from integrations.connectors.snyk.connector import Snyk
from integrations.contract.connector import Context
from integrations.contract.reports import ReportedFinding, RepositoryRef
from integrations.contract.scans import Problem, ScanPage, ScanQuery, Section
from integrations.contract.schema import validate_values
from tests.connectors.snyk.stub import NOW, ORG, SLUG, TOKEN, Stub, id_of, issue, project, served_stub, target  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SHOP = target("acme/shop", url="https://github.com/acme/shop.git")
APP, API = project("package.json", SHOP), project("api/package.json", SHOP)
SINCE = datetime(2026, 5, 1, tzinfo=UTC)
LATER = "2026-05-02T00:00:00.000Z"


def snyk(stub: Stub, **config: Any) -> Snyk:
    values = {"region": "own", "base_url": stub.url, "org": SLUG} | config
    config, credentials = validate_values(Snyk, values, {"token": TOKEN})
    terms = Terms(uuid.uuid4(), "Snyk", attempts=1, longest_wait=0)
    return Snyk(Context(uuid.UUID(int=1), "Mine", config, credentials, Door(terms, Snyk.auth(config, credentials))))  # type: ignore[arg-type]


def query(ref: str = "main", since: datetime | None = None, name: str = "Acme/Shop") -> ScanQuery:
    return ScanQuery(RepositoryRef("github", name, "main"), ref, since=since)


def read(stub: Stub, asked: ScanQuery | None = None, cursor: Any = None, **config: Any) -> list[ScanPage]:
    return list(snyk(stub, **config).scan_pages(asked or query(), cursor))


def findings(pages: Iterable[ScanPage]) -> list[ReportedFinding]:
    return [item for page in pages for item in page.items if isinstance(item, ReportedFinding)]


def problems(pages: Iterable[ScanPage]) -> list[Problem]:
    return [item for page in pages for item in page.items if isinstance(item, Problem)]


def states(pages: Iterable[ScanPage]) -> dict[str, str]:
    found = [(f"{one.rule} {one.package.version if one.package else ''}", one.state) for one in findings(pages)]
    assert len(found) == len(dict(found)), "reported twice"
    return dict(found)


def filled(stub: Stub, count: int = 25) -> Counter[str]:
    """Give the repository two projects with issues, among targets and projects that are none of its own; return what is to be read."""
    stub.most = 10
    others = [target(f"acme/other-{number}") for number in range(12)]
    stub.targets = [*others, target("acme/shop", source="docker-hub"), target("acme/shop", source="gitlab"), SHOP]
    elsewhere = [
        project("package.json", SHOP, ref="topic"),
        project("old.json", SHOP, status="inactive"),
        project("x.json", stub.targets[13]),
    ]
    stub.projects = [*elsewhere, APP, *(project(f"{number}.json", SHOP, ref="old") for number in range(15)), API]
    mine = [issue(f"SNYK-JS-A-{number}", APP) for number in range(count)] + [issue(f"SNYK-JS-B-{number}", API) for number in range(3)]
    stub.issues = mine + [issue(f"SNYK-JS-C-{number}", of) for number, of in enumerate(elsewhere)]
    return Counter(one["id"] for one in mine)


def ids(pages: Iterable[ScanPage]) -> Counter[str]:
    return Counter(one.source_id for one in findings(pages))


@pytest.mark.parametrize(("link", "last"), [("rest", "none"), ("bare", "self"), ("href", "empty"), ("query", "none"), ("absolute", "self")])
def test_all_issues_are_read_once_whatever_form_the_links_have(stub: Stub, link: str, last: str) -> None:
    wanted = filled(stub)
    stub.link, stub.last = link, last
    pages = read(stub)
    assert ids(pages) == wanted
    assert {item for page in pages for item in page.items if isinstance(item, Section)} == {Section("snyk", category=ORG)}
    assert [page.synced_to for page in pages][-2:] == [None, NOW]
    assert not any(TOKEN in repr(page) + json.dumps(page.cursor) for page in pages)


def test_it_goes_on_behind_any_page(stub: Stub) -> None:
    wanted = filled(stub)
    pages = read(stub)
    assert len(pages) > 6
    for place in range(len(pages)):
        cursor = json.loads(json.dumps(pages[place].cursor))
        assert ids(pages[: place + 1]) + ids(read(stub, cursor=cursor)) == wanted


@pytest.mark.parametrize(("header", "wait"), [(None, 60), ("7", 7)])
def test_a_used_up_limit_keeps_what_was_read(stub: Stub, header: str | None, wait: int) -> None:
    wanted = filled(stub)
    reading = snyk(stub).scan_pages(query())
    pages = [next(reading) for _ in range(6)]
    stub.throttled = [header]
    with pytest.raises(Throttled) as caught:
        next(reading)
    assert caught.value.retry_after == pytest.approx(wait, abs=1)
    assert caught.value.message.endswith(f"calls again in {wait} seconds.")
    assert not caught.value.permanent
    assert ids(pages)
    assert ids(pages) + ids(read(stub, cursor=pages[-1].cursor)) == wanted


def test_only_open_issues_are_reported_and_ignored_ones_as_suppressed_with_the_reason(stub: Stub) -> None:
    stub.targets, stub.projects = [SHOP], [APP]
    stub.issues = [issue("SNYK-JS-A-1", APP), issue("SNYK-JS-A-2", APP, ignored=True), issue("SNYK-JS-A-3", APP, status="resolved")]
    stub.ignores = {
        APP["id"]: {"SNYK-JS-A-2": [{"*": {"reason": "Not reachable", "expires": "2027-01-01", "ignoredBy": {"email": "a@b.c"}}}]}
    }
    pages = read(stub)
    assert states(pages) == {"SNYK-JS-A-1 4.17.15": "open", "SNYK-JS-A-2 4.17.15": "suppressed"}
    said = next(one for one in findings(pages) if one.state == "suppressed").raw["ignore"]
    assert said == [{"path": "*", "reason": "Not reachable", "expires": "2027-01-01"}]
    assert not problems(pages)
    before = len(stub.asked)
    assert states(read(stub, read_ignores=False)) == states(pages)
    assert not [path for path in stub.asked[before:] if path.startswith("/v1/")]


def test_issues_stay_ignored_where_snyk_does_not_say_why(stub: Stub) -> None:
    stub.targets, stub.projects = [SHOP], [APP, API]
    stub.issues = [issue("SNYK-JS-A-1", APP, ignored=True), issue("SNYK-JS-A-2", API, ignored=True), issue("SNYK-JS-A-3", API)]
    stub.ignores = {APP["id"]: None, API["id"]: None}
    pages = read(stub)
    assert sorted(states(pages).values()) == ["open", "suppressed", "suppressed"]
    (problem,) = problems(pages)
    assert problem.elsewhere
    assert problem.sentence.startswith("Snyk does not say why issues are ignored; that they are is known. Snyk refuses the ignores")
    assert sum(path.startswith("/v1/") for path in stub.asked) == 1


def test_changes_only(stub: Stub) -> None:
    stub.targets, stub.projects = [SHOP], [APP]
    overlapping = (SINCE - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    stub.issues = [
        issue("SNYK-JS-A-1", APP), issue("SNYK-JS-A-2", APP, updated_at=LATER),
        issue("SNYK-JS-A-3", APP, status="resolved", updated_at=LATER),
        issue("SNYK-JS-A-4", APP, updated_at=overlapping), issue("SNYK-JS-A-5", APP, status="resolved"),
    ]  # fmt: skip
    pages = read(stub, query(since=SINCE))
    assert states(pages) == {"SNYK-JS-A-2 4.17.15": "open", "SNYK-JS-A-3 4.17.15": "fixed", "SNYK-JS-A-4 4.17.15": "open"}
    assert pages[-1].synced_to == NOW


def test_what_went_quiet_in_one_project_but_is_open_in_another_is_not_closed(stub: Stub) -> None:
    stub.most = 10
    stub.targets, stub.projects = [SHOP], [APP, API]
    quiet = {"status": "resolved", "updated_at": LATER}
    still = [issue(f"SNYK-JS-Z-{number}", API) for number in range(15)]  # a page of it
    stub.issues = [
        issue("SNYK-JS-A-1", APP, **quiet), issue("SNYK-JS-A-2", APP, **quiet), issue("SNYK-JS-A-3", APP, ignored=True, updated_at=LATER),
        issue("SNYK-JS-A-4", APP, **quiet), issue("SNYK-JS-A-5", APP, **quiet), *still,
        issue("SNYK-JS-A-2", API), issue("SNYK-JS-A-3", API), issue("SNYK-JS-A-4", API, version="4.0.0"),
        issue("SNYK-JS-A-5", API, ignored=True), issue("SNYK-JS-A-1", API, **quiet),
    ]  # fmt: skip
    asked = query(since=SINCE)
    pages = read(stub, asked)
    assert states(pages) == {"SNYK-JS-A-1 4.17.15": "fixed", "SNYK-JS-A-4 4.17.15": "fixed", "SNYK-JS-A-5 4.17.15": "suppressed"}
    for place in range(1, len(pages), 2):
        cursor = json.loads(json.dumps(pages[place].cursor))
        assert ids(pages[: place + 1]) + ids(read(stub, asked, cursor)) == ids(pages)


def test_branches_are_told_apart_and_none_is_made_up(stub: Stub) -> None:
    filled(stub)
    nowhere = project("Gemfile.lock", SHOP, ref=None)
    stub.projects.append(nowhere)
    stub.issues.append(issue("SNYK-RUBY-D-1", nowhere))
    assert [one.rule for one in findings(read(stub, query("refs/heads/topic")))] == ["SNYK-JS-C-0"]
    assert "SNYK-RUBY-D-1" in [one.rule for one in findings(read(stub))]
    with pytest.raises(OutboundError, match=r"watches nothing of Acme/Shop on the branch gone\. It watches topic, main, old") as caught:
        read(stub, query("gone"))
    assert caught.value.permanent


def test_a_repository_that_snyk_does_not_have_is_no_clean_one(stub: Stub) -> None:
    filled(stub)
    with pytest.raises(OutboundError, match="no target acme/new in the organisation acme: import it at Snyk first") as caught:
        read(stub, query(name="acme/new"))
    assert caught.value.permanent
    assert "acme/other-0, acme/other-1" in caught.value.message


def test_a_target_that_was_just_imported_is_found_although_the_list_is_kept(stub: Stub) -> None:
    other = target("acme/other")
    stub.targets, stub.projects = [other], [APP, project("package.json", other)]
    connector = snyk(stub)
    with pytest.raises(OutboundError, match="import it at Snyk first"):
        list(connector.scan_pages(query()))
    stub.targets.append(SHOP)
    assert list(connector.scan_pages(query()))
    asked = sum("/targets" in path for path in stub.asked)
    assert list(connector.scan_pages(query()))
    assert list(connector.scan_pages(query(name="acme/other")))
    assert sum("/targets" in path for path in stub.asked) == asked


def test_repositories_may_have_another_name_at_snyk(stub: Stub) -> None:
    web = target("Web shop", url="https://git.acme.example/web/frontend.git", source="cli")
    stub.targets, stub.projects = [SHOP, web], [APP, project("package.json", web)]
    stub.issues = [issue("SNYK-JS-W-1", stub.projects[1]), issue("SNYK-JS-A-1", APP)]
    for given in ("web SHOP", "https://git.acme.example/web/frontend", web["id"]):
        assert [one.rule for one in findings(read(stub, targets={"acme/shop": given}))] == ["SNYK-JS-W-1"]
    assert [one.rule for one in findings(read(stub, query(name="web/frontend")))] == ["SNYK-JS-W-1"]
    with pytest.raises(OutboundError, match="no target web/frontend"):
        read(stub, query(name="web/frontend"), match="name")


def circle(stub: Stub, links: list[str]) -> None:
    """Have the pages of issues lead to these places, one after the other, round and round."""

    def before(path: str) -> Any:
        if "/issues" not in path:
            return None
        stub.most += 1
        following = f"/rest/orgs/{ORG}/issues?version=2024-10-15&starting_after={links[stub.most % len(links)]}"
        return 200, {"data": [issue(f"SNYK-JS-A-{stub.most}", APP)], "links": {"next": following}}, {}

    stub.before = before


def test_pages_that_lead_in_a_circle_end(stub: Stub) -> None:
    stub.targets, stub.projects = [SHOP], [APP]
    circle(stub, ["a", "b", "c"])
    with pytest.raises(OutboundError, match="lead in a circle") as caught:
        read(stub)
    assert caught.value.permanent
    assert len(stub.asked) < 20


HOSTILE: list[Any] = [
    None, 7, "issue", [], {}, {"attributes": None}, {"attributes": {"key": ["x"]}},
    {"id": 5, "attributes": {"key": "k", "type": {}, "title": 3, "classes": [None, {"id": 1}]}},
    {"attributes": {"key": "k\x00\ud800", "type": "code", "coordinates": [
        {"representations": [{"sourceLocation": {"file": 1, "region": 5}}]}]}},
    {"attributes": {"key": "k", "type": "package_vulnerability", "coordinates": {"a": 1}, "problems": "CVE-2020-1", "tool": 5}},
    {"attributes": {"key": "k", "type": "license", "coordinates": [{"remedies": [{"meta": {"data": 5}}], "representations": [
        {"dependency": {"package_name": "x", "package_version": [1]}}, {"dependency": None}, 5]}], "severities": [{"vector": 5}, 1]}},
]  # fmt: skip


def test_an_entry_that_cannot_be_used_is_a_problem_and_the_rest_is_read(stub: Stub) -> None:
    stub.targets, stub.projects = [None, {}, {"id": "x", "attributes": 5}, SHOP], [APP]  # type: ignore[list-item]
    good = issue("SNYK-JS-A-1", APP)
    stub.before = lambda path: (200, {"data": [*HOSTILE, good], "links": {"next": [1]}}, {}) if "/issues" in path else None
    pages = read(stub)
    assert [one.source_id for one in findings(pages)][-1] == good["id"]
    assert len(findings(pages)) == 5
    assert len(problems(pages)) == len(HOSTILE) - 4
    assert not any(problem.elsewhere for problem in problems(pages))


@pytest.mark.parametrize("body", [{"data": None}, {"data": {"id": 1}}, [], "x", 5, None, b"\x00\xff{", b"[" * 100_000], ids=str)
def test_an_answer_without_the_list_is_no_empty_list(stub: Stub, body: Any) -> None:
    stub.targets, stub.projects = [SHOP], [APP]
    stub.before = lambda path: (200, body, {}) if "/issues" in path else None
    with pytest.raises(OutboundError):
        read(stub)


def test_another_organisation_region_or_protocol_is_said(stub: Stub) -> None:
    for org in ("other", id_of("other")):
        with pytest.raises(OutboundError, match=f"no organisation {org} in 127.0.0.1.*region") as caught:
            read(stub, org=org)
        assert caught.value.permanent
    stub.is_plain_http = True
    with pytest.raises(OutboundError, match="write https://"):
        snyk(stub).check()


def test_the_connection_test_names_account_and_organisation(stub: Stub) -> None:
    assert snyk(stub).check().message == "Signed in to Snyk as ada, organisation Acme."
    assert snyk(stub, org=ORG, auth="bearer").check().details["organisation_id"] == ORG
    stub.before = lambda path: (200, {"data": {"attributes": {"name": "Robot"}}}, {"sunset": "2027-03-01"}) if "/self" in path else None
    assert snyk(stub).check().message.endswith("The version 2024-10-15 of its API ends on 2027-03-01: set a newer one.")


def test_a_refusal_is_told_in_words_and_never_with_the_token(stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    stub.has_plan = False
    refused = [(snyk(stub), "Enterprise plan.*Snyk says: Your plan does not include API access")]
    refused.append((snyk(stub, api_version="2024-10-15~beta"), "Enterprise plan"))
    for connector, words in refused:
        with pytest.raises(OutboundError, match=words) as caught:
            connector.check()
        assert caught.value.permanent
    wrong = snyk(stub)
    wrong.door.auth._value = f"Token {TOKEN}"  # type: ignore[attr-defined]
    with pytest.raises(OutboundError, match=r"refused the token \(401\).*each region has tokens of its own") as caught:
        wrong.check()
    stub.has_plan, stub.before = True, lambda path: (400, {"errors": [{"detail": f"no {TOKEN}", "source": {"parameter": "version"}}]}, {})
    with pytest.raises(OutboundError, match=r"does not accept .*\(400\)\. Snyk says: no .* \(version\)\.") as other:
        wrong.check()
    assert TOKEN not in caplog.text + str(caught.value) + str(other.value) + repr(wrong.context)
