from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.packages.versions import MOST_VERSION, compare
from scans.normal.ranges import contains

GITHUB = [
    ("npm", "1.1.5", ">= 1.0.0, < 1.2.0", True),
    ("npm", "1.2.0", ">= 1.0.0, < 1.2.0", False),
    ("npm", "2.0.0-beta", "< 2.0.0", True),
    ("pip", "4.2.4", "= 4.2.4", True),
    ("pip", "4.2.4.post1", "= 4.2.4", False),
    ("pip", "1.0rc1", "< 1.0", True),
    ("pip", "1.10", "<= 1.9", False),
    ("maven", "2.14.1", ">= 2.13.0, < 2.15.0", True),
    ("maven", "1.0-RC1", "< 1.0", True),
    ("go", "v1.2.3+incompatible", "<= 1.2.3", True),
    ("go", "0.0.0-20200101120000-abcdefabcdef", "< 0.0.0-20210101120000-abcdefabcdef", True),
    ("rubygems", "3.0.0.rc1", "< 3.0.0", True),
    ("nuget", "13.0.1", "< 13.0.1", False),
    ("composer", "v1.2.3.10", "> 1.2.3.9", True),
    ("composer", "1.0-RC1", "> 1.0-beta2", True),
    ("rust", "0.2.22", ">= 0.1.0, < 0.2.23", True),
    ("npm", "0.0.1-alpha", ">= 0", True),
]
SNYK = [
    ("npm", "1.12.1", "<3.0.0-beta1 >1.12.3 || <1.12.0 >=1.4.0", False),
    ("npm", "1.11.0", "<3.0.0-beta1 >1.12.3 || <1.12.0 >=1.4.0", True),
    ("npm", "4.0.5", "<=3.1.2 || >= 4.0.0 <4.1.1", True),
    ("maven", "2.0b4", '["[0,]"]', True),
    ("maven", "3.3.7", '["(,3.4.0)", "[4.0.0-alpha,4.0.0-beta.2)"]', True),
    ("maven", "3.4.0", '["(,3.4.0)", "[4.0.0-alpha,4.0.0-beta.2)"]', False),
    ("maven", "4.0.0-beta.1", "(,3.4.0), [4.0.0-alpha,4.0.0-beta.2)", True),
    ("maven", "4.1.1", "[, 3.4.0) || [4.0.0 ,4.1.2)", True),
    ("maven", "30.0-android", "[, 30.0-android),(30.0-android, 30.0-jre)", False),
    ("rubygems", "0.8.5", '["<0.8.7.1, >=0.8.0"]', True),
    ("rubygems", "0.4.0", '[">= 0"]', True),
    ("nuget", "1.0.0.1", "[1.0.0, 1.0.1)", True),
    ("nuget", "1.0.0", "[1.0.0]", True),
    ("rpm", "20181225-23.6.1", "<20181225-23.12.1", True),
    ("deb", "10.2.1-6", "*", True),
]
OSV = [
    ("PyPI", "1.5", "introduced 0, fixed 1.2, introduced 1.4, last_affected 1.5", True),
    ("PyPI", "1.3", "introduced: 0 fixed: 1.2 introduced: 1.4 last_affected: 1.5", False),
    ("PyPI", "1.1", "1.0, 1.1, 1.3", True),
    ("PyPI", "1.2", "= 1.0 || = 1.1", False),
    ("Debian:11", "1.0~rc1-1", "< 1.0-1", True),
    ("Debian:11", "1:0.9", "< 1.0", False),
    ("Alpine:v3.18", "1.2.3-r1", "< 1.2.3-r10", True),
    ("crates.io", "1.0.0", ">= 0.0.0-0, < 1.0.0", False),
    ("Hex", "1.2.3", "< 1.10.0", True),
]
NPM = [
    ("npm", "1.9.9", "^1.2", True),
    ("npm", "2.0.0-beta", "^1.2", False),
    ("npm", "0.3.0", "^0.2.3", False),
    ("npm", "0.0.3", "^0.0.3", True),
    ("npm", "1.2.9", "~1.2.3", True),
    ("npm", "1.3.0", "~1.2.3", False),
    ("npm", "1.2.7", "1.2.x", True),
    ("npm", "1.2.7", "1.2", True),
    ("npm", "1.2.7", "<=1.2", True),
    ("npm", "1.2.7", ">1.2", False),
    ("npm", "2.3.9", "1.2.3 - 2.3", True),
    ("npm", "v1.0.0", "=v1.0.0", True),
    ("pip", "1.4.9", "~=1.4.2", True),
    ("pip", "1.5.dev1", "~=1.4.2", False),
    ("pip", "1.4.9", "==1.4.*", True),
    ("rubygems", "1.9", "~> 1.2", True),
    ("rubygems", "2.0.0.rc1", "~> 1.2", False),
    ("composer", "1.9.0", "~1.2", True),
    ("composer", "1.9.0", "^1.2 | ^2.0", True),
]
NOBODY_KNOWS = [
    ("npm", "", "< 2"), ("npm", "1.0.0", ""), ("npm", "1.0.0", "until next year"), ("npm", "1.0.0", "< >"), ("maven", "1", "(1)"),
    ("cray", "1.0", "< 2"), ("composer", "dev-master", "< 2"), ("pip", "2004d", "< 2005"), ("npm", "1.0.0", "< banana"),
    ("npm", "1.0.0", "[1.0,2.0"), ("npm", "1.0.0", '["<2", 3]'), ("npm", "1.0.0", '["<2"'), ("npm", "1.0.0", "!=1.x"),
    ("npm", "1" * (MOST_VERSION + 1), "> 0.1"), ("npm", "1.0.0", "<2 || " * 400), ("npm", "1.0.0", " ".join(["1.0.0"] * 200)),
]  # fmt: skip


