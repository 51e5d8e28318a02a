"""Large documents around their long lists."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any
from unittest import mock

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput, TooLarge
from scans.formats import slices, source
from scans.formats.sarif.report import Sarif
from scans.formats.slices import Sliced
from scans.formats.source import Source
from tests.scans.formats.reports_kit import as_source
from tests.scans.formats.sarif_kit import report, result

pytestmark = pytest.mark.once
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=60, deadline=None)
@given(entries=st.lists(VALUES), around=VALUES, indent=st.sampled_from([None, 1]), size=st.integers(1, 60))
def test_all_is_as_it_was(entries: list[Any], around: Any, indent: int | None, size: int) -> None:
    document = {"before": around, "runs": [{"results": entries, "é": around}, around, {"results": around, "x": []}], "after": [around]}
    text = json.dumps(document, ensure_ascii=indent is None, indent=indent)
    try:
        written = text.encode()
        orjson.loads(written)
    except (UnicodeEncodeError, orjson.JSONDecodeError):
        return
    with mock.patch.object(slices, "CHUNK", size):
        sliced = Sliced(as_source(written), "runs.item.results")
        assert sliced.document["before"] == sliced.document["after"][0] == around
        assert sliced.document["runs"][0] == {"results": [], "é": around}
        assert list(sliced.entries("runs", 0, "results")) == entries
        assert list(sliced.entries("runs", 2, "results")) == (around if isinstance(around, list) else [])
        assert list(sliced.entries("runs", 7, "results")) == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xef\xbb\xbf",
        b'{"runs": [{"results": [1, 2',
        b'{"runs": [{"results": [1, 2]}]',
        b'{"runs": [{"results": [1 2]}]}',
        b'{"runs": [{"results": [1, ]}]}',
        b'{"runs": [{"results": [nul]}]}',
        b'{"runs": [{"results": [NaN]}]}',
        b'{"runs": [{"results": ["\\x"]}]}',
        b'{"runs": [{"results": ["a]}]}',
        b'{"runs": [{7: []}]}',
        b'{"runs": [{"results" []}]}',
        b'{"runs": [{"results": []}]} {}',
        b'{"runs": [{"results": []}]}' + b" " * 100 + b"x",
        b'{"a": \xff"b"}',
        b'{"a": "\xff"}',
        b'{"runs": [{"results": ["\xff"]}]}',
        b'{"runs": [{"results": ["\\ud800"]}]}',
        b"[" * 200,
    ],
)
@pytest.mark.parametrize("size", [8, 4096])
def test_what_is_no_json(text: bytes, size: int) -> None:
    with mock.patch.object(slices, "CHUNK", size), pytest.raises(InvalidInput):
        list(Sliced(as_source(text), "runs.item.results").entries("runs", 0, "results"))


def test_an_error_far_before_the_end_is_told_at_once() -> None:
    written = b'{"runs": [{"results": [{"a": tru}' + b', {"b": 1}' * 10_000 + b"]}]}"
    with mock.patch.object(slices, "CHUNK", 1000), pytest.raises(InvalidInput, match="near byte 23"):
        Sliced(as_source(written), "runs.item.results")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"runs": [{"results": ["x" * 4000]}]}, "entry_too_large"),
        ({"runs": [{"results": [], "tool": "x" * 900, "more": "y" * 900}]}, "report_too_large"),
        ({"runs": [{"results": []}] * 20}, "report_too_large"),
    ],
)
def test_bounds(document: Any, code: str) -> None:
    sizes = mock.patch.multiple(slices, CHUNK=100, GAP_BYTES=1000, DOCUMENT_BYTES=1500)
    with sizes, pytest.raises(TooLarge) as raised:
        Sliced(as_source(document), "runs.item.results")
    assert raised.value.code == code


def test_memory_does_not_grow_with_the_number_of_results() -> None:
    """Peaks are compared, so that the machine's own sizes don't matter: five times the results take about the same."""

    def peak(results: int) -> int:
        file = io.BytesIO(orjson.dumps(report(*(result(f"A{number % 50}", f"src/{number % 90}.py") for number in range(results)))))
        large = Source(file, len(file.getbuffer()))
        tracemalloc.start()
        try:
            assert sum(1 for _ in Sarif().read(large)) == results + 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    with (
        mock.patch.object(source, "WHOLE_BYTES", 0),
        mock.patch.object(slices, "CHUNK", 20_000),
        mock.patch.object(source, "CHUNK", 20_000),
    ):
        peak(10)  # what is made once, at the first reading, counts for neither
        assert peak(2_000) < 1.5 * peak(400)
