"""Everything a start needs: tables, roles, the first admin, the first key, the schedules. Running it again changes nothing.

Several machines may run it at once: they take turns.
"""

from __future__ import annotations

import fcntl
import re
import secrets
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from access import services
from access.choices import Role
from core import keys_in_use, runfiles, schedules
from templates_app.builtin import ensure_builtins

Say = Callable[[str], None]
DATABASE_PATIENCE_SECONDS = 60.0
# psycopg gives a refused connection no SQLSTATE, so the server's sentence has to do; in another language we wait in vain
_REFUSALS = re.compile(r'authentication failed|no password supplied|no pg_hba\.conf entry|(?:role|database) "[^"]*" does not exist')
_LOCK_NUMBER = 7_236_871_001  # any number that no other program takes as an advisory lock of this database


def run(say: Say) -> bool:
    """Bring the installation up to date; `say` gets a line for each thing that was done. Return whether it said a password."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # whitenoise warns of a folder that is not there
    wait_for_database(say)
    with turn():
        migrate(say)
        keys_in_use.refuse_missing()
        services.ensure_roles()
        said_password = ensure_admin(say)
        if services.ensure_initial_key():
            say("Created the API key of INITIAL_API_KEY.")
        schedules.ensure()
        if count := ensure_builtins():
            say(f"Renewed {count} built-in templates.")
    return said_password


def wait_for_database(say: Say, patience: float = DATABASE_PATIENCE_SECONDS) -> None:
    """Wait until the database takes connections; raises ImproperlyConfigured when it doesn't within `patience` seconds, or refuses us."""
    deadline = time.monotonic() + patience
    told = False
    while True:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            reason = _reason(error)
            if _is_refusal(error):
                raise ImproperlyConfigured(f"the database at {_place()} refuses the connection; check DATABASE_URL{reason}.") from error
            if time.monotonic() > deadline:
                raise ImproperlyConfigured(
                    f"the database at {_place()} takes no connection; check DATABASE_URL and that it runs{reason}."
                ) from error
            if not told:
                say(f"Waiting for the database{reason}.")
                told = True
            time.sleep(0.5)
        else:
            return


def _reason(error: OperationalError) -> str:
    """Return the first line of what the server or driver said, in brackets and without the password."""
    line = str(error).strip().partition("\n")[0].strip().rstrip(".")
    password = str(connection.settings_dict.get("PASSWORD") or "")
    for secret in (password, quote(password, safe="")) if password else ():
        line = line.replace(secret, "***")
    return f" ({line})" if line else ""


def _is_refusal(error: OperationalError) -> bool:
    """Say whether waiting is in vain: wrong credentials (SQLSTATE class 28), or no such database (3D000)."""
    state = str(getattr(error.__cause__, "sqlstate", None) or "")
    return state.startswith("28") or state == "3D000" or bool(_REFUSALS.search(str(error).partition("\n")[0]))


def _place() -> str:
    config = connection.settings_dict
    return f"{config['HOST']}:{config.get('PORT') or 5432}" if config.get("HOST") else str(config["NAME"])


@contextmanager
def turn() -> Iterator[None]:
    """Hold the right to change the installation: a lock of the data folder, and on PostgreSQL one of the database."""
    with (runfiles.run_dir() / "prepare.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if connection.vendor != "postgresql":
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK_NUMBER])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK_NUMBER])


def migrate(say: Say) -> None:
    """Create or change the tables, where anything is to be done."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return
    say("Creating the database." if len(executor.loader.applied_migrations) == 0 else f"Updating the database ({len(plan)} steps).")
    call_command("migrate", interactive=False, verbosity=0)


def _new_password() -> str:
    """Return a password that a double click selects whole: letters and digits, 95 bits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))


def ensure_admin(say: Say) -> bool:
    """Create the first admin, where there is none at all; a generated password is said once and stored nowhere in clear.

    Return whether one was said.
    """
    users: Any = get_user_model()
    if users.objects.filter(is_superuser=True, is_active=True).exists():
        return False
    password = settings.ADMIN_PASSWORD or _new_password()
    with transaction.atomic():
        user, _ = users.objects.get_or_create(username=settings.ADMIN_USERNAME)
        user.is_superuser = user.is_staff = user.is_active = True
        user.set_password(password)
        user.save()
        user.groups.add(Group.objects.get_or_create(name=Role.ADMIN.value)[0])
    if settings.ADMIN_PASSWORD:
        say(f"Created the admin user {settings.ADMIN_USERNAME!r} with the password of ADMIN_PASSWORD.")
        return False
    say(f"Created the admin user {settings.ADMIN_USERNAME!r}. Its password, shown this once:\n\n    {password}\n")
    return True
