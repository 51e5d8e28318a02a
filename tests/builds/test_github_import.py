"""Importing the runs of GitHub Actions: whole, once each, through limits, kills and refusals."""

from __future__ import annotations

import resource
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from access.models import AuditEntry
from access.principals import SYSTEM, of_user
from builds.choices import ImportStatus
from builds.importing import github
from builds.importing.control import ImportValues, offered_integrations, resume_import, start_github_import
from builds.importing.progress import eta_seconds_of
from builds.importing.starting import cancel_import
from builds.importing.work import KIND
from builds.models import Build, BuildImport
from builds.selectors import percent_of, shown_status
from core import work
from core.errors import Conflict, InvalidInput
from core.http import pauses
from core.ids import uuid7
from core.models import Event, RequestLog
from core.models.work import WorkState
from core.work import LeaseLost, Run
from integrations.models import Integration
from tests.connectors.github.stub import BEGAN, FULL_NAME, Stub, make_runs, served_stub  # noqa: F401 - a fixture
from tests.factories import RepositoryFactory, owner_of

pytestmark = pytest.mark.django_db
TOKEN = "github_pat_0a1b2c3d"


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def integration(stub: Stub) -> Integration:
    config = {"api_url": stub.url, "auth": "token"}
    return Integration.objects.create(name="GitHub", type="github", category="development", config=config, credentials={"token": TOKEN})


def started(integration: Integration | None, **values: Any) -> BuildImport:
    return start_github_import(ImportValues(FULL_NAME, integration and integration.id, **values), SYSTEM)


def claimed() -> Run:
    BuildImport.objects.update(run_after=timezone.now())
    (row,) = work.claim(BuildImport, uuid7())
    assert row.lease_token is not None
    return Run(row, row.lease_token)


def go_on() -> BuildImport:
    """Run it until it ends or is put aside."""
    run = claimed()
    work.perform(run, KIND.handler)
    return BuildImport.objects.get(pk=run.row.pk)


def keys() -> list[tuple[str, int]]:
    return sorted(Build.objects.values_list("build_id", "attempt"))


def expected(stub: Stub) -> list[tuple[str, int]]:
    return sorted((str(run["id"]), attempt) for run in stub.runs for attempt in range(1, run["run_attempt"] + 1))


def let_through(integration: Integration, stub: Stub) -> None:
    """Let the limit's time pass."""
    stub.left = 1_000_000
    pauses.forget(integration.id)


