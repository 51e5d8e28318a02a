"""Reads an uploaded TravisTorrent file, a thousand lines at a time.

The lines, the counters and the byte that was reached change in one transaction, so a killed worker's successor goes on where
the last thousand ended, and counts nothing twice. Jobs of a build that stand far apart meet in the build's row.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.db import transaction

from builds.choices import ImportStatus
from builds.importing import files
from builds.importing.columns import BadRow, Header, build_row
from builds.importing.lines import Record, read_header, records
from builds.importing.work import KIND_NAME
from builds.models import BuildImport
from builds.rows import BuildRow
from builds.services.upsert import ROWS_AT_ONCE, scope_of, store_builds
from core import leases, work_registry
from core.errors import InvalidInput
from core.models.work import WorkState
from core.work import Done, Later, LeaseLost, Run

PROBLEMS_KEPT = 100
MOST_BYTES = 8 * 1024 * 1024
"""So much of a file is held at once at most, however long its lines are."""
ELSEWHERE_SECONDS = 5.0


@dataclass
class Chunk:
    """Up to a thousand lines: good ones with their line numbers, bad ones as problems, and where the next chunk begins.

    `seen` counts them without empty ones; `last` says that the file ends with it.
    """

    byte: int
    line: int
    rows: list[BuildRow] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    seen: int = 0
    last: bool = False


def check_file(path: Path) -> None:
    """Raise InvalidInput unless the file's first line names the columns that every build needs."""
    with path.open("rb") as file:
        missing = Header.of(read_header(file)[0]).missing()
    if missing:
        raise InvalidInput.of(
            "file", f"its first line must name the columns of TravisTorrent; missing: {', '.join(missing)}.", code="no_header"
        )


def work_off(run: Run, row: BuildImport) -> Later | Done:
    """Read the file until it ends or the time is up."""
    path = Path(row.file_path)
    if not path.exists():
        return _without_file(row)
    with path.open("rb") as file:
        while True:
            ended = step(run, file)
            if ended:
                files.discard(row.file_path)
                return Done()
            if run.time_is_up():
                work_registry.wake(KIND_NAME)
                return Later()


def step(run: Run, file: IO[bytes]) -> bool:
    """Store the next thousand lines; returns whether there is no more to do. Raises LeaseLost."""
    with transaction.atomic():
        held = BuildImport.objects.select_for_update().filter(pk=run.row.pk, state=WorkState.RUNNING, lease_token=run.token).first()
        if held is None:
            raise LeaseLost(str(run.row.pk))
        if held.status == ImportStatus.CANCELLED:
            return True
        cells, delimiter, behind = read_header(file)
        header = Header.of(cells)
        chunk = read_chunk(file, header, delimiter, held.progress.get("byte", behind), held.progress.get("line", 2))
        _store(held, chunk, header)
        return held.status != ImportStatus.RUNNING


def read_chunk(file: IO[bytes], header: Header, delimiter: str, byte: int, line: int) -> Chunk:
    """Return the next lines from a byte on: a thousand, fewer where they are long or the file ends."""
    chunk = Chunk(byte, line)
    for number, record in enumerate(records(file, delimiter, byte, line), start=1):
        chunk.byte, chunk.line = record.next_byte, record.next_line
        _take(chunk, header, record)
        if number == ROWS_AT_ONCE or chunk.byte - byte > MOST_BYTES:
            return chunk
    chunk.last = True
    return chunk


def _take(chunk: Chunk, header: Header, record: Record) -> None:
    if record.cells is not None and not any(cell.strip() for cell in record.cells):
        return  # an empty line
    chunk.seen += 1
    try:
        if record.cells is None:
            raise BadRow("", "can't be read: a quote is not closed, or the line is too long.")
        chunk.rows.append(build_row(header, record.cells))
        chunk.lines.append(record.line)
    except BadRow as error:
        chunk.problems.append({"line": record.line, "field": error.column, "reason": error.reason})


def _store(held: BuildImport, chunk: Chunk, header: Header) -> None:
    stored = store_builds(chunk.rows, scope_of(held.owner_id), publish=False)
    rejected = [{"line": chunk.lines[one.index], "field": header.column(one.field), "reason": one.reason} for one in stored.rejected]
    problems = sorted(chunk.problems + rejected, key=lambda problem: problem["line"])
    held.seen += chunk.seen
    held.created += stored.created
    held.updated += stored.updated
    held.rejected += len(problems)
    held.problems = (held.problems + problems)[:PROBLEMS_KEPT]
    held.progress = held.progress | {"byte": chunk.byte, "line": chunk.line}
    if chunk.last:
        held.status = ImportStatus.DONE
    held.save(update_fields=["seen", "created", "updated", "rejected", "problems", "progress", "status", "updated_at"])


def _without_file(row: BuildImport) -> Later | Done:
    """The file lies on the machine that took it in: wait for one of its workers. Else it was read, or is lost."""
    if row.status != ImportStatus.RUNNING:
        return Done()
    host = row.progress.get("host", "")
    if host and host != leases.host_name():
        return Later(ELSEWHERE_SECONDS, f"The file lies on the machine {host}; one of its workers reads it.")
    raise InvalidInput("The file is gone from the data folder: upload it again.", code="file_gone")


def size_of(path: Path) -> int:
    """Return the size of a file in bytes."""
    return os.stat(path).st_size
