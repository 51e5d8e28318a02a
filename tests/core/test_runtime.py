from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from django.db import connection

from core import runtime
from core.models import RuntimeSettings

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_reading() -> Iterator[None]:
    runtime.forget()
    yield
    runtime.forget()


def test_it_has_every_setting_of_the_row():
    columns = {field.name for field in RuntimeSettings._meta.concrete_fields} - {"id"}
    assert set(runtime.NAMES) == columns


def test_it_returns_the_defaults_without_a_row():
    assert runtime.current().delivery_retention_days == 30
    assert runtime.current().log_request_bodies is True


def test_it_returns_what_an_admin_stored():
    RuntimeSettings.objects.create(pk=1, breaker_failures=3, log_request_bodies=False)
    assert runtime.current().breaker_failures == 3
    assert runtime.current().log_request_bodies is False


def test_it_reads_once_in_five_seconds(django_assert_num_queries, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(runtime.time, "monotonic", lambda: now)
    monkeypatch.setattr(runtime, "CACHE_SECONDS", 5.0)
    with django_assert_num_queries(1):
        runtime.current()
        now += 4.9
        runtime.current()
    RuntimeSettings.objects.create(pk=1, breaker_failures=3)
    assert runtime.current().breaker_failures == RuntimeSettings().breaker_failures != 3
    now += 0.2
    with django_assert_num_queries(1):
        assert runtime.current().breaker_failures == 3


def test_forget_makes_a_change_seen_at_once():
    runtime.current()
    RuntimeSettings.objects.create(pk=1, breaker_failures=3)
    runtime.forget()
    assert runtime.current().breaker_failures == 3


def test_it_can_not_be_changed_by_a_reader():
    with pytest.raises(dataclasses.FrozenInstanceError):
        runtime.current().breaker_failures = 5  # type: ignore[misc]


def test_a_process_of_the_release_before_can_still_store_settings():
    new = {"teams_register_repositories"}
    known = [field for field in RuntimeSettings._meta.concrete_fields if field.name not in new]
    columns, values = ", ".join(field.column for field in known), [getattr(RuntimeSettings(pk=1), field.attname) for field in known]
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO core_runtimesettings ({columns}) VALUES ({', '.join(['%s'] * len(values))})", values)
    assert runtime.current().teams_register_repositories