def test_five_thousand_runs_come_whole_through_a_limit_and_a_kill(
    stub: Stub, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.runs = make_runs(5000, retried=500)
    row = started(integration)
    stub.left = 20
    found = go_on()
    assert (found.status, found.state) == (ImportStatus.WAITING, WorkState.QUEUED)
    assert found.run_after > timezone.now() + timedelta(minutes=29)
    assert 0 < found.seen < 5000
    assert found.error.startswith(f"Waits until {found.run_after:%H:%M} UTC, and goes on by itself.")
    let_through(integration, stub)

    stored = github.store_builds
    pages = 0

    def kill_at_the_ninth(*args: Any, **kwargs: Any) -> Any:
        nonlocal pages
        pages += 1
        result = stored(*args, **kwargs)
        if pages == 9:
            raise Killed
        return result

    monkeypatch.setattr(github, "store_builds", kill_at_the_ninth)
    before = BuildImport.objects.get(pk=row.pk)
    with pytest.raises(Killed):
        KIND.handler(claimed())
    monkeypatch.undo()
    after = BuildImport.objects.get(pk=row.pk)
    assert after.state == WorkState.RUNNING
    assert before.seen < after.seen < 5000
    assert Build.objects.count() == after.created
    work.sweep(BuildImport)

    while (found := go_on()).status == ImportStatus.RUNNING:
        pass
    assert (found.status, found.state, found.error) == (ImportStatus.DONE, WorkState.DONE, "")
    assert keys() == expected(stub)
    assert (found.total, found.seen, found.created, found.updated, found.rejected) == (5000, 5000, 5010, 0, 0)
    assert percent_of(found) == 100
    assert not Event.objects.filter(type__startswith="build.").exists()
    assert TOKEN not in str(list(RequestLog.objects.values())) + str(BuildImport.objects.values().get())


def test_the_same_again_changes_nothing(stub: Stub, integration: Integration) -> None:
    stub.runs = make_runs(250, retried=50)
    until = timezone.now() - timedelta(minutes=1)
    for _ in range(2):
        started(integration, since=BEGAN, until=until)
        found = go_on()
        assert found.status == ImportStatus.DONE
    assert (found.seen, found.created, found.updated) == (250, 0, 0)
    assert keys() == expected(stub)
    assert stub.not_modified > 0


def test_what_it_stores(stub: Stub, integration: Integration) -> None:
    stub.runs = make_runs(1)
    repository = RepositoryFactory(full_name=FULL_NAME)
    started(integration)
    go_on()
    build = Build.objects.get()
    assert (build.project, build.source, build.workflow, build.branch, build.event) == (FULL_NAME, "github", "Tests", "topic", "push")
    assert (build.status, build.number, build.duration_seconds, build.actor) == ("failure", "1", 240.0, "alice")
    assert build.repository_id == repository.id


def test_branch_workflow_and_time_are_asked_for(stub: Stub, integration: Integration) -> None:
    stub.runs = make_runs(90)
    started(integration, branch="topic", workflow="Tests", since=BEGAN, until=BEGAN + timedelta(days=2))
    found = go_on()
    assert found.status == ImportStatus.DONE
    assert 0 < Build.objects.count() < 30
    assert set(Build.objects.values_list("branch", flat=True)) == {"topic"}


def test_time_is_shared_with_others(stub: Stub, integration: Integration) -> None:
    stub.runs = make_runs(350)
    started(integration)
    run = claimed()
    work.perform(Run(run.row, run.token, deadline=0.0), KIND.handler)
    found = BuildImport.objects.get()
    assert (found.status, found.state, found.seen) == (ImportStatus.RUNNING, WorkState.QUEUED, 100)
    assert go_on().seen == 350


def test_a_cancelled_one_stops_at_the_next_page(stub: Stub, integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.runs = make_runs(350)
    row = started(integration)
    pages = github.GitHub.run_pages

    def cancel_after_the_first(*args: Any) -> Any:
        for page in pages(*args):
            yield page
            BuildImport.objects.filter(pk=row.pk).update(status=ImportStatus.CANCELLED)

    monkeypatch.setattr(github.GitHub, "run_pages", cancel_after_the_first)
    found = go_on()
    assert (found.status, found.state, found.seen) == (ImportStatus.CANCELLED, WorkState.DONE, 100)
    assert Build.objects.count() == 100


def test_one_that_waits_is_cancelled_at_once(integration: Integration) -> None:
    row = started(integration)
    cancelled = cancel_import(row)
    assert (cancelled.status, cancelled.state) == (ImportStatus.CANCELLED, WorkState.DONE)
    with pytest.raises(Conflict, match="is cancelled"):
        cancel_import(cancelled)
    with pytest.raises(Conflict):
        resume_import(cancelled)
    assert list(AuditEntry.objects.order_by("id").values_list("verb", "action")) == [("created", ""), ("acted", "cancel")]


def test_a_lost_lease_stores_nothing(stub: Stub, integration: Integration) -> None:
    stub.runs = make_runs(5)
    started(integration)
    run = claimed()
    BuildImport.objects.update(lease_token=uuid7())
    with pytest.raises(LeaseLost):
        KIND.handler(run)
    assert Build.objects.count() == 0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((404, {"message": "Not Found"}, {}), "GitHub knows no repository acme/shop, or hides it"),
        ((403, {"message": "No"}, {"X-Accepted-GitHub-Permissions": "actions=read"}), "It takes the permission actions: read."),
        ((401, {"message": "Bad credentials"}, {}), "refused the credentials (401)"),
    ],
)
def test_a_refusal_ends_it_in_words_and_it_can_be_taken_up_again(stub: Stub, integration: Integration, answer: Any, sentence: str) -> None:
    stub.runs = make_runs(5)
    stub.before = lambda path: answer
    started(integration)
    found = go_on()
    assert (found.status, found.state, shown_status(found)) == (ImportStatus.FAILED, WorkState.FAILED, "failed")
    assert sentence in found.error
    stub.before = lambda path: None
    resume_import(found)
    assert go_on().status == ImportStatus.DONE


