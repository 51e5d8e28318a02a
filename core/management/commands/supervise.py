"""Runs the portal: the web server and both clusters of workers, each started again when it dies or falls silent."""

from __future__ import annotations

import logging
import shlex
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection

from core import keys_in_use, queue
from core.errors import Conflict
from core.supervisor import alive, child
from core.supervisor.child import CannotStart
from core.supervisor.watch import Supervisor

logger = logging.getLogger(__name__)
PROGRAMS = ("web", *queue.CLUSTERS)


class Command(BaseCommand):
    """See the module."""

    help = "Runs the web server and the workers, and starts again whatever dies or hangs, until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--only", default=",".join(PROGRAMS), help=f"What to run here: any of {', '.join(PROGRAMS)}. Default: all.")
        parser.add_argument("--prepare", action="store_true", help="Run `manage.py prepare` first.")
        parser.add_argument("--hello", action="store_true", help="Say where the portal is once it answers.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Supervise until told to stop."""
        names = [name.strip() for name in options["only"].split(",") if name.strip()]
        unknown = sorted(set(names) - set(PROGRAMS))
        if unknown or not names:
            raise CommandError(f"--only takes any of {', '.join(PROGRAMS)}, not {', '.join(unknown) or 'nothing'}.", returncode=2)
        children = [child.web() if name == "web" else child.cluster(name) for name in dict.fromkeys(names)]
        hello = Greeting(self)
        supervisor = Supervisor(children, on_ready=hello if options["hello"] and "web" in names else lambda: None)
        try:
            supervisor.claim()  # a port that is taken must not cost the only sight of the admin's password
            if options["prepare"]:
                call_command("prepare", stdout=self.stdout, on_password=hello.mention_password)
            else:
                refuse_missing_keys()
            supervisor.run()
        except Conflict as error:
            raise CommandError(error.message, returncode=2) from error
        except CannotStart as error:
            raise CommandError(str(error), returncode=2) from error


class Greeting:
    """Prints where the portal is and what to do next, once the web server answers."""

    def __init__(self, command: BaseCommand) -> None:
        self._command = command
        self._said = False
        self._user = f"user {settings.ADMIN_USERNAME}"

    def mention_password(self) -> None:
        """Point to the password that this start has printed."""
        self._user = f"user {settings.ADMIN_USERNAME} (password printed above, at the first start)"

    def __call__(self) -> None:
        """Print it, the first time the server answers."""
        if self._said or not portal_answers():
            return
        self._said = True
        url = settings.PUBLIC_URL.rstrip("/")
        self._command.stdout.write(
            f"\n  RepoGuard is at {url}\n"
            f"    admin         {url}/admin/     {self._user}\n"
            f"    REST          {url}/docs\n"
            f"    data          {settings.DATA_DIR}\n"
            f"    an API key    {_where_data_is()}.venv/bin/python manage.py createapikey --name my-key\n"
            "    stop          Ctrl-C\n"
        )
        self._command.stdout.flush()


def _where_data_is() -> str:
    """Return what manage.py must be told in another terminal: where the data is, unless it is where it looks by itself."""
    found_by_itself = settings.DATA_DIR == settings.BASE_DIR / "var"
    return "" if found_by_itself else f"REPOGUARD_DATA_DIR={shlex.quote(str(settings.DATA_DIR))} "


def refuse_missing_keys() -> None:
    """Raise Conflict when FERNET_KEYS lacks a key that stored values need; a database that is away or empty is not judged here."""
    try:
        keys_in_use.refuse_missing()
    except Error:
        logger.warning("keys_not_checked")
    finally:
        if not connection.in_atomic_block:
            connection.close()  # it stays open for days otherwise, and serves nobody


def portal_answers() -> bool:
    """Say whether the web server answers, and not merely listens."""
    host = next(iter(settings.ALLOWED_HOSTS), "localhost")
    address = "127.0.0.1" if settings.BIND in {"0.0.0.0", ""} else settings.BIND  # noqa: S104 - compared, not bound
    return alive.web_answers(settings.PORT, host, address)
