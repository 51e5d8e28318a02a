from __future__ import annotations

import gzip
import io
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builds.importing import files
from builds.importing.columns import BadRow, Header, build_row
from builds.importing.lines import LONGEST_RECORD, read_header, records
from core import unpacking
from core.errors import InvalidInput, TooLarge

NEW = Header.of(["\ufefftr_build_id", "gh_project_name", "tr_status", "gh_is_pr", "git_branch", "git_trigger_commit", "gh_build_started_at",
                 "tr_duration", "tr_log_num_tests_run", "tr_log_num_tests_failed", "tr_jobs", "tr_build_number", "gh_lang", "gh_team_size",
                 "git_all_built_commits", "tr_job_id"])  # fmt: skip
CELLS = [
    "42",
    "rails/rails",
    "errored",
    "TRUE",
    "master",
    "abc",
    "2014-03-01 12:30:00",
    "95",
    "100",
    "3",
    "[1#2#3]",
    "7",
    "ruby",
    "12",
    "a#b",
    "9",
]
OLD = Header.of(
    ["tr_build_id", "gh_project_name", "tr_status", "tr_started_at", "git_commit", "tr_tests_run", "tr_tests_fail", "tr_number"]
)


def test_a_row_of_the_newer_columns() -> None:
    row = build_row(NEW, CELLS)
    assert (row.key, row.status, row.conclusion) == (("rails/rails", "travistorrent", "42", 1), "failure", "errored")
    assert (row.is_pull_request, row.event, row.branch, row.commit) == (True, "pull_request", "master", "abc")
    assert (row.started_at, row.duration_seconds) == (datetime(2014, 3, 1, 12, 30, tzinfo=UTC), 95)
    assert (row.tests_run, row.tests_failed, row.jobs, row.number, row.language) == (100, 3, 3, "7", "ruby")
    assert row.extra == {"gh_team_size": "12", "git_all_built_commits": ["a", "b"]}


def test_a_row_of_the_older_columns() -> None:
    row = build_row(OLD, ["1", "a/b", "passed", "2013-01-01 00:00:00", "abc", "5", "NA", ""])
    assert (row.status, row.conclusion, row.commit, row.tests_run, row.tests_failed) == ("success", "passed", "abc", 5, None)
    assert row.started_at == datetime(2013, 1, 1, tzinfo=UTC)


def test_na_and_nothing_are_not_known() -> None:
    row = build_row(NEW, ["42", "rails/rails", "canceled", *["NA", "", " na "], *["NA"] * 10])
    assert (row.status, row.branch, row.commit, row.is_pull_request, row.jobs, row.extra) == ("cancelled", "", "", None, None, {})


@pytest.mark.parametrize(
    ("place", "text", "column"),
    [(0, "NA", "tr_build_id"), (2, "", "tr_status"), (3, "maybe", "gh_is_pr"), (6, "soon", "gh_build_started_at"), (7, "x", "tr_duration"),
     (8, "1.5", "tr_log_num_tests_run"), (8, "inf", "tr_log_num_tests_run")],
)  # fmt: skip
def test_what_can_not_be_read_is_named(place: int, text: str, column: str) -> None:
    cells = [*CELLS]
    cells[place] = text
    with pytest.raises(BadRow) as caught:
        build_row(NEW, cells)
    assert caught.value.column == column


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(BadRow, match="has 15 values; the header names 16"):
        build_row(NEW, CELLS[1:])


def test_the_header_says_what_is_missing() -> None:
    assert NEW.missing() == OLD.missing() == []
    assert Header.of(["tr_build_id", "x"]).missing() == ["gh_project_name", "tr_status"]


def read(text: bytes, byte: int = 0, line: int = 1) -> list[Any]:
    return [(record.cells, record.line) for record in records(io.BytesIO(text), ",", byte, line)]


def test_records_and_their_lines() -> None:
    assert read(b'a,"b ""x"", c"\r\n\r\n"d\ne",f\ng,h') == [(["a", 'b "x", c'], 1), ([], 2), (["d\ne", "f"], 3), (["g", "h"], 5)]


def test_a_quote_that_is_never_closed_costs_one_line() -> None:
    assert read(b'a,b\nc,"d\ne,f\n') == [(["a", "b"], 1), (None, 2), (["e", "f"], 3)]
    endless = b'a,"b\n' + b"c,d\n" * 1000
    assert len(read(endless)) == 1001


def test_a_line_without_end_is_passed_over() -> None:
    assert read(b"a" * (3 * LONGEST_RECORD) + b"\nb,c\n" + b"x" * LONGEST_RECORD) == [(None, 1), (["b", "c"], 2), (None, 3)]


def test_reading_goes_on_at_any_record() -> None:
    text = b'a,b\n"c\n",d\ne,f\n'
    whole = list(records(io.BytesIO(text), ",", 0, 1))
    for place, record in enumerate(whole):
        assert list(records(io.BytesIO(text), ",", record.next_byte, record.next_line)) == whole[place + 1 :]


def test_the_delimiter_is_found() -> None:
    assert read_header(io.BytesIO(b"\xef\xbb\xbfa;b;c\n1")) == (["a", "b", "c"], ";", 9)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path


TEXT = b"".join(b"%d,line\n" % number for number in range(50_000))


@pytest.mark.parametrize("packed", [TEXT, gzip.compress(TEXT), gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:])])
@pytest.mark.parametrize("size", [1, 7, 65_536, 10**7])
def test_a_body_is_kept_unpacked(packed: bytes, size: int) -> None:
    if size < 10 and packed is TEXT:
        packed = packed[:5000]
    path = files.keep(packed[start : start + size] for start in range(0, len(packed), size))
    assert path.read_bytes() == (packed if packed[:1] != b"\x1f" else TEXT)
    assert path.stat().st_mode & 0o077 == 0
    files.discard(str(path))
    assert list(files.folder().iterdir()) == []


def test_an_empty_body_is_an_empty_file() -> None:
    assert files.keep([]).read_bytes() == b""


def test_a_small_file_that_unpacks_to_a_large_one_is_cut_off(settings: Any) -> None:
    settings.BUILDS_CSV_MAX_BYTES = 1_000_000
    pieces = list(unpacking.unpacked([gzip.compress(bytes(20_000_000))]))
    assert max(map(len, pieces)) <= unpacking.CHUNK
    with pytest.raises(TooLarge, match="BUILDS_CSV_MAX_BYTES"):
        files.keep([gzip.compress(bytes(20_000_000))])
    assert list(files.folder().iterdir()) == []


def test_a_broken_gzip_is_refused() -> None:
    packed = gzip.compress(random.Random(1).randbytes(100_000))
    for broken in (packed[:-20], packed[:20] + b"x" * 50 + packed[70:]):
        with pytest.raises(InvalidInput):
            files.keep([broken])
    assert list(files.folder().iterdir()) == []


def test_only_files_of_ours_are_removed(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("x")
    files.discard(str(other))
    files.discard("")
    assert other.exists()
