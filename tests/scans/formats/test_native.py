"""What holds for every scanner's own format."""

from __future__ import annotations

import copy
import json
import tracemalloc
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput, RepoGuardError, TooLarge
from integrations.contract.reports import ReportedFinding
from scans.formats import detect
from scans.formats.base import HEAD_EVENTS, Head, Item, Problem, Section
from tests.scans.formats.native import NATIVE, SAMPLES, SECRET, read, sample, source

pytestmark = pytest.mark.once
FAILED = {"npm_audit.failed", "snyk_cli.failed"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_every_format_has_samples_that_are_tested() -> None:
    assert {name.partition(".")[0] for name in SAMPLES} == set(NATIVE)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_report_is_recognised_by_its_own_format_alone(name: str) -> None:
    head = Head(source(sample(name)).beginning(HEAD_EVENTS))
    assert [one.key for one in detect.FORMATS if one.recognises(head)] == [name.partition(".")[0]]


@pytest.mark.parametrize(
    "report",
    [[], {}, [[]], [{}], 5, "text", {"results": []}, {"vulnerabilities": []}, {"matches": []}, {"results": [], "errors": []},
     {"jsonapi": {"version": "1.0"}, "data": [{"id": "1", "type": "issue"}], "links": {}}, {"error": {"message": "no"}},
     {"ok": False, "error": "invalid_auth", "needed": "scope"}, {"version": "2.1.0", "runs": []}, [{"name": "a", "version": "1"}]],
    ids=repr,
)  # fmt: skip
def test_what_is_merely_like_a_report_is_recognised_by_none_of_them(report: Any) -> None:
    head = Head(source(report).beginning(HEAD_EVENTS))
    assert [one.key for one in detect.FORMATS if one.key in NATIVE and one.recognises(head)] == []


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - FAILED))
def test_a_report_says_whose_findings_follow_first_even_without_any(name: str) -> None:
    found = read(name)
    assert isinstance(found.items[0], Section)
    assert found.sections[0].tool == found.sections[0].tool.lower() != ""
    if "clean" in name or "nothing" in name:
        assert found.items == found.sections


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - FAILED))
def test_a_long_report_is_read_bit_by_bit_as_a_short_one_at_once(name: str) -> None:
    at_once = read(name).items
    with mock.patch("scans.formats.source.WHOLE_BYTES", 0), mock.patch("scans.formats.source.CHUNK", 700):
        assert read(name).items == at_once


@pytest.mark.parametrize("name", ["snyk_cli.test", "semgrep.scan", "grype.dir", "bandit.scan"])
def test_what_follows_a_long_list_is_found_behind_it(name: str) -> None:
    """Values far apart are refused only where nothing is read in between."""
    with mock.patch.multiple("scans.formats.source", WHOLE_BYTES=0, CHUNK=700, GAP_BYTES=2_500):
        assert read(name).items[0] == read(sample(name)).sections[0]


@pytest.mark.parametrize("key", NATIVE)
def test_a_report_named_wrongly_is_refused(key: str) -> None:
    other = "grype.clean" if key != "grype" else "trivy.clean"
    with pytest.raises(InvalidInput, match=f"not of the format {key}"):
        read(sample(other), key)


LISTS: list[tuple[str, list[Any]]] = [
    ("bandit.scan", ["results"]),
    ("checkov.frameworks", [0, "results"]),
    ("checkov.frameworks", [0, "results", "failed_checks"]),
    ("grype.dir", ["ignoredMatches"]),
    ("npm_audit.v7", ["vulnerabilities", "left", "via"]),
    ("osv_scanner.scan", ["results", 0, "packages", 0, "vulnerabilities"]),
    ("pip_audit.fixes", ["dependencies", 0, "vulns"]),
    ("snyk_cli.all_projects", [1, "vulnerabilities"]),
    ("snyk_cli.container", ["applications"]),
    ("trivy.fs", ["Results"]),
    ("trivy.fs", ["Results", 0, "Vulnerabilities"]),
]


@pytest.mark.parametrize(("name", "place"), LISTS, ids=str)
@pytest.mark.parametrize("whole_bytes", [0, 2**24])
def test_what_should_be_a_list_never_passes_for_a_clean_one(name: str, place: list[Any], whole_bytes: int) -> None:
    report = sample(name)
    inside = report
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = "oops"
    with mock.patch("scans.formats.source.WHOLE_BYTES", whole_bytes):
        problems = read(report, name.partition(".")[0]).problems
    assert set(problems) - set(read(name).problems)


