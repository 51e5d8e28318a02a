"""manage.py import_travistorrent: reads a TravisTorrent file here and now; workers may help."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.owners import find_owner
from builds.importing.starting import fresh, import_csv
from builds.importing.work import work_off
from builds.models import BuildImport
from builds.selectors import shown_status
from core import context
from core.errors import RepoGuardError
from core.models.work import WorkState
from core.progress import ProgressLine
from core.unpacking import CHUNK
from core.work import run_due

LOOK_SECONDS = 0.5


class Command(BaseCommand):
    """The import is a row like any other: it can be watched in the admin, and goes on in a worker if this process is killed."""

    help = "Import builds from a TravisTorrent CSV file, plain or gzip."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the file and --owner."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--owner", help="Whose builds of unknown projects become (user:NAME or team:NAME); the admins' by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take the file in and read it to its end."""
        try:
            with context.acting(context.Actor("command", "import_travistorrent", "command import_travistorrent")):
                owner_id = find_owner(options["owner"]).id if options["owner"] else None
                row = self._read(import_csv(_chunks(options["file"]), owner_id))
        except OSError as error:
            raise CommandError(f"{options['file']} can't be read: {error.strerror}.") from error
        except RepoGuardError as error:
            raise CommandError(error.message) from error
        for problem in row.problems:
            self.stderr.write(f"line {problem['line']}: {problem['field']} {problem['reason']}")
        self.stdout.write(f"{row.seen:,} lines: {row.created:,} builds created, {row.updated:,} updated, {row.rejected:,} lines rejected.")
        if shown_status(row) != "done":
            raise CommandError(f"The import is {shown_status(row)}: {row.error or 'see the log'}")

    def _read(self, row: BuildImport) -> BuildImport:
        line = ProgressLine(self.stdout, "bytes", row.progress["size"])
        while row.state in (WorkState.QUEUED, WorkState.RUNNING):
            if not run_due(BuildImport, work_off):
                time.sleep(LOOK_SECONDS)  # a worker was faster, and reads the file
            done, row = row.progress.get("byte", 0), fresh(row)
            line(row.progress.get("byte", 0) - done)
        line.finish()
        return row


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
