from __future__ import annotations

import gzip
import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from builds import housekeeping
from builds.choices import ImportKind
from builds.importing import files, travistorrent, work
from builds.importing.starting import cancel_import, import_csv
from builds.models import Build, BuildImport
from builds.selectors import percent_of, shown_status, with_status
from core.errors import Conflict
from core.housekeeping import Batch
from core.models import Event
from core.work import Run, claim, run_due
from tests.access.keys import client_of
from tests.factories import RepositoryFactory, owner_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/builds/imports"
HEADER = "tr_build_id,gh_project_name,tr_status,gh_build_started_at,tr_duration,tr_log_num_tests_run,git_all_built_commits\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path


def lines(count: int, start: int = 0) -> str:
    return "".join(f"{n},acme/shop,passed,2014-03-01 12:30:00,95,{n},a#b\n" for n in range(start, start + count))


def start(text: str, owner: Any = None) -> BuildImport:
    return import_csv([(HEADER + text).encode()], owner.id if owner else None)


def work_through() -> None:
    while run_due(BuildImport, work.work_off):
        pass


def left() -> list[str]:
    return os.listdir(files.folder())


def numbers(row: BuildImport) -> tuple[int, int, int, int]:
    row.refresh_from_db()
    return (row.seen, row.created, row.updated, row.rejected)


def test_files_that_wait_to_be_read_do_not_fill_the_disk(settings: Any, alice: User, charlie: User) -> None:
    packed = gzip.compress((HEADER + "\n" * 100_000).encode())
    settings.BUILDS_CSV_MAX_BYTES = 150_000
    first, _ = (import_csv([packed], owner_of(alice).id) for _ in range(2))
    with pytest.raises(Conflict, match=r"Files of 2\d{5} bytes .* BUILDS_CSV_MAX_BYTES") as refused:
        import_csv([packed], owner_of(alice).id)
    assert (refused.value.code, len(left())) == ("imports_waiting", 2)
    start(lines(1), owner_of(charlie))
    cancel_import(first)
    import_csv([packed], owner_of(alice).id)


def test_a_file_becomes_builds() -> None:
    RepositoryFactory(full_name="acme/shop")
    row = start(lines(1500))
    assert (row.status, percent_of(row), len(left())) == ("running", 0.0, 1)
    work_through()
    assert numbers(row) == (1500, 1500, 0, 0)
    assert (row.status, row.state, percent_of(row), left()) == ("done", "done", 100.0, [])
    assert Build.objects.filter(repository__isnull=False, source="travistorrent").count() == 1500
    assert not Event.objects.filter(type__startswith="build.").exists()


def test_the_jobs_of_a_build_are_one_build_however_far_apart() -> None:
    jobs = [f"1,acme/shop,failed,2014-03-01 12:30:00,95,{tests},a#b\n" for tests in (10, 30, 20)]
    row = start(jobs[0] + jobs[1] + lines(1200, 2) + jobs[2])
    work_through()
    assert numbers(row) == (1203, 1201, 0, 0)
    assert Build.objects.get(build_id="1").tests_run == 30
    again = start(jobs[2] + lines(1200, 2) + jobs[0])
    work_through()
    assert numbers(again) == (1202, 0, 0, 0)


def test_bad_rows_are_listed_and_the_others_stored() -> None:
    bad = '5,acme/shop\n,acme/shop,passed,NA,NA,NA,NA\n6,acme/shop,"unclosed,NA,NA,NA,NA\n7,acme/shop,boom,NA,NA,NA,NA\n'
    row = start(lines(2) + bad + lines(1, 9))
    work_through()
    assert numbers(row) == (7, 3, 0, 4)
    assert [(one["line"], one["field"]) for one in row.problems] == [(4, ""), (5, "tr_build_id"), (6, ""), (7, "tr_status")]
    assert row.status == "done"


def test_of_many_problems_the_first_are_kept() -> None:
    row = start("x\n" * 3000)
    work_through()
    assert (numbers(row)[3], len(row.problems)) == (3000, 100)


def test_empty_lines_are_passed_over_a_thousand_at_a_time() -> None:
    row = start("\n" * 2500 + lines(1) + ",,,,,,\n\n" + lines(1, 2))
    run = taken(row)
    with open(row.file_path, "rb") as file:
        assert [travistorrent.step(run, file) for _ in range(3)] == [False, False, True]
    assert numbers(row) == (2, 2, 0, 0)


