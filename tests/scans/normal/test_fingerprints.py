from __future__ import annotations

import itertools

import pytest

from scans.normal.fingerprints import fingerprint, message_of, plain_code, plain_message, scanners_own

HASH = "fcf9b6304878190f22b75d22e4a1c5039af584bbb46ca09909bfa49059460f6f"
SNYK = {"0": HASH, "1": "ae77ea27.4773f344.607187b5.1c17f46e", "identity": "84bef90d-511b-4645-b0e4-fbfcdc3721fd"}


@pytest.mark.parametrize(
    ("own", "taken"),
    [
        (SNYK, "identity\n84bef90d-511b-4645-b0e4-fbfcdc3721fd"),
        ({"0": HASH, "1": SNYK["1"]}, f"1\n{SNYK['1']}"),
        ({"matchBasedId/v1": HASH}, f"matchbasedid\n{HASH}"),
        (
            {"primaryLocationLineHash": "39fa2ee980eb94b0:1", "primaryLocationStartColumnFingerprint": "4"},
            "primarylocationlinehash\n39fa2ee980eb94b0:1",
        ),
        ({"contextHash/v1": HASH, "other": HASH}, f"contexthash\n{HASH}"),
        ({"contextHash/v1": HASH, "contextHash/v2": HASH[::-1]}, f"contexthash\n{HASH[::-1]}"),
        ({"github/alert": "7", "identity": SNYK["identity"]}, "github/alert\n7"),
        ({"logicalLocation": "run(int, int)", "fingerprint": HASH}, "logicallocation\nrun(int, int)"),
        ({"fingerprint": HASH, "aHash": HASH[::-1]}, f"ahash\n{HASH[::-1]}"),
    ],
)
def test_the_scanners_own_fingerprint_that_says_most_is_taken_in_any_order(own: dict[str, str], taken: str) -> None:
    assert {scanners_own(dict(order)) for order in itertools.permutations(own.items())} == {taken}


@pytest.mark.parametrize(
    "own",
    [
        {"0": HASH},
        {"scanFileHash": HASH, "scanPrimaryLocationHash": HASH},
        {"csvRowSha256": HASH},
        {"primaryLocationStartColumnFingerprint": "12345678"},
        {"matchBasedId/v1": "requires login"},
        {"Fingerprint": "d1ff9c5c:src/settings.py:generic-api-key:12"},
        {"Fingerprint": "src/settings.py|12"},
        {"hash": "000000000000"},
        {"number": "123456789"},
        {"hash": "abc"},
        {"hash": ""},
    ],
)
def test_a_mere_place_or_constant_is_not_taken(own: dict[str, str]) -> None:
    assert scanners_own(own) == ""
    assert fingerprint(own) == ""
    assert fingerprint(own, "eval(x)").startswith("code:")


def test_the_code_counts_then_the_message_and_no_line() -> None:
    by_code = fingerprint({}, "  eval( x )\n", "Line 3 is evil", 3)
    assert by_code.startswith("code:")
    assert fingerprint({}, "eval( x )", "Line 30 is more evil", 30) == by_code
    assert fingerprint({}, "exec( x )", "Line 3 is evil", 3) != by_code
    by_text = fingerprint({}, "requires login", "Line 3, column 7-9 of sha1 is evil", 3)
    assert by_text.startswith("text:")
    assert fingerprint({}, "", "Line 30,\n  column 17-19 of sha1 is evil", 30) == by_text
    assert fingerprint({}, "", "Line 3, column 7-9 of md5 is evil", 3) != by_text
    assert fingerprint({}, " \n", " ") == ""


def test_only_the_findings_lines_of_a_numbered_snippet_count() -> None:
    assert plain_code("11 import os\n12 os.system(x)\n13 return\n", 12) == "os.system(x)"
    assert plain_code("110 import sys\n111   os.system(x)\n112 pass\n", 111) == "os.system(x)"
    assert plain_code("12 os.system(\n13   x)\n14 pass", 12, 13) == "os.system( x)"
    assert plain_code("12 * x", 12) == "* x"
    # numbers that are the code's own
    assert plain_code("1 2 3\n1 2 4", 1) == "1 2 3 1 2 4"
    assert plain_code("12 os.system(x)", 99) == "12 os.system(x)"
    assert plain_code("12 os.system(x)") == "12 os.system(x)"


def test_names_in_messages_keep_their_numbers() -> None:
    assert plain_message("CVE-2021-44228 in log4j2 v2.14.1, line 3 (3:7)") == "CVE-2021-44228 in log4j2 v2.14.1, line # (#)"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"message": {"text": "Bad"}}, "Bad"),
        ({"message": {"id": "default", "arguments": ["x", 3, "y"]}}, "default x y"),
        ({"message": {"text": "Bad {0}", "arguments": ["x"]}}, "Bad {0} x"),
        ({"message": "Bad"}, "Bad"),
        ({"most_recent_instance": {"message": {"text": "Bad"}}}, "Bad"),
        ({"message": None, "most_recent_instance": 3}, ""),
        ({"message": {"text": None, "arguments": "x"}}, ""),
        ({"message": 3}, ""),
        ({}, ""),
    ],
)
def test_the_message_about_the_place(raw: dict[str, object], message: str) -> None:
    assert message_of(raw) == message
