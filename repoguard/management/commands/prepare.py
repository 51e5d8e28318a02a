"""Brings an installation up to date before it starts: keys, tables, roles, first admin, schedules. Safe to run any time."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.context import Actor, acting
from core.errors import RepoGuardError
from repoguard import prepare


class Command(BaseCommand):
    """See the module; manage.py makes missing keys before the settings are read."""

    help = "Creates whatever is missing: keys, database, roles, the first admin user and API key, schedules."
    stealth_options = ("on_password",)  # for call_command: called when a generated password was printed

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare the installation."""
        with acting(Actor("command", "", "manage.py prepare")):
            try:
                if prepare.run(self._say) and options.get("on_password"):
                    options["on_password"]()
            except RepoGuardError as error:
                raise CommandError(error.message) from error

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