def test_of_long_lines_fewer_are_held() -> None:
    row = start("".join(f"{n},acme/shop,passed,NA,NA,NA,{'x' * 100_000}\n" for n in range(100)))
    with open(row.file_path, "rb") as file:
        chunk = travistorrent.read_chunk(file, travistorrent.Header.of(HEADER.split(",")), ",", len(HEADER), 2)
    assert (chunk.seen, chunk.last) == (84, False)


def taken(row: BuildImport) -> Run:
    BuildImport.objects.filter(pk=row.pk).update(state="queued", run_after=timezone.now())
    held = claim(BuildImport, row.id)[0]
    return Run(held, held.lease_token)  # type: ignore[arg-type]


def test_a_killed_worker_s_successor_goes_on_at_the_byte_it_had_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    row = start(lines(2500))
    run = taken(row)
    with open(row.file_path, "rb") as file:
        assert not travistorrent.step(run, file)
        row.refresh_from_db()
        assert row.progress["byte"] == len(HEADER + lines(1000))
        assert 30 < (percent_of(row) or 0) < 50
        monkeypatch.setattr(travistorrent, "_store", lambda held, chunk, header: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            travistorrent.step(run, file)
        monkeypatch.undo()
    read: list[int] = []
    whole = travistorrent.read_chunk
    monkeypatch.setattr(travistorrent, "read_chunk", lambda *a: read.append(a[3]) or whole(*a))
    BuildImport.objects.filter(pk=row.pk).update(state="queued", lease_owner=None, lease_token=None)
    work_through()
    assert read[0] == len(HEADER + lines(1000))
    assert numbers(row) == (2500, 2500, 0, 0)


def test_a_worker_that_lost_its_lease_writes_nothing() -> None:
    row = start(lines(10))
    late = taken(row)
    BuildImport.objects.filter(pk=row.pk).update(lease_token=None)
    with open(row.file_path, "rb") as file, pytest.raises(travistorrent.LeaseLost):
        travistorrent.step(late, file)
    assert not Build.objects.exists()


@pytest.mark.once
def test_memory_does_not_grow_with_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any number of lines no more than a thousand are held; what is read from the file at once is counted as well."""

    class Endless(io.RawIOBase):
        """A file of 200,000 lines that is in nobody's memory."""

        longest = position = 0
        line = b"1,acme/shop,passed,NA,NA,NA,NA\n"

        def readline(self, size: int | None = -1) -> bytes:  # type: ignore[override]
            if self.position >= 200_000 * len(self.line):
                return b""
            self.position += len(self.line)
            self.longest = max(self.longest, size or -1)
            return self.line

        def seek(self, place: int, whence: int = 0) -> int:
            self.position = place
            return place

        def tell(self) -> int:
            return self.position

    file, byte, line, most, seen = Endless(), 0, 1, 0, 0
    header = travistorrent.Header.of(HEADER.strip().split(","))
    monkeypatch.setattr(travistorrent, "build_row", lambda header, cells: cells[0])
    while not (chunk := travistorrent.read_chunk(file, header, ",", byte, line)).last:  # type: ignore[arg-type]
        byte, line, seen = chunk.byte, chunk.line, seen + chunk.seen
        most = max(most, len(chunk.rows) + len(chunk.lines) + len(chunk.problems))
    assert (seen, line, most) == (200_000, 200_001, 2000)
    assert file.longest == 256 * 1024


def test_a_long_file_gives_way_to_other_work() -> None:
    row = start(lines(2500))
    run = taken(row)
    assert travistorrent.work_off(Run(run.row, run.token, deadline=0.0), row) == travistorrent.Later()
    assert numbers(row)[0] == 1000


def test_it_can_be_cancelled(alice: User) -> None:
    waiting = start(lines(3))
    assert shown_status(cancel_import(waiting)) == "cancelled"
    with pytest.raises(Conflict, match="cancelled"):
        cancel_import(waiting)
    running = start(lines(2500))
    run = taken(running)
    cancel_import(running)
    assert travistorrent.work_off(run, running) == travistorrent.Done()
    assert (numbers(running)[0], left()) == (0, [name for name in left() if name in waiting.file_path])


def test_a_file_of_another_machine_is_waited_for() -> None:
    row = start(lines(3))
    Path(row.file_path).unlink()
    row.progress["host"] = "other"
    assert isinstance(travistorrent.work_off(Run(row, row.id), row), travistorrent.Later)
    work_through()
    row.refresh_from_db()
    assert (shown_status(row), row.error) == ("failed", "The file is gone from the data folder: upload it again.")
    assert list(with_status(BuildImport.objects.all(), "failed")) == [row]
    assert list(with_status(BuildImport.objects.all(), "running")) == []


def test_files_that_nobody_reads_are_removed() -> None:
    row, ended, young = start(lines(1)), start(lines(1)), start(lines(1))
    BuildImport.objects.filter(pk__in=[ended.pk, young.pk]).update(state="failed")
    for one in (row, ended):
        os.utime(one.file_path, (0, 0))
    assert housekeeping.remove_files(Batch(dry_run=True)).rows == 1
    assert housekeeping.remove_files(Batch()).rows == 1
    assert [Path(one.file_path).exists() for one in (row, ended, young)] == [True, False, True]


# --- the API ----------------------------------------------------------------------------------------------------------


def upload(client: APIClient, body: bytes, kind: str = "text/csv") -> Any:
    return client.generic("POST", f"{URL}/csv", body, content_type=kind)


def test_an_upload_is_taken_in_and_read_by_a_worker(alice: User, charlie: User) -> None:
    client, text = client_of(alice), (HEADER + lines(3)).encode()
    RepositoryFactory(full_name="acme/theirs", owner=owner_of(charlie))
    answers = [
        upload(client, text + b"9,acme/theirs,passed,NA,NA,NA,NA\n"),
        upload(client, gzip.compress(text, mtime=0), "application/gzip"),
    ]
    answers.append(client.post(f"{URL}/csv", {"file": SimpleUploadedFile("a.csv", text)}, format="multipart"))
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    work_through()
    listed = client.get(URL).json()["results"]
    assert [(one["seen"], one["created"], one["rejected"], one["status"], one["percent"]) for one in listed] == [
        (3, 0, 0, "done", 100.0), (3, 0, 0, "done", 100.0), (4, 3, 1, "done", 100.0),
    ]  # fmt: skip
    assert client.get(f"{URL}/{answers[0].json()['id']}").json()["problems"][0]["line"] == 5
    assert set(Build.objects.values_list("owner_id", flat=True)) == {owner_of(alice).id}
    assert client.get(URL, {"status": "done", "kind": "github"}).json()["results"] == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [(b"", "text/csv", 400), (b"a,b\n1,2\n", "text/csv", 400), (b"\x1f\x8bxx", "text/csv", 400),
     (b"a=b", "application/x-www-form-urlencoded", 400),
     (b"--x--\r\n", "multipart/form-data; boundary=x", 400), (b"x" * 2000, "text/csv", 413),
     (gzip.compress(b"x" * 2000, mtime=0), "text/csv", 413)],
)  # fmt: skip
def test_what_is_no_such_file_is_refused(alice: User, settings: Any, body: bytes, kind: str, status: int) -> None:
    settings.BUILDS_CSV_MAX_BYTES = 1500
    answer = upload(client_of(alice), body, kind)
    assert (answer.status_code, set(answer.json())) == (status, {"code", "message", "fields", "request_id"})
    if status == 413:
        assert "BUILDS_CSV_MAX_BYTES" in answer.json()["message"]
    assert (left(), BuildImport.objects.count()) == ([], 0)


def test_an_import_is_cancelled_by_its_owner(alice: User) -> None:
    row, client = start(lines(1), owner_of(alice)), client_of(alice)
    assert client.post(f"{URL}/{row.id}/cancel").json()["status"] == "cancelled"
    assert client.post(f"{URL}/{row.id}/cancel").status_code == 409


# --- the command ------------------------------------------------------------------------------------------------------


def test_import_travistorrent_reads_a_file_at_once(tmp_path: Path, alice: User, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "some.csv.gz"
    path.write_bytes(gzip.compress((HEADER + lines(3) + "bad\n").encode()))
    call_command("import_travistorrent", str(path), owner="user:alice")
    said = capsys.readouterr()
    assert "4 lines: 3 builds created, 0 updated, 1 lines rejected." in said.out
    assert "line 5:" in said.err
    assert BuildImport.objects.get(kind=ImportKind.TRAVISTORRENT).owner_id == owner_of(alice).id
    for arguments in ([str(tmp_path / "none.csv")], [str(path), "--owner=user:nobody"]):
        with pytest.raises(CommandError):
            call_command("import_travistorrent", *arguments)
    assert timezone.now() - BuildImport.objects.get().created_at < timedelta(minutes=5)
