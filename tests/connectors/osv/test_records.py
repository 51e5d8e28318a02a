"""What records say of a package: which version mends it, how bad it is. Also for reports of OSV-Scanner."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.connectors.osv import records
from integrations.connectors.osv.asked import Asked
from integrations.connectors.osv.fixes import Mended, mended
from integrations.connectors.osv.found import findings, names_of, slim
from tests.connectors.contract import fuzz, json_values
from tests.connectors.osv.stub import record

pytestmark = pytest.mark.once


def ranged(*ranges: list[dict[str, str]], ecosystem: str = "PyPI", kind: str = "ECOSYSTEM") -> dict[str, Any]:
    listed = [{"type": kind, "events": events} for events in ranges]
    return {"id": "X-1", "affected": [{"package": {"ecosystem": ecosystem, "name": "left"}, "ranges": listed}]}


def events(*pairs: str) -> list[dict[str, str]]:
    return [dict([pair.split(" ")]) for pair in pairs]


FIELDS = ["aliases", "affected", "severity", "database_specific", "details", "summary", "withdrawn", "references"]
TWO_LINES = events("introduced 2.0.0", "fixed 2.0.7", "introduced 0", "fixed 1.26.18")


@pytest.mark.parametrize(
    ("version", "found", "expected"),
    [
        ("1.26.17", ranged(TWO_LINES), Mended("1.26.18", "<1.26.18")),
        ("2.0.5", ranged(TWO_LINES), Mended("2.0.7", ">=2.0.0, <2.0.7")),
        ("2.0.5", ranged(events("introduced 0", "fixed 1"), events("introduced 2.0", "fixed 2.0.10")), Mended("2.0.10", ">=2.0, <2.0.10")),
        # the first fix is affected again by another range: it mends nothing
        ("1.0", ranged(events("introduced 0", "fixed 1.5"), events("introduced 1.5", "fixed 1.6")), Mended("1.6", "<1.5")),
        ("1.0", ranged(events("introduced 0"), events("introduced 2.0", "fixed 2.5")), Mended("", "")),
        ("1.0", ranged(events("introduced 0", "last_affected 1.4")), Mended("", "<=1.4")),
        ("1.9", ranged(events("introduced 0", "fixed 1.10")), Mended("1.10", "<1.10")),
        ("1.9", ranged(events("introduced 0", "fixed 4e50fbc5db"), kind="GIT"), Mended()),
        ("1.9", ranged(events("introduced 0", "fixed 1.10"), ecosystem="npm"), Mended()),
        ("odd version", ranged(events("introduced 0", "fixed 1.10")), Mended("1.10")),
        ("odd version", ranged(TWO_LINES), Mended()),
    ],
)  # fmt: skip
def test_the_version_that_mends_it(version: str, found: dict[str, Any], expected: Mended) -> None:
    assert mended([found], "PyPI", "Left", version) == expected


def test_a_record_without_a_fix_leaves_it_to_one_that_knows_it() -> None:
    old, new = ranged(events("introduced 0")), ranged(events("introduced 0", "fixed 2.0"))
    assert mended([old, new], "PyPI", "left", "1.0").fixed == "2.0"


def test_a_distributions_release_is_asked_for_its_own_fix() -> None:
    fixes = {"Debian:11": "1.9", "Debian:12": "2.0"}
    parts = [part for name, fix in fixes.items() for part in ranged(events("introduced 0", f"fixed {fix}"), ecosystem=name)["affected"]]
    assert mended([{"id": "X", "affected": parts}], "Debian:12", "left", "1.0").fixed == "2.0"
    # which release it is nobody said: the version that is in no range of any
    assert mended([{"id": "X", "affected": parts}], "Debian", "left", "1.0").fixed == "2.0"


def test_how_bad_it_is_comes_from_the_database_the_distribution_or_the_vectors() -> None:
    ubuntu = record("UBUNTU-CVE-2031-1", ecosystem="Ubuntu:22.04:LTS", severity=[{"type": "Ubuntu", "score": "medium"}])
    assert records.severity([ubuntu], "Ubuntu:22.04:LTS", "left") == ("medium", "severity Ubuntu")
    within = record("GO-2031-1")
    within["affected"][0]["severity"] = [{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}]
    assert records.severity([within], "npm", "left") == ("", "")
    assert records.vectors([within], "npm", "left") == ("AV:N/AC:L/Au:N/C:P/I:P/A:P",)
    assert records.severity([record("MAL-2031-1")], "npm", "left")[0] == "critical"


def test_two_cves_stay_two_though_a_record_names_both() -> None:
    both = record("GHSA-aaaa-bbbb-cccc", aliases=["CVE-2031-1", "CVE-2031-2"])
    one, other = record("PYSEC-2031-1", aliases=["CVE-2031-1"]), record("PYSEC-2031-2", aliases=["CVE-2031-2"])
    grouped = [[each["id"] for each in group] for group in records.same([other, one, both])]
    assert grouped == [["GHSA-aaaa-bbbb-cccc", "PYSEC-2031-1", "PYSEC-2031-2"]]


@fuzz
@given(
    st.lists(st.dictionaries(st.sampled_from(["aliases", "affected", "severity", "database_specific", "details", "summary"]), json_values))
)
def test_records_may_hold_anything(found: list[dict[str, Any]]) -> None:
    package = Asked("npm", "left", "1.0.0", "", ())
    names = names_of([package])
    for one in findings(package, [slim({"id": f"X-{place}", **each}, names) for place, each in enumerate(found)]):
        assert one.rule.startswith("X-")
