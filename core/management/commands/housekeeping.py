"""manage.py housekeeping: runs the regular jobs now, or says what they would do."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core import context, housekeeping
from core.errors import NotFound


class Command(BaseCommand):
    """Workers run these jobs by themselves; this is for a look, or for room on the disk at once."""

    help = "Run the regular jobs (pruning, reconciling) now, in batches of at most 1,000 rows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --job, --dry-run and --list."""
        parser.add_argument("--job", action="append", metavar="NAME", help="Only this job; may be given several times.")
        parser.add_argument("--dry-run", action="store_true", help="Change nothing; say how many rows each job would delete or mend.")
        parser.add_argument("--list", action="store_true", help="Say which jobs there are.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the jobs one after the other."""
        try:
            jobs = [housekeeping.find(name) for name in options["job"]] if options["job"] else housekeeping.jobs()
        except NotFound as error:
            raise CommandError(error.message) from error
        width = max(len(job.name) for job in jobs)
        if options["list"]:
            for job in jobs:
                self.stdout.write(f"{job.name:<{width}}  every {job.every}  {job.help}")
            return
        verb = "would handle" if options["dry_run"] else "handled"
        with context.acting(context.Actor("command", "housekeeping", "command housekeeping")):
            for job in jobs:
                self.stdout.write(f"{job.name:<{width}}  {verb} {housekeeping.run_now(job, dry_run=options['dry_run'])} rows")
