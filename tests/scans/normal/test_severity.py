from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scans.choices import Severity
from scans.normal import cwe
from scans.normal.severity import judge, of_word, score_of

V2 = "AV:N/AC:L/Au:N/C:C/I:C/A:C"
V30 = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
V31 = "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:L/A:L"
V40 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", Severity.CRITICAL), ("CRITICAL", Severity.CRITICAL), ("blocker", Severity.CRITICAL),
        ("high", Severity.HIGH), ("HIGH", Severity.HIGH), ("ERROR", Severity.HIGH), ("error", Severity.HIGH), ("Important", Severity.HIGH),
        ("medium", Severity.MEDIUM), ("moderate", Severity.MEDIUM), ("WARNING", Severity.MEDIUM), ("warning", Severity.MEDIUM),
        ("low", Severity.LOW), ("note", Severity.LOW), ("minor", Severity.LOW),
        ("info", Severity.INFO), ("INFO", Severity.INFO), ("informational", Severity.INFO), ("Negligible", Severity.INFO),
        ("none", Severity.INFO), (" High ", Severity.HIGH),
        ("unknown", Severity.UNKNOWN), ("UNDEFINED", Severity.UNKNOWN), ("", Severity.UNKNOWN), ("hoch", Severity.UNKNOWN),
        ("10", Severity.CRITICAL), ("9.0", Severity.CRITICAL), ("8.95", Severity.HIGH), ("8.9", Severity.HIGH), ("7", Severity.HIGH),
        ("6.9", Severity.MEDIUM), ("4.0", Severity.MEDIUM), ("3.9", Severity.LOW), ("0.1", Severity.LOW), ("0.0", Severity.INFO),
        ("10.1", Severity.UNKNOWN), ("-1", Severity.UNKNOWN), ("nan", Severity.UNKNOWN), ("inf", Severity.UNKNOWN), ("٧", Severity.UNKNOWN),
    ],
)  # fmt: skip
def test_words_and_scores(word: str, severity: Severity) -> None:
    assert of_word(word) == severity


@pytest.mark.parametrize(
    ("vector", "version", "score", "severity"),
    [
        (V2, "2.0", 10.0, Severity.HIGH),  # the second version has no critical
        (f"({V2})", "2.0", 10.0, Severity.HIGH),
        (f"CVSS2#{V2}", "2.0", 10.0, Severity.HIGH),
        ("AV:L/AC:H/Au:M/C:N/I:N/A:N", "2.0", 0.0, Severity.LOW),
        (V30, "3.0", 9.8, Severity.CRITICAL),
        (f"{V30}/E:U/RL:O/RC:C", "3.0", 9.8, Severity.CRITICAL),  # the base score
        (V31, "3.1", 5.6, Severity.MEDIUM),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "3.1", 0.0, Severity.INFO),
        (V40, "4.0", 9.3, Severity.CRITICAL),
        ("7.5", "", 7.5, Severity.HIGH),
    ],
)
def test_vectors(vector: str, version: str, score: float, severity: Severity) -> None:
    found = score_of(vector)
    assert found is not None
    assert (found.version, found.score, found.severity) == (version, score, severity)


@pytest.mark.parametrize(
    "vector", ["", "CVSS:3.1/AV:N", "CVSS:3.9/" + V31[9:], "CVSS:4.0/", "AV:N", "Ω" + V2, V31 * 10, "CVSS:3.1/" * 20, "/:/"]
)
def test_what_is_no_vector_says_nothing(vector: str) -> None:
    assert score_of(vector) is None


def test_the_sources_word_comes_first_then_the_newest_vector() -> None:
    said = judge("low", "effective_severity_level", (V30,))
    assert (said.severity, said.origin, said.score, said.vector) == (Severity.LOW, "effective_severity_level low", 9.8, V30)
    scored = judge("", "", (V2, V30, V31))
    assert (scored.severity, scored.origin, scored.score, scored.vector) == (Severity.MEDIUM, "cvss 5.6", 5.6, V31)
    assert {judge("", "", vectors) for vectors in itertools.permutations((V2, V31, V40, "10"))} == {judge("", "", (V40,))}


def test_an_unknown_word_is_kept_beside_the_score_and_without_one() -> None:
    assert judge("hoch", "stufe", (V30,)).origin == "cvss 9.8; stufe hoch"
    unknown = judge("hoch", "", ("CVSS:3.1/nonsense",))
    assert (unknown.severity, unknown.origin, unknown.score) == (Severity.UNKNOWN, "severity hoch", None)


@settings(deadline=None, max_examples=40)
@given(st.text(), st.text(), st.lists(st.text() | st.from_regex(r"(CVSS:[234]\.[01]/)?(A[VCu]:[NLH]/?){0,9}"), max_size=4))
def test_judging_never_raises(word: str, origin: str, vectors: list[str]) -> None:
    judged = judge(word, origin, tuple(vectors))
    assert len(judged.origin) <= 200
    assert "\0" not in judged.origin


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (("CWE-79",), (79,)), (("cwe-079", "79", "CWE-79: Cross-site scripting"), (79,)), (("external/cwe/cwe-022",), (22,)),
        (("CWE-89, CWE-20",), (20, 89)), (("https://cwe.mitre.org/data/definitions/327.html",), (327,)), (("CWE-120/CWE-20",), (20, 120)),
        (("NVD-CWE-noinfo", "NVD-CWE-Other", "CWE-0", "", "security", "CVE-2021-79"), ()), (("CWE-1234567",), ()), (("cwe_352",), (352,)),
    ],
)  # fmt: skip
def test_weaknesses(texts: tuple[str, ...], numbers: tuple[int, ...]) -> None:
    assert cwe.numbers(texts) == numbers
    assert cwe.numbers(texts[::-1]) == numbers
