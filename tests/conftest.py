"""Who is who in every test: alice owns, bob helps (same team), charlie is a stranger; admin and auditor see more."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import caches
from django.db import connection
from django.test import Client, TransactionTestCase
from rest_framework.test import APIClient

from access.choices import Role
from core import runtime
from tests import flushing, measuring


def pytest_configure(config: pytest.Config) -> None:
    """Measure the coverage of those tests only that add to it."""
    runs_tests = not config.getoption("numprocesses", None) or hasattr(config, "workerinput")
    if config.pluginmanager.hasplugin("_cov") and runs_tests:
        config.pluginmanager.register(measuring.Measuring(config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that touch no database as such: on the second database they would only repeat themselves."""
    for item in items:
        if not measuring.touches_database(item):
            item.add_marker(pytest.mark.once)
    measuring.mark(items)


@pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")
def pytest_order_tests(items: list[pytest.Item]) -> None:
    """Put the longest first: none is left over at the end, and one worker gets them all, so that no two run at once."""
    items.sort(key=lambda item: item.get_closest_marker("processes") is None)


@pytest.fixture(scope="session", autouse=True)
def _quick_flush() -> Iterator[None]:
    with mock.patch.object(TransactionTestCase, "_fixture_teardown", flushing.flush):
        yield


@pytest.fixture(scope="session", autouse=True)
def _steady_settings() -> Iterator[None]:
    """Keep settings, once read, for the whole test: rereading them every few seconds would make counts of statements depend on time."""
    with mock.patch.object(runtime, "CACHE_SECONDS", 3600.0):
        yield


@pytest.fixture(scope="session", autouse=True)
def _nobody_left(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """End what still talks to the test database on PostgreSQL, or it could not be dropped: a killed process's session ends late."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            cursor.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}")


def _user(name: str, role: Role | None, *groups: Group, **flags: bool) -> User:
    user = User.objects.create_user(name, f"{name}@example.com", "correct horse battery", **flags)
    roles = [Group.objects.get_or_create(name=role.value)[0]] if role else []
    user.groups.add(*roles, *groups)
    return user


@pytest.fixture(autouse=True)
def _fresh_caches(request: pytest.FixtureRequest) -> None:
    """Start every test with empty caches: what they hold is not part of the test's transaction."""
    runtime.forget()
    caches["default"].clear()
    if connection.vendor == "sqlite":  # there the counters are a file
        caches["counters"].clear()
    elif _commits(request):
        request.getfixturevalue("transactional_db")
        caches["counters"].clear()


def _commits(request: pytest.FixtureRequest) -> bool:
    marker = request.node.get_closest_marker("django_db")
    return bool(marker and marker.kwargs.get("transaction")) or "transactional_db" in request.fixturenames


@pytest.fixture
def team(db: None) -> Group:
    """Return the team of alice and bob."""
    return Group.objects.create(name="team-blue")


@pytest.fixture
def alice(team: Group) -> User:
    """Return the integrator who owns things."""
    return _user("alice", Role.INTEGRATOR, team, is_staff=True)


@pytest.fixture
def bob(team: Group) -> User:
    """Return the integrator of alice's team."""
    return _user("bob", Role.INTEGRATOR, team, is_staff=True)


@pytest.fixture
def charlie(db: None) -> User:
    """Return an integrator of no team: a stranger to alice's things."""
    return _user("charlie", Role.INTEGRATOR, is_staff=True)


@pytest.fixture
def admin(db: None) -> User:
    """Return an administrator."""
    return _user("admin", Role.ADMIN, is_staff=True, is_superuser=True)


@pytest.fixture
def auditor(db: None) -> User:
    """Return an auditor, who reads everything but secrets and writes nothing."""
    return _user("auditor", Role.AUDITOR, is_staff=True)


@pytest.fixture
def api() -> APIClient:
    """Return an anonymous API client; `api.force_authenticate(alice)` or a key's header gives it a caller."""
    return APIClient()


@pytest.fixture
def browser(admin: User) -> Client:
    """Return a browser in which the administrator is logged in."""
    client = Client()
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Return the URL of a real Redis that lives as long as the test run."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.fail("redis-server is missing; install it (Debian: apt-get install redis-server) to run the tests.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_port(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


def _wait_for_port(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("redis-server did not come up within ten seconds.")
