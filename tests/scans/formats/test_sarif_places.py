"""Paths in SARIF end relative to the repository's root, however they were written."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.contract.reports import ReportedLocation
from scans.formats.sarif.places import MOST_LOCATIONS, Places
from tests.scans.formats.sarif_kit import one, place, result

pytestmark = pytest.mark.once
CHAIN = {
    "REPO": {"description": {"text": "no uri"}},
    "SRC": {"uri": "src/", "uriBaseId": "REPO"},
    "LOOP": {"uri": "l/", "uriBaseId": "LOOP"},
}
ROOTED = {
    "PROJECTROOT": {"uri": "file:///home/me/p/"},
    "SRCROOT": {"uri": "src", "uriBaseId": "PROJECTROOT"},
    "OUT": {"uri": "file:///tmp/o/"},
}


@pytest.mark.parametrize(
    ("artifact", "run", "path"),
    [
        ({"uri": "src/a.py"}, {}, "src/a.py"),
        ({"uri": "./src//b/../a.py"}, {}, "src/a.py"),
        ({"uri": "../../a.py"}, {}, "a.py"),
        ({"uri": "src\\win\\a.cs"}, {}, "src/win/a.cs"),
        ({"uri": "my%20dir/%C3%A4.py"}, {}, "my dir/ä.py"),
        ({"uri": "not a valid URI"}, {}, "not a valid URI"),
        ({"uri": "/src/a.py"}, {}, "src/a.py"),
        ({"uri": "."}, {}, "."),
        ({"uri": "a.c", "uriBaseId": "%SRCROOT%"}, {}, "a.c"),
        ({"uri": "io/kb.c", "uriBaseId": "SRC"}, {"originalUriBaseIds": CHAIN}, "src/io/kb.c"),
        ({"uri": "README.md", "uriBaseId": "REPO"}, {"originalUriBaseIds": CHAIN}, "README.md"),
        ({"uri": "a.c", "uriBaseId": "SRCROOT"}, {"originalUriBaseIds": ROOTED}, "src/a.c"),
        ({"uri": "a.c", "uriBaseId": "OUT"}, {"originalUriBaseIds": ROOTED}, "a.c"),
        ({"uri": "file:///home/me/p/src/a.c"}, {"originalUriBaseIds": ROOTED}, "src/a.c"),
        ({"uri": "file:///tmp/o/a.log"}, {"originalUriBaseIds": ROOTED}, "a.log"),
        ({"uri": "go.sum", "uriBaseId": "ROOTPATH"}, {"originalUriBaseIds": {"ROOTPATH": {"uri": "file:///"}}}, "go.sum"),
        ({"uri": "file:///w/x/a.c"}, {"versionControlProvenance": [{"mappedTo": {"uri": "file:///w/x"}}]}, "a.c"),
        ({"uri": "file:///w/x/a.c"}, {"invocations": [{"workingDirectory": {"uri": "file:///w/x/"}}]}, "a.c"),
        ({"uri": "file:///home/runner/work/repo/repo/a.c"}, {}, "a.c"),
        ({"uri": "/github/workspace/lib/a.c"}, {}, "lib/a.c"),
        ({"uri": "file:///builds/group/project/a.c"}, {}, "a.c"),
        ({"uri": "file:///D:/a/1/s/a.c"}, {}, "a.c"),
        ({"uri": "file:////src/lib/a.js"}, {}, "lib/a.js"),
        ({"uri": "file:///C:/code/a.c"}, {}, "C:/code/a.c"),
        ({"uri": "file://host.example/work/a.c"}, {}, "work/a.c"),
        ({"uri": "https://git.example/o/r/a.c"}, {}, "https://git.example/o/r/a.c"),
        ({"index": 1}, {"artifacts": [None, {"location": {"uri": "b.c", "uriBaseId": "SRC"}}], "originalUriBaseIds": CHAIN}, "src/b.c"),
        ({"uri": None, "index": 9}, {"artifacts": []}, ""),
        ({"uri": 5, "uriBaseId": []}, {"originalUriBaseIds": []}, ""),
        (None, {}, ""),
    ],
)
def test_paths(artifact: Any, run: dict[str, Any], path: str) -> None:
    assert Places(run).path(artifact) == path


def test_base_ids_that_go_in_circles() -> None:
    assert Places({"originalUriBaseIds": CHAIN}).path({"uri": "a.c", "uriBaseId": "LOOP"}).endswith("l/a.c")


@pytest.mark.parametrize(
    ("region", "lines"),
    [
        ({"startLine": 4}, (4, None)),
        ({"startLine": 4, "endLine": 2}, (4, None)),
        ({"startLine": 0}, (None, None)),
        ({"byteOffset": 10, "endLine": 9}, (None, None)),
        ({"startLine": "4"}, (None, None)),
        ({"startLine": True}, (None, None)),
        ({"startLine": 10**12}, (None, None)),
        (7, (None, None)),
        (None, (None, None)),
    ],
)
def test_lines(region: Any, lines: tuple[int | None, int | None]) -> None:
    (found,) = one(result(locations=[place("a.c", region)])).locations
    assert (found.line, found.end_line) == lines


def test_several_locations_are_one_finding_and_bounded() -> None:
    found = one(result(locations=[None, {}, {"physicalLocation": None}, *(place(f"{n}.c") for n in range(MOST_LOCATIONS * 2))]))
    assert len(found.locations) == MOST_LOCATIONS - 3
    assert found.locations[0] == ReportedLocation("0.c")


def test_without_a_file() -> None:
    assert one(result(uri=None, analysisTarget={"uri": "x/app.exe"})).locations == (ReportedLocation("x/app.exe"),)
    logical = one(result(locations=[{"logicalLocations": [{"fullyQualifiedName": "com.acme.Main"}]}]))
    assert (logical.locations, logical.fingerprints) == ((), {"logicalLocation": "com.acme.Main"})