def test_a_report_that_breaks_off_before_its_results_is_no_clean_one() -> None:
    report = sample("bandit.clean")
    del report["results"]
    assert [one.where for one in read(report).problems] == ["results"]


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - FAILED))
def test_no_secret_is_kept(name: str) -> None:
    assert SECRET not in repr(read(name).items)
    for finding in read(name).findings:
        assert SECRET not in json.dumps(finding.raw)
        assert SECRET not in "".join(place.snippet for place in finding.locations)
        assert SECRET not in "".join(finding.fingerprints.values())


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in _places(one, (*at, key)))]


REPORTS = {name: (sample(name), _places(sample(name))) for name in SAMPLES}


@st.composite
def broken_reports(draw: st.DrawFn) -> tuple[str, Any]:
    """A real report in which some values are others."""
    name = draw(st.sampled_from(SAMPLES))
    original, places = REPORTS[name]
    report = {"": copy.deepcopy(original)}
    for place in draw(st.lists(st.sampled_from(places), min_size=1, max_size=4)):
        *way, last = ("", *place)
        inside: Any = report
        for key in way:
            try:
                inside = inside[key]
            except (KeyError, IndexError, TypeError):
                break
        if isinstance(inside, dict) or (isinstance(inside, list) and isinstance(last, int) and last < len(inside)):
            inside[last] = draw(JSON)
    return name, report[""]


@settings(max_examples=200, deadline=None)
@given(broken_reports(), st.booleans())
def test_whatever_stands_in_a_report_gives_findings_problems_or_a_clear_error(broken: tuple[str, Any], bit_by_bit: bool) -> None:
    name, report = broken
    with mock.patch("scans.formats.source.WHOLE_BYTES", 0 if bit_by_bit else 2**24):
        try:
            items = read(json.dumps(report).encode(), name.partition(".")[0]).items
        except RepoGuardError:
            return
    _check(items)


@pytest.mark.parametrize("name", SAMPLES)
def test_any_value_may_be_a_list_or_an_object(name: str) -> None:
    """In Python these are what can't be looked up in a set."""
    report, places = {"": sample(name)}, REPORTS[name][1]
    for place in places:
        *way, last = ("", *place)
        inside: Any = report
        for key in way:
            inside = inside[key]
        kept = inside[last]
        for value in ([["a"]], {"a": {}}):
            inside[last] = value
            try:
                _check(read(json.dumps(report[""]).encode(), name.partition(".")[0]).items)
            except RepoGuardError:
                continue
        inside[last] = kept


def _check(items: list[Item]) -> None:
    for item in items:
        if isinstance(item, Problem):
            assert item.where is not None
            assert item.sentence
        elif isinstance(item, ReportedFinding):
            assert all((item.source_id, item.title, item.rule))
            hash((item.severity, item.cvss, item.cwe, item.identifiers, item.package, item.locations, tuple(item.fingerprints.items())))


def test_what_stands_around_a_long_list_is_known_without_holding_the_list() -> None:
    report = source({"version": "1.0", "results": [{"check_id": "a" * 50}] * 50_000, "errors": [1]})
    assert report.size > 3_000_000
    with mock.patch("scans.formats.source.CHUNK", 4_096):
        report.outline("results")  # what is only made once
        tracemalloc.start()
        try:
            assert report.outline("results") == {"version": "1.0", "results": [], "errors": [1]}
            assert tracemalloc.get_traced_memory()[1] < 300_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("report", "limits", "sentence"),
    [({"results": [1, ["a" * 3_000]]}, {"GAP_BYTES": 2_000}, "an entry of more than 2000 bytes"),
     ({"results": [1] * 9, "more": ["a"] * 2_000}, {"DOCUMENT_BYTES": 5_000}, "more than 5000 bytes beside its entries"),
     ({"results": {"no": ["list"] * 2_000}}, {"GAP_BYTES": 2_000}, "an entry of more than 2000 bytes")],
)  # fmt: skip
def test_what_stands_around_a_long_list_is_bounded(report: Any, limits: dict[str, int], sentence: str) -> None:
    with mock.patch.multiple("scans.formats.source", CHUNK=500, **limits), pytest.raises(TooLarge, match=sentence):
        source(report).outline("results")
