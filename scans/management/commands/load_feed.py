"""Stores a public list about vulnerabilities from a file, where the portal does not reach its publisher."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core import context, work
from core.errors import RepoGuardError
from core.models.work import WorkState
from core.unpacking import CHUNK
from integrations.contract.feeds import FeedName
from scans.feeds.running import work_off
from scans.feeds.starting import start_file
from scans.models import FeedRun

_LOOK_SECONDS = 0.5
_LONGEST_SECONDS = 3600.0


class Command(BaseCommand):
    """See the module."""

    help = (
        "Reads EPSS scores (epss_scores-YYYY-MM-DD.csv.gz) or CISA's catalogue (known_exploited_vulnerabilities.json) from a file, and "
        "brings them to the findings. The page Exploit feeds does the same."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("feed", choices=FeedName.values, help="which list it is")
        parser.add_argument("file", metavar="FILE", help="the file as it was downloaded elsewhere, plain or gzip")
        parser.add_argument("--force", action="store_true", help="take it also if it is older, or much smaller, than the stored list")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take the file in, work it off here, and say what came of it."""
        path, feed = Path(options["file"]), str(options["feed"])
        with context.acting(context.Actor("command", "load_feed", "command load_feed")):
            try:
                with path.open("rb") as file:
                    row = start_file(feed, iter(lambda: file.read(CHUNK), b""), path.name, forced=options["force"])
            except OSError as error:
                raise CommandError(f"{path} can't be read: {error.strerror}.") from error
            except RepoGuardError as error:
                raise CommandError(error.message) from error
            row = _worked_off(row)
        if row.state == WorkState.FAILED:
            raise CommandError(row.error)
        self.stdout.write(
            f"{FeedName(feed).label}: {row.rows} rows, {row.changed} of them changed; {row.findings} findings were brought up to date."
        )


def _worked_off(row: FeedRun) -> FeedRun:
    """Return the run when it has ended: worked off here, or by a worker that was quicker."""
    until = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < until:
        work.run_due(FeedRun, work_off)
        found = FeedRun.objects.defer("file").get(pk=row.pk)
        if found.state in (WorkState.DONE, WorkState.FAILED):
            return found
        time.sleep(_LOOK_SECONDS)
    raise CommandError("It is not done after an hour; the page Exploit feeds shows how far it is.")
