"""What OSV knows of the packages that are used: all of it, once, whatever page a limit or a kill falls on."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from core.errors import OutboundError
from core.http import pauses
from core.http.client import Door
from core.http.door import BadAnswer, Terms, Throttled
from integrations.connectors.osv import walk
from integrations.connectors.osv.client import Client
from integrations.connectors.osv.connector import Osv
from integrations.contract.connector import Context
from integrations.contract.reports import ReportedFinding, RepositoryRef
from integrations.contract.scans import NothingToAsk, PackageUsed, Problem, ScanPage, ScanQuery, Section
from tests.connectors.osv.stub import MODIFIED, Stub, record, served_stub  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def used(name: str = "left", version: str = "1.0.0", ecosystem: str = "npm", manifest: str = "package-lock.json") -> PackageUsed:
    return PackageUsed(ecosystem, name, version, f"pkg:npm/{name}@{version}", manifest)


def source(stub: Stub, token: str = "") -> Osv:
    config, credentials = {"base_url": f"{stub.url}/"}, {"token": token} if token else {}
    door = Door(Terms(uuid.UUID(int=7), "OSV", attempts=1, longest_wait=0, breaker_failures=0), Osv.auth(config, credentials))
    return Osv(Context(uuid.UUID(int=7), "OSV", config, credentials, door))


def pages(stub: Stub, packages: Sequence[PackageUsed], cursor: Any = None) -> Iterator[ScanPage]:
    query = ScanQuery(RepositoryRef("github", "acme/shop"), "main", packages=packages)
    return source(stub).scan_pages(query, json.loads(json.dumps(cursor)))


def findings(read: Sequence[ScanPage]) -> list[ReportedFinding]:
    return [item for page in read for item in page.items if isinstance(item, ReportedFinding)]


def problems(read: Sequence[ScanPage]) -> list[Problem]:
    return [item for page in read for item in page.items if isinstance(item, Problem)]


def names(read: Sequence[ScanPage]) -> Counter[tuple[str, str, str]]:
    return Counter((one.rule, one.package.name, one.package.version) for one in findings(read) if one.package)


def many(stub: Stub, packages: int = 10, each: int = 3) -> tuple[list[PackageUsed], Counter[tuple[str, str, str]]]:
    """Have packages with flaws, one of which they all share, and every fourth without any."""
    shared, expected = record("GHSA-aaaa-bbbb-cccc"), Counter[tuple[str, str, str]]()
    for number in range(packages):
        own = [record(f"OSV-2031-{number}{place}", f"p{number:03}") for place in range(each - 1)] if number % 4 else []
        stub.has(f"p{number:03}", "1.0.0", *own, *([shared] if own else []))
        expected.update((one["id"], f"p{number:03}", "1.0.0") for one in (*own, *([shared] if own else [])))
    return [used(f"p{number:03}") for number in reversed(range(packages))], expected


def test_batches_and_pages_lose_and_double_nothing(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "BATCH", 4)
    packages, expected = many(stub)
    stub.most_a_page = 2
    read = list(pages(stub, [*packages, *packages]))  # two lock files may name the same
    assert names(read) == expected
    assert set(expected.values()) == {1}
    assert problems(read) == []
    assert max(stub.sizes()) == 4
    assert Counter(stub.fetched()).most_common(1)[0][1] == 1  # also what the batches share
    assert all(page.items[0] == Section("osv") for page in read)


def test_it_goes_on_behind_every_page(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "BATCH", 4)
    monkeypatch.setattr(walk, "_PAGE", 4)
    packages, expected = many(stub)
    stub.most_a_page = 2
    cursor, read = None, []
    for _ in range(500):
        page = next(pages(stub, packages, cursor), None)  # each page by a worker of its own
        if page is None:
            break
        read.append(page)
        cursor = page.cursor
    assert names(read) == expected
    assert Counter(stub.fetched()).most_common(1)[0][1] == 1  # the door has what was fetched before


def test_a_package_with_more_flaws_than_a_worker_reads_at_once_is_read_in_parts(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "_MOST_TOGETHER", 3)
    monkeypatch.setattr(walk, "_PAGE", 2)
    stub.has("linux", "1.0.0", *(record(f"OSV-2031-{number}", "linux") for number in range(10)))
    fetched: list[str] = []
    monkeypatch.setattr(Client, "record", lambda client, number, modified: fetched.append(number) or stub.records[number])
    cursor, read = None, []
    for _ in range(50):  # workers that have time for four calls each
        for page in pages(stub, [used("linux")], cursor):
            read.append(page)
            cursor = page.cursor
            if len(fetched) >= 4:
                break
        else:
            break
        fetched.clear()
    assert set(names(read).values()) == {1}
    assert len(names(read)) == 10


@pytest.mark.parametrize("trouble", [(429, {}, {"Retry-After": "77"}), (500, {}, {}), (200, {"results": [], "id": "OTHER-1"}, {})])
def test_trouble_at_any_call_is_an_error_and_nothing_is_lost(stub: Stub, trouble: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "BATCH", 2)
    packages, expected = many(stub, packages=4)
    stub.most_a_page = 2
    calls = [0]

    def fail_once(path: str) -> Any:
        calls[0] += 1
        return trouble if calls[0] % 2 else None

    stub.before = fail_once
    cursor, read, errors = None, list[ScanPage](), list[OutboundError]()
    for _ in range(200):
        try:
            for page in pages(stub, packages, cursor):
                read.append(page)
                cursor = page.cursor
            break
        except OutboundError as error:
            errors.append(error)
            pauses.forget(uuid.UUID(int=7))
    assert names(read) == expected
    assert len(errors) > 4
    assert not any(error.permanent for error in errors)
    if trouble[0] == 429:
        assert all(isinstance(error, Throttled) and error.retry_after for error in errors)


def test_names_are_aliases_and_nothing_that_is_merely_related(stub: Stub) -> None:
    more = {"related": ["CVE-2031-9"], "upstream": ["CVE-2031-8"]}
    rated = {"database_specific": {"severity": "MODERATE", "cwe_ids": ["CWE-79"]}, "details": "Long."}
    vector = {"severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N"}]}
    stub.has(
        "left", "1.0.0",
        record("PYSEC-2031-1", aliases=["CVE-2031-1", "GHSA-aaaa-bbbb-cccc"], **vector, **more),
        record("GHSA-aaaa-bbbb-cccc", aliases=["CVE-2031-1"], **rated, **more),
        record("GHSA-dddd-eeee-ffff", aliases=["CVE-2031-2"], **more),
    )  # fmt: skip
    one, other = findings(list(pages(stub, [used(manifest="b/package-lock.json"), used(manifest="a/package-lock.json")])))
    assert {value for _, value in one.identifiers} == {"PYSEC-2031-1", "GHSA-aaaa-bbbb-cccc", "CVE-2031-1"}
    assert {value for _, value in other.identifiers} == {"GHSA-dddd-eeee-ffff", "CVE-2031-2"}
    assert (one.rule, one.severity, one.cwe, one.description) == ("GHSA-aaaa-bbbb-cccc", "MODERATE", ("CWE-79",), "Long.")
    assert one.cvss == (vector["severity"][0]["score"],)
    assert one.url == "https://osv.dev/vulnerability/GHSA-aaaa-bbbb-cccc"
    assert one.package is not None
    assert (one.package.manifest, one.package.fixed_version, one.package.purl) == ("a/package-lock.json", "2.0.0", "pkg:npm/left@1.0.0")
    assert one.raw["manifests"] == ["a/package-lock.json", "b/package-lock.json"]
    assert "versions" not in json.dumps(one.raw)


def test_what_was_withdrawn_is_not_reported_and_what_has_no_record_is(stub: Stub) -> None:
    stub.has("left", "1.0.0", record("OSV-2031-1", withdrawn="2031-02-01T00:00:00Z"), record("OSV-2031-2"))
    stub.listed["left", "1.0.0"].append("OSV-2031-3")
    read = list(pages(stub, [used()]))
    assert [(one.rule, one.title) for one in findings(read)] == [("OSV-2031-2", "Flaw OSV-2031-2"), ("OSV-2031-3", "OSV-2031-3 in left")]
    assert [(one.where, one.elsewhere) for one in problems(read)] == [("OSV-2031-3", True)]


def test_the_next_scan_fetches_what_changed_and_nothing_else(stub: Stub) -> None:
    stub.has("left", "1.0.0", record("OSV-2031-1"), record("OSV-2031-2"))
    list(pages(stub, [used()]))
    stub.records["OSV-2031-2"] |= {"modified": "2031-03-01T00:00:00Z", "summary": "Worse than thought"}
    stub.asked.clear()
    read = list(pages(stub, [used()]))
    assert stub.fetched() == ["OSV-2031-2"]
    assert [one.title for one in findings(read)] == ["Flaw OSV-2031-1", "Worse than thought"]


def test_a_package_that_osv_refuses_does_not_stop_the_others(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    packages, expected = many(stub)
    stub.unknown = frozenset({"p005", "p007"})
    read = list(pages(stub, packages))
    assert names(read) == Counter({key: 1 for key in expected if key[1] not in stub.unknown})
    assert [(one.where, one.elsewhere) for one in problems(read)] == [("npm p005", True), ("npm p007", True)]
    stub.unknown = frozenset(f"p{number:03}" for number in range(10))
    monkeypatch.setattr(walk, "_MOST_REFUSED", 5)
    with pytest.raises(BadAnswer, match="takes none of") as caught:
        list(pages(stub, packages))
    assert caught.value.permanent


def test_a_mirror_that_repeats_a_page_is_not_read_for_ever(stub: Stub) -> None:
    stub.before = lambda path: (200, {"results": [{"vulns": [], "next_page_token": "again"}]}, {}) if "batch" in path else None
    with pytest.raises(BadAnswer, match="again and again"):
        list(pages(stub, [used()]))


def test_lock_files_that_change_meanwhile_are_asked_about_from_the_beginning_and_close_nothing(stub: Stub) -> None:
    packages, expected = many(stub)
    cursor = next(pages(stub, packages[1:])).cursor
    read = list(pages(stub, packages, cursor))
    assert names(read) == expected
    assert [(one.where, one.elsewhere) for one in problems(read)] == [("packages", False)]


def test_without_packages_it_says_what_is_missing_and_asks_nothing(stub: Stub) -> None:
    with pytest.raises(NothingToAsk, match=r"POST /api/v1/inventories/upload\?repository=acme/shop") as caught:
        list(pages(stub, []))
    assert caught.value.permanent
    unknown = [PackageUsed("", "shop", "1", "pkg:oci/shop@1"), PackageUsed("Casks", "shop", "1"), PackageUsed("npm", "left", "")]
    assert [page.items for page in pages(stub, unknown)] == [(Section("osv"),)]  # nothing is wrong, and what was found before closes
    assert stub.asked == []


def test_what_only_its_purl_names_is_asked_by_it_with_the_version_in_it_alone(stub: Stub) -> None:
    stub.has("pkg:npm/left@1.0.0", "", record("OSV-2031-1"))
    read = list(pages(stub, [PackageUsed("", "left", "1.0.0", "pkg:npm/left@1.0.0")]))
    assert stub.asked[0][1] == {"queries": [{"package": {"purl": "pkg:npm/left@1.0.0"}}]}
    assert names(read) == Counter({("OSV-2031-1", "left", "1.0.0"): 1})


def test_a_mirror_gets_its_token_and_osv_nothing(stub: Stub) -> None:
    stub.has("jinja2", "2.4.1", record("PYSEC-2019-1", "jinja2", ecosystem="PyPI"))
    assert source(stub).check().details == {"vulnerabilities": 1}
    source(stub, "mirror-token").check()
    assert [one.get("Authorization") for one in stub.headers] == [None, "Bearer mirror-token"]
    assert MODIFIED not in str(stub.asked)
    stub.listed.clear()
    with pytest.raises(BadAnswer, match="without data"):
        source(stub).check()
