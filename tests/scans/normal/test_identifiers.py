from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scans.normal.identifiers import alias_names, canonical, identifier, identifiers

CVE, OTHER_CVE, GHSA, LOW_GHSA, SNYK = ("CVE-2022-24775", "CVE-2023-29197", "GHSA-q7rv-6hp3-vh96", "GHSA-2wxm-65f7-jcvw", "SNYK-PHP-PSR7-1")


def kinds(*values: str) -> list[tuple[str, str]]:
    return [("", value) for value in values]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("cve-2021-44228", ("CVE", "CVE-2021-44228")),
        ("GHSA-JFH8-C2JP-5V3Q", ("GHSA", "GHSA-jfh8-c2jp-5v3q")),
        ("ghsa-jfh8-c2jp-5v3q", ("GHSA", "GHSA-jfh8-c2jp-5v3q")),
        ("snyk-js-lodash-567746", ("SNYK", "SNYK-JS-LODASH-567746")),
        ("npm:lodash:20180130", ("SNYK", "npm:lodash:20180130")),
        ("pysec-2021-66", ("PYSEC", "PYSEC-2021-66")),
        ("RUSTSEC-2020-0001", ("RUSTSEC", "RUSTSEC-2020-0001")),
        ("GO-2022-0969", ("GO", "GO-2022-0969")),
        ("MAL-2023-1", ("OSV", "MAL-2023-1")),
        ("DEBIAN-CVE-2021-44228", ("OSV", "DEBIAN-CVE-2021-44228")),  # is about the CVE, and not the CVE
        ("DSA-5020-1", ("BULLETIN", "DSA-5020-1")),
        ("RHSA-2021:5148", ("BULLETIN", "RHSA-2021:5148")),
        ("CVE-2021-1", ("VULNDB", "CVE-2021-1")),
    ],
)
def test_the_value_says_the_kind(value: str, expected: tuple[str, str]) -> None:
    assert identifier(value, "vulndb") == expected
    assert identifier(f" {value} ", "vulndb") == expected


def test_no_name_is_dropped_but_an_empty_one() -> None:
    assert identifier("12345") == ("OTHER", "12345")
    assert identifiers([("nvd", "CVE-2021-44228"), ("cve", "cve-2021-44228"), ("X", " ")], "SNYK-JAVA-A-1") == (
        ("CVE", "CVE-2021-44228"),
        ("SNYK", "SNYK-JAVA-A-1"),
    )
    assert identifiers([], "G101") == ()


def test_the_canonical_name() -> None:
    assert canonical(kinds(GHSA, CVE, SNYK), SNYK) == CVE
    assert canonical(kinds(GHSA, LOW_GHSA), SNYK) == LOW_GHSA
    assert canonical(kinds(GHSA, CVE, OTHER_CVE, LOW_GHSA), SNYK) == LOW_GHSA
    assert canonical(kinds(CVE, OTHER_CVE), SNYK) == SNYK
    assert canonical(kinds(), "advisory 7") == "advisory 7"
    assert canonical(kinds("npm:lodash:20180130", "PYSEC-2021-66")) == "PYSEC-2021-66"
    assert canonical(()) == ""


def test_all_names_lead_to_a_vulnerability_with_one_cve_but_those_of_bulletins() -> None:
    assert alias_names(kinds(CVE, GHSA, "DSA-5020-1", "12345"), SNYK) == (CVE, GHSA, SNYK)
    assert alias_names(kinds(GHSA, "PYSEC-2021-66")) == (GHSA, "PYSEC-2021-66")
    assert alias_names(kinds("DSA-5020-1"), "DSA-5020-1") == ("DSA-5020-1",)
    assert alias_names((), "G101") == ("G101",)


def test_two_cves_are_never_bridged() -> None:
    """A record of OSV with three CVEs and three GHSAs exists; no pair of them may lead from one CVE's finding to another's."""
    group = kinds(CVE, OTHER_CVE, GHSA, LOW_GHSA)
    assert alias_names(group) == (LOW_GHSA,)
    assert alias_names(group, CVE) == (LOW_GHSA,)
    assert alias_names(group, GHSA) == (LOW_GHSA,)
    assert alias_names(group, SNYK) == (LOW_GHSA, SNYK)
    assert alias_names(kinds(CVE, OTHER_CVE), CVE) == (CVE,)
    assert alias_names(kinds(CVE, OTHER_CVE)) == ()


SOME = st.sampled_from([CVE, OTHER_CVE, GHSA, LOW_GHSA, SNYK, "PYSEC-2021-66", "DSA-1-1", "x", "GO-2021-1", "MAL-2021-1"]) | st.text()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.text(), SOME)), SOME, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(ids: list[tuple[str, str]], own: str, shuffled: random.Random) -> None:
    other = ids[:]
    shuffled.shuffle(other)
    assert canonical(other, own) == canonical(ids, own)
    assert alias_names(other, own) == alias_names(ids, own)
    assert identifiers(other, own) == identifiers(ids, own)
    if len(set(ids)) < 50:
        stored = identifiers(ids, own)
        assert alias_names(stored, own) == alias_names(ids, own)  # what is stored leads where what was reported does
        assert identifiers(stored, own) == stored
    assert canonical(ids, own) in (*alias_names(ids, own), "")
    assert sum(name.startswith("CVE-") for name in alias_names(ids, own)) <= 1
