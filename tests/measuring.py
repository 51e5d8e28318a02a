"""Which tests are measured for coverage. Before Python 3.12 a measured test takes twice its time, and most repeat what others reached.

On SQLite every test is measured, but of one with many cases on the database only the first few. On PostgreSQL those are measured that
SQLite skips, or that are marked `postgres`. What is marked `no_cover` is never measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import coverage
import pytest
from django.db import connection

CASES = 3
_MEASURED = pytest.StashKey[bool]()


def mark(items: Sequence[pytest.Item], vendor: str = connection.vendor) -> None:
    """Note on each test whether it is measured."""
    for item in items:
        adds = _is_an_early_case(item) if vendor == "sqlite" else _is_about_postgres(item)
        item.stash[_MEASURED] = adds and not item.get_closest_marker("no_cover")


def touches_database(item: pytest.Item) -> bool:
    """Return whether the test uses the database, or starts processes that do."""
    marked = item.get_closest_marker("django_db") or item.get_closest_marker("processes")
    return bool(marked or {"db", "transactional_db", "live_server"} & set(getattr(item, "fixturenames", ())))


def is_measured(item: pytest.Item) -> bool:
    """Return whether the test is measured."""
    return item.stash.get(_MEASURED, True)


def _is_an_early_case(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None)
    return parameters is None or not touches_database(item) or all(index < CASES for index in parameters.indices.values())


def _is_about_postgres(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("postgres") or item.get_closest_marker("skipif"))


class Measuring:
    """Stops coverage while a test runs that is not measured. Processes that tests start never are: they start in half the time."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Let a worker be measured once: what coverage and pytest-cov began in it before would go on wherever this stops."""
        while hasattr(self._config, "workerinput") and (begun := coverage.Coverage.current()) is not None:
            begun.stop()

    @pytest.hookimpl(trylast=True)
    def pytest_collection(self) -> None:
        """Measure on SQLite what importing the code runs."""
        self._measure(connection.vendor == "sqlite")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._measure(is_measured(item))
        return (yield)

    def _measure(self, wanted: bool) -> None:
        controller = self._config.pluginmanager.getplugin("_cov").cov_controller
        if wanted is controller.started:
            return
        if wanted:
            controller.resume()
        else:
            controller.pause()
