"""The counter cache: a Django cache whose counting is exact among processes."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.db import connection, connections

from core.counters import CounterCache
from tests.core.processes import line_of, python, say

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@pytest.fixture
def cache() -> Any:
    assert isinstance(caches["counters"], CounterCache)
    return caches["counters"]


def test_it_keeps_values_until_they_are_deleted(cache: Any) -> None:
    cache.set("a", {"b": [1, None]})
    assert cache.get("a") == {"b": [1, None]}
    assert cache.delete("a")
    assert not cache.delete("a")
    assert cache.get("a", "gone") == "gone"


def test_it_adds_only_what_is_not_there(cache: Any) -> None:
    assert cache.add("a", 1)
    assert not cache.add("a", 2)
    assert cache.get("a") == 1


def test_it_counts_up_and_down(cache: Any) -> None:
    cache.set("a", 1)
    assert cache.incr("a") == 2
    assert cache.incr("a", 10) == 12
    assert cache.decr("a", 2) == 10
    assert cache.get("a") == 10


def test_it_does_not_count_what_is_not_there(cache: Any) -> None:
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nothing")


def test_values_expire(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("core.counters.time.time", lambda: clock[0])
    monkeypatch.setattr("django.core.cache.backends.base.time.time", lambda: clock[0])
    cache.set("a", 1, 10)
    clock[0] += 9
    assert cache.incr("a") == 2
    assert cache.touch("a", 10)
    clock[0] += 9
    assert cache.get("a") == 2
    clock[0] += 2
    assert cache.get("a") is None
    assert not cache.touch("a", 10)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("a")
    assert cache.add("a", 5, 10)
    assert cache.get("a") == 5


def test_a_value_without_timeout_stays(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.set("a", 1, None)
    monkeypatch.setattr("core.counters.time.time", lambda: 9e12)
    assert cache.get("a") == 1


def test_expired_rows_are_deleted_now_and_then(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.set("old", 1, -1)
    cache.set("kept", 1, 1000)
    monkeypatch.setattr(cache, "_pruned_at", 0.0)
    cache.add("new", 1)
    names = {name.rpartition(":")[2] for (name,) in cache._run("SELECT name FROM core_counter", [])}
    assert names == {"kept", "new"}


def test_clearing_leaves_nothing(cache: Any) -> None:
    cache.set("a", 1)
    cache.clear()
    assert cache.get("a") is None


def test_a_transaction_that_is_closed_does_not_close_the_counters(cache: Any) -> None:
    cache.set("a", 1)
    cache.close()
    assert cache.incr("a") == 2


def test_threads_lose_no_count(cache: Any) -> None:
    cache.set("a", 0)

    def count() -> None:
        try:
            for _ in range(50):
                caches["counters"].incr("a")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("a") == 400


def test_on_sqlite_they_live_in_a_file_of_their_own(cache: Any) -> None:
    if connection.vendor == "sqlite":
        assert cache._path == str(settings.DATA_DIR / "counters.sqlite3") != str(connection.settings_dict["NAME"])
    else:
        assert "core_counter" in connection.introspection.table_names()


_LIMITED = """
import sys
from django_ratelimit.core import get_usage
from django.test import RequestFactory
request = RequestFactory().get("/")
def once():
    return get_usage(request, group="g", key=lambda g, r: "v", rate="100/d", increment=True)["should_limit"]
print("ready", flush=True)
sys.stdin.readline()
print(sum(not once() for _ in range(40)), flush=True)
"""


@pytest.mark.processes
def test_eight_processes_together_get_exactly_the_limit(cache: Any) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(python(_LIMITED)) for _ in range(8)]
        assert [line_of(process) for process in processes] == ["ready"] * 8
        for process in processes:
            say(process, "go")
        passed = [int(line_of(process)) for process in processes]
    assert sum(passed) == 100, passed