@pytest.mark.parametrize(("ecosystem", "version", "text", "expected"), [*GITHUB, *SNYK, *OSV, *NPM])
def test_ranges_of_advisories(ecosystem: str, version: str, text: str, *, expected: bool) -> None:
    assert contains(ecosystem, version, text) is expected


@pytest.mark.parametrize(("ecosystem", "version", "text"), NOBODY_KNOWS)
def test_what_cant_be_judged_is_not_guessed(ecosystem: str, version: str, text: str) -> None:
    assert contains(ecosystem, version, text) is None


def test_one_bound_that_cant_be_read_spoils_only_what_hangs_on_it() -> None:
    assert contains("npm", "1.0.0", "< banana || = 1.0.0") is True
    assert contains("npm", "1.0.0", "< banana, > 2.0.0") is False


KINDS = st.sampled_from(
    [
        "npm",
        "pypi",
        "maven",
        "golang",
        "gem",
        "nuget",
        "composer",
        "cargo",
        "deb",
        "rpm",
        "apk",
        "alpm",
        "conan",
        "hackage",
        "hex",
        "pub",
        "x",
    ]
)
VERSIONS = st.from_regex(r"[v=]?[0-9]{1,3}([.:~+_-]([0-9]{1,9}|[a-zA-Z]{1,6})){0,9}", fullmatch=True) | st.text(max_size=120)
PARTS = st.sampled_from([*'<>=~^!|,[]()*x-"', ">=", "||", " - ", "~>", "introduced ", "fixed ", " ", "\n"])
RANGES = st.lists(PARTS | VERSIONS, max_size=12).map("".join) | st.text() | st.lists(st.text()).map(json.dumps)


@settings(deadline=None, max_examples=80)
@given(KINDS, VERSIONS, RANGES)
def test_judging_never_raises(kind: str, version: str, text: str) -> None:
    assert contains(kind, version, text) in (True, False, None)


@settings(deadline=None, max_examples=50)
@given(KINDS, VERSIONS, VERSIONS)
def test_versions_are_ordered(kind: str, one: str, other: str) -> None:
    order = compare(kind, one, other)
    assert compare(kind, other, one) == (None if order is None else -order)
    assert compare(kind, one, one) in (0, None)