def test_a_broken_github_is_asked_again_later(stub: Stub, integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.http.client.sleep", lambda seconds: None)
    integration.breaker_failures = 0
    integration.save()
    stub.before = lambda path: (500, {}, {})
    row = started(integration)
    found = go_on()
    assert (found.status, found.state) == (ImportStatus.RUNNING, WorkState.QUEUED)
    assert found.run_after > timezone.now()
    BuildImport.objects.filter(pk=row.pk).update(attempts=row.max_attempts - 1)
    found = go_on()
    assert (found.status, found.state) == (ImportStatus.FAILED, WorkState.FAILED)


def test_a_deleted_or_inactive_integration_is_not_replaced_by_nobody(stub: Stub, integration: Integration) -> None:
    for change, sentence in (({"deleted_at": timezone.now()}, "was deleted"), ({"status": "inactive", "deleted_at": None}, "is inactive")):
        row = started(integration)
        Integration.stored.update(**change)
        found = go_on()
        assert found.status == ImportStatus.FAILED
        assert sentence in found.error
        Integration.stored.update(status="active", deleted_at=None)
        BuildImport.objects.filter(pk=row.pk).update(integration=None)
    row = BuildImport.objects.order_by("id").last()
    assert row is not None
    resume_import(row)
    assert "was deleted" in go_on().error
    assert stub.asked == []


def test_public_repositories_need_no_integration(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "_NOBODYS_CONFIG", {"auth": "none", "api_url": stub.url})
    stub.runs = make_runs(3)
    started(None)
    assert go_on().status == ImportStatus.DONE
    assert Build.objects.count() == 3
    assert set(stub.tokens) == {""}


def test_builds_of_another_owner_are_left_alone(stub: Stub, alice: User, charlie: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "_NOBODYS_CONFIG", {"auth": "none", "api_url": stub.url})
    RepositoryFactory(full_name=FULL_NAME, owner=owner_of(alice))
    stub.runs = make_runs(30)
    start_github_import(ImportValues(FULL_NAME), of_user(charlie))
    found = go_on()
    assert (found.status, found.rejected, Build.objects.count()) == (ImportStatus.DONE, 30, 0)
    assert len(found.problems) == github.MOST_PROBLEMS
    assert found.problems[0] == {"field": "project", "reason": "Run 1000029: belongs to another owner, whose builds you can't report."}
    assert found.owner_id == owner_of(charlie).id


def test_progress_tells_what_is_left() -> None:
    now = timezone.now()
    row = BuildImport(seen=400, total=1000, status="running", progress={"steps": [[100.0, 200], [110.0, 400]]}, run_after=now)
    assert percent_of(row) == 40.0
    assert eta_seconds_of(row) == 30.0
    row.status, row.run_after = "waiting", now + timedelta(seconds=600)
    assert eta_seconds_of(row) == pytest.approx(630, abs=2)
    for unknown in (BuildImport(), BuildImport(seen=1, total=5, progress={"steps": [[1.0, 1], [1.0, 1]]})):
        assert eta_seconds_of(unknown) is None
    assert eta_seconds_of(BuildImport(status="cancelled", seen=1, total=2)) is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"project": "shop"}, "project"),
        ({"project": "acme/.."}, "project"),
        ({"project": "acme/shop/x"}, "project"),
        ({"project": "acme/sh op"}, "project"),
        ({"branch": "a\0b"}, "branch"),
        ({"workflow": "x" * 256}, "workflow"),
        ({"since": timezone.now() + timedelta(days=1)}, "since"),
        ({"since": BEGAN, "until": BEGAN}, "since"),
        ({"since": BEGAN.replace(year=1)}, "since"),
        ({"until": BEGAN.replace(year=1)}, "until"),
        ({"integration_id": uuid7()}, "integration"),
    ],
)
def test_wrong_values_are_refused_by_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        start_github_import(ImportValues(**{"project": FULL_NAME, **values}), SYSTEM)
    assert list(caught.value.fields) == [field]
    assert BuildImport.objects.count() == 0


def test_an_address_is_a_name_too(integration: Integration) -> None:
    row = start_github_import(ImportValues(f" https://github.com/{FULL_NAME}.git "), SYSTEM)
    assert row.project == FULL_NAME


def test_the_same_import_is_not_started_twice(integration: Integration) -> None:
    started(integration)
    with pytest.raises(Conflict, match="going on already"):
        started(integration)
    started(integration, branch="main")


def test_an_integration_that_one_does_not_see_is_unknown(integration: Integration, alice: User) -> None:
    with pytest.raises(InvalidInput, match="not an integration with GitHub that you can see"):
        start_github_import(ImportValues(FULL_NAME, integration.id), of_user(alice))
    assert offered_integrations(of_user(alice)) == []
    Integration.objects.update(owner=owner_of(alice))
    assert [found.id for found in offered_integrations(of_user(alice))] == [integration.id]
    Integration.objects.update(status="inactive")
    with pytest.raises(InvalidInput, match="is inactive"):
        start_github_import(ImportValues(FULL_NAME, integration.id), of_user(alice))


def test_memory_stays_flat(stub: Stub, integration: Integration) -> None:
    stub.runs = make_runs(300)
    started(integration)
    go_on()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stub.runs = make_runs(3000, every=timedelta(minutes=5))
    started(integration)
    while go_on().status == ImportStatus.RUNNING:
        pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KB; a page of 100 runs and the stub's own
