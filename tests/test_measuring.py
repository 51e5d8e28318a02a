"""What is measured, and what a committing test leaves behind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection

from access.choices import Role
from tests import flushing, measuring
from tests.factories import EventFactory


def item(*markers: str, case: int | None = None) -> Any:
    """Return a test with these markers, the `case`-th of its cases."""
    made = SimpleNamespace(stash=pytest.Stash(), get_closest_marker=lambda name: name in markers)
    if case is not None:
        made.callspec = SimpleNamespace(indices={"x": case})
    return made


def measured(vendor: str, *items: Any) -> list[bool]:
    measuring.mark(items, vendor)
    return [measuring.is_measured(one) for one in items]


def test_on_sqlite_the_first_cases_are_measured() -> None:
    items = item(), item("django_db", case=2), item("django_db", case=3), item(case=3), item("no_cover")
    assert measured("sqlite", *items) == [True, True, False, True, False]


def test_on_postgresql_is_measured_what_is_about_it() -> None:
    items = item(), item("postgres"), item("skipif", case=9), item(case=0)
    assert measured("postgresql", *items) == [False, True, True, False]


@pytest.mark.django_db
def test_a_flush_leaves_what_migrating_wrote_and_nothing_else(alice: User) -> None:
    EventFactory()
    permissions = Permission.objects.count()
    flushing.flush()
    assert set(Group.objects.values_list("name", flat=True)) == set(Role.values)
    assert Permission.objects.count() == permissions > 0
    assert all(group.permissions.exists() for group in Group.objects.all())
    with connection.cursor() as cursor:
        assert set(flushing.used(cursor)) == set()
    Group.objects.all().delete()
    flushing.flush()
    assert Group.objects.get(name=Role.ADMIN).permissions.exists()
