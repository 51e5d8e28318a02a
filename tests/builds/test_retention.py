"""Builds, imports and analyses are deleted after their time, in bounded batches; what is going on stays."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds import housekeeping as jobs
from builds.models import Analysis, Build, BuildImport
from core import housekeeping, runtime
from core.housekeeping import Batch, Step
from core.ids import first_id_at
from core.models import RuntimeSettings

pytestmark = [pytest.mark.django_db, pytest.mark.once]
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def retention() -> Iterator[None]:
    RuntimeSettings.objects.create(pk=1, build_retention_days=100, build_import_retention_days=10, analysis_retention_days=20)
    runtime.forget()
    yield
    runtime.forget()


def _id(age: timedelta) -> uuid.UUID:
    return uuid.UUID(int=first_id_at(timezone.now() - age).int + uuid.uuid4().int % (1 << 60))


def build(age: timedelta, started: datetime | None = None) -> Build:
    key = _id(age)
    return Build.objects.create(id=key, project="acme/shop", source="api", build_id=str(key), status="success", started_at=started)


def build_import(age: timedelta, state: str = "done") -> BuildImport:
    return BuildImport.objects.create(id=_id(age), kind="github", project="acme/shop", state=state)


def analysis(age: timedelta, state: str = "done") -> Analysis:
    return Analysis.objects.create(id=_id(age), since=timezone.now() - DAY, until=timezone.now(), state=state)


@pytest.mark.parametrize(
    ("make", "prune", "days"),
    [(build, jobs.prune_builds, 100), (build_import, jobs.prune_imports, 10), (analysis, jobs.prune_analyses, 20)],
)
def test_old_ones_go_batch_by_batch_and_others_stay(make: Callable[..., Model], prune: Callable[[Batch], Step], days: int) -> None:
    old = [make((days + 1 + number) * DAY).pk for number in range(5)]
    young = make((days - 1) * DAY)
    model: Any = type(young)
    assert housekeeping.run_now(housekeeping.Job("x", DAY, "x", prune), dry_run=True) == 5
    assert model.objects.count() == 6
    step = prune(Batch(limit=2))
    assert (step.rows, model.objects.count()) == (2, 4)
    assert step.cursor in map(str, old)
    with CaptureQueriesContext(connection) as queries:
        step = prune(Batch(limit=100, cursor=step.cursor))
    assert (step.rows, step.cursor) == (3, "")
    assert list(model.objects.all()) == [young]
    assert len([entry for entry in queries if entry["sql"].startswith(("SELECT", "DELETE"))]) == 2


@pytest.mark.parametrize("state", ["queued", "running"])
def test_work_that_is_not_done_is_never_deleted(state: str) -> None:
    build_import(50 * DAY, state)
    analysis(50 * DAY, state)
    assert (jobs.prune_imports(Batch()).rows, jobs.prune_analyses(Batch()).rows) == (0, 0)


def test_an_imported_build_of_years_ago_is_kept_from_when_it_was_stored() -> None:
    build(DAY, started=timezone.now() - 4000 * DAY)
    assert jobs.prune_builds(Batch()).rows == 0
