"""`manage.py prepare` creates what is missing, once, whoever runs it how often."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django_q.models import Schedule
from psycopg import errors

from access.choices import Role
from access.models import ApiKey
from core import schedules
from repoguard import keys, prepare
from tests.core.portal import Portal

pytestmark = pytest.mark.postgres
KEY = "rg_live_" + "k7Xq" * 12


def run() -> str:
    out = io.StringIO()
    call_command("prepare", stdout=out)
    return out.getvalue()


@contextmanager
def away(reason: str | Exception) -> Iterator[None]:
    """Have a PostgreSQL (password hunter/2) turn every connection down."""
    error = OperationalError(str(reason))
    error.__cause__ = reason if isinstance(reason, Exception) else None
    place = {"HOST": "db.example", "PORT": 5433, "PASSWORD": "hunter/2"}
    with mock.patch.dict(connection.settings_dict, place), mock.patch.object(connection, "ensure_connection", side_effect=error):
        yield


@pytest.mark.django_db
def test_it_creates_roles_admin_and_schedules() -> None:
    said = run()
    (password,) = re.findall(r"^    (\S+)$", said, re.MULTILINE)
    admin = User.objects.get()
    assert admin.check_password(password)
    assert admin.is_superuser
    assert admin.groups.get().name == Role.ADMIN
    assert set(Group.objects.values_list("name", flat=True)) >= set(Role.values)
    assert set(Schedule.objects.values_list("name", flat=True)) == {schedule.name for schedule in schedules.schedules()}


@pytest.mark.django_db
def test_it_tells_its_caller_of_a_password_that_it_printed(settings: Any) -> None:
    told: list[bool] = []
    for _ in range(2):
        call_command("prepare", stdout=io.StringIO(), on_password=lambda: told.append(True))
    assert told == [True]
    User.objects.all().delete()
    settings.ADMIN_PASSWORD = "correct horse battery"
    call_command("prepare", stdout=io.StringIO(), on_password=lambda: told.append(True))
    assert told == [True]


@pytest.mark.django_db
def test_a_second_run_changes_and_says_nothing() -> None:
    run()
    before = [list(model.objects.order_by("pk").values()) for model in (User, Group, Schedule, ApiKey)]
    assert run() == ""
    assert [list(model.objects.order_by("pk").values()) for model in (User, Group, Schedule, ApiKey)] == before


@pytest.mark.django_db
def test_the_admin_may_be_given(settings: Any) -> None:
    settings.ADMIN_USERNAME, settings.ADMIN_PASSWORD = "root", "correct horse battery"
    assert "correct horse" not in run()
    assert User.objects.get(username="root").check_password("correct horse battery")


@pytest.mark.django_db
def test_a_second_admin_is_not_made_when_the_name_changes(settings: Any) -> None:
    run()
    settings.ADMIN_USERNAME = "other"
    assert run() == ""
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_the_first_key_may_be_given(settings: Any) -> None:
    settings.INITIAL_API_KEY = KEY
    said = run()
    assert "INITIAL_API_KEY" in said
    assert KEY not in said
    assert ApiKey.objects.count() == 1
    assert run() == ""


@pytest.mark.django_db
def test_a_first_key_that_is_unfit_is_named(settings: Any) -> None:
    settings.INITIAL_API_KEY = "short"
    with pytest.raises(CommandError, match="INITIAL_API_KEY"):
        run()


def test_it_waits_for_the_database_and_then_gives_up() -> None:
    said: list[str] = []
    with away("connection refused for hunter%2F2\nhint"), pytest.raises(ImproperlyConfigured) as raised:
        prepare.wait_for_database(said.append, patience=0.6)
    assert said == ["Waiting for the database (connection refused for ***)."]
    sentence = "the database at db.example:5433 takes no connection; check DATABASE_URL and that it runs (connection refused for ***)."
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    "reason",
    [
        'connection failed: FATAL:  password authentication failed for user "repoguard"',
        "connection failed: fe_sendauth: no password supplied",
        'connection failed: FATAL:  no pg_hba.conf entry for host "10.0.0.1"',
        'connection failed: FATAL:  database "repogard" does not exist',
        'connection failed: FATAL:  role "hunter/2" does not exist',
        errors.InvalidPassword("nein"),
        errors.InvalidCatalogName("nein"),
    ],
)
def test_it_does_not_wait_for_a_database_that_refuses(reason: str | Exception) -> None:
    said: list[str] = []
    with (
        away(reason),
        pytest.raises(ImproperlyConfigured, match=r"db\.example:5433 refuses the connection; check DATABASE_URL \(") as raised,
    ):
        prepare.wait_for_database(said.append)
    assert said == []
    assert "hunter" not in str(raised.value)


def test_it_waits_for_a_database_that_is_starting() -> None:
    said: list[str] = []
    with away("connection failed: FATAL:  the database system is starting up"), pytest.raises(ImproperlyConfigured, match="takes no"):
        prepare.wait_for_database(said.append, patience=0)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite creates what is missing")
def test_the_servers_own_refusal_is_understood(tmp_path: Path) -> None:
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + "/no_such_database"
    keys.create_missing(tmp_path)
    environment = Portal(tmp_path, "web", DATABASE_URL=url).environment
    command = [sys.executable, str(Path(prepare.__file__).parent.parent / "manage.py"), "prepare"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=50)
    assert "refuses the connection" in done.stderr
    assert done.stdout == ""


def test_it_goes_on_when_the_database_comes_up() -> None:
    with mock.patch.object(connection, "ensure_connection", side_effect=[OperationalError, None]):
        prepare.wait_for_database(lambda line: None)


@pytest.mark.once
@pytest.mark.processes
def test_two_first_starts_at_once_make_one_installation(tmp_path: Path) -> None:
    portal = Portal(tmp_path, "web")
    command = [sys.executable, str(Path(prepare.__file__).parent.parent / "manage.py"), "prepare"]
    starts = [
        subprocess.Popen(command, env=portal.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = [start.communicate(timeout=120) for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0], answers
    assert sum("shown this once" in out for out, _ in answers) == 1
    assert portal.ask("SELECT count(*) FROM auth_user") == 1
    assert portal.ask("SELECT count(*) FROM django_q_schedule") == len(schedules.schedules())


@pytest.mark.django_db(transaction=True)
def test_machines_take_turns_on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one machine, and a lock of its folder")
    from threading import Event, Thread

    inside, order = Event(), []

    def other() -> None:
        with mock.patch.object(prepare.fcntl, "flock"), prepare.turn():  # as on another machine, with another folder
            order.append("other")
        connection.close()

    with prepare.turn():
        second = Thread(target=other)
        second.start()
        inside.wait(0.3)
        order.append("first")
    second.join(20)
    assert order == ["first", "other"]


@pytest.mark.django_db
def test_nothing_is_migrated_when_nothing_is_to_be() -> None:
    with mock.patch.object(prepare, "call_command") as migrate:
        prepare.migrate(lambda line: None)
    migrate.assert_not_called()


def test_the_command_line_names_what_is_wrong_without_a_traceback(tmp_path: Path) -> None:
    portal = Portal(tmp_path, "web", DATABASE_URL="postgres://repoguard:hunter2@127.0.0.1:1/none")
    portal.environment["DATABASE_URL"] = "mysql://repoguard:hunter2@127.0.0.1:1/none"
    done = subprocess.run(
        [sys.executable, "manage.py", "prepare"], cwd=Path(prepare.__file__).parent.parent, env=portal.environment,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("RepoGuard can't start: DATABASE_URL names no PostgreSQL")
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr
