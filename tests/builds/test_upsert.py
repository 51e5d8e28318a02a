from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from builds.models import Build
from builds.rows import BuildRow
from builds.services import Scope, scope_of, store_builds
from builds.services.upsert import FOREIGN
from tests.builds.kit import at, counts, facts, row, store, told
from tests.factories import RepositoryFactory, owner_of

pytestmark = pytest.mark.django_db


def test_a_build_is_stored_once_however_often_it_is_reported() -> None:
    assert counts(store(row())) == (1, 0, 0, 0)
    before = Build.objects.values().get()
    assert counts(store(row())) == (0, 0, 1, 0)
    assert Build.objects.values().get() == before


def test_every_field_comes_back_as_it_was_given() -> None:
    given = row(
        "7", "failure", attempt=3, number="12", commit="abc", event="pull_request", is_pull_request=True, conclusion="errored",
        duration_seconds=12.5, tests_run=100, tests_failed=2, jobs=4, language="ruby", actor="alice", url="https://ci/7",
        extra={"gh_team_size": "3", "ü": ["é"]},
    )  # fmt: skip
    store(given)
    build = Build.objects.get()
    assert BuildRow(**{name: getattr(build, name) for name in BuildRow.__dataclass_fields__ if name != "of_job"}) == given
    assert abs(build.created_at - build.updated_at) < timedelta(minutes=1)


def test_it_is_one_build_for_each_attempt_source_and_project() -> None:
    rows = [row(), row(attempt=2), row(source="jenkins"), row(project="acme/other")]
    assert counts(store(*rows, *rows)) == (4, 0, 0, 0)


def test_a_running_report_after_the_end_changes_nothing() -> None:
    store(row(commit="abc"))
    before = Build.objects.values().get()
    assert counts(store(row(status="running", commit="other"))) == (0, 0, 1, 0)
    assert counts(store(row(status="queued", minute=None))) == (0, 0, 1, 0)
    assert Build.objects.values().get() == before
    assert ("started", "1") not in told()


LIFE = [
    row(status="queued", minute=None, commit="abc"),
    row(status="running", commit="abc", url="https://ci/1"),
    row(status="failure", conclusion="startup_failure", commit="abc"),
    row(attempt=2, status="queued", minute=None),
    row(attempt=2, status="running", minute=5),
    row(attempt=2, status="success", minute=5),
    row("2", "running", minute=9),
]


@pytest.mark.parametrize("seed", range(12))
def test_the_order_of_arrival_does_not_matter(seed: int) -> None:
    store(*LIFE, publish=False)
    wanted = facts()
    Build.objects.all().delete()
    rows = LIFE * 2
    random.Random(seed).shuffle(rows)
    if seed % 2:
        store(*rows)
    else:
        for one in rows:
            store(one)
    assert facts() == wanted


def test_of_two_ends_the_later_one_holds() -> None:
    early, late = row(status="success"), row(status="failure", finished_at=at(9))
    for rows in ([early, late], [late, early]):
        Build.objects.all().delete()
        for one in rows:
            store(one)
        assert Build.objects.get().status == "failure"
        assert Build.objects.get().duration_seconds == 540


def test_what_is_left_out_erases_nothing() -> None:
    store(row(status="running", commit="abc", actor="alice"))
    assert counts(store(row(minute=None, duration_seconds=30.0))) == (0, 1, 0, 0)
    build = Build.objects.get()
    assert (build.commit, build.actor, build.branch, build.finished_at) == ("abc", "alice", "main", at(0.5))


def test_wrong_rows_are_named_and_the_others_stored() -> None:
    wrong = [
        row(project=" "), row(build_id="x" * 101), row(branch="a\0b"), row(status="exploded"), row(attempt=0), row(tests_run=-1),
        row(duration_seconds=float("inf")), row(finished_at=at(-1)), row(status="running", finished_at=at(1)),
        row(started_at=at(0).replace(tzinfo=None)), row(extra={"a": "\ud800"}),
    ]  # fmt: skip
    stored = store(row("good"), *wrong)
    assert counts(stored) == (1, 0, 0, len(wrong))
    assert [(one.index, one.field) for one in stored.rejected] == list(
        enumerate(
            ["project", "build_id", "branch", "status", "attempt", "tests_run", "duration_seconds", "finished_at", "finished_at",
             "started_at", "extra"], start=1,
        )
    )  # fmt: skip


def test_builds_of_a_known_repository_belong_to_its_owner(alice: User, bob: User) -> None:
    shop = RepositoryFactory(owner=owner_of(alice), full_name="acme/shop")
    RepositoryFactory(owner=owner_of(bob), full_name="acme/shop", provider="gitlab")
    store(row(source="github"), row(source="api"), scope=Scope(owner_of(bob).id, None))
    assert list(Build.objects.order_by("source").values_list("source", "owner_id", "repository_id")) == [
        ("api", owner_of(bob).id, None),  # which of the two it is, nobody said
        ("github", owner_of(alice).id, shop.id),
    ]


def test_a_repository_registered_later_takes_its_builds() -> None:
    store(row())
    shop = RepositoryFactory(full_name="acme/shop")
    assert counts(store(row())) == (0, 1, 0, 0)
    assert Build.objects.get().repository_id == shop.id


def test_nobody_writes_into_another_owners_builds(alice: User, charlie: User, team: Group) -> None:
    RepositoryFactory(owner=owner_of(alice), full_name="acme/shop")
    strangers = scope_of(owner_of(charlie).id)
    assert [(one.field, one.reason) for one in store(row(), scope=strangers).rejected] == [("project", FOREIGN)]
    store(row(project="acme/free"), scope=scope_of(owner_of(alice).id))
    assert [(one.field, one.reason) for one in store(row(project="acme/free"), scope=strangers).rejected] == [("build_id", FOREIGN)]
    assert counts(store(row("2", project="acme/free"), scope=strangers)) == (1, 0, 0, 0)
    RepositoryFactory(owner=owner_of(team), full_name="acme/teams")
    assert counts(store(row(project="acme/teams"), scope=scope_of(owner_of(alice).id))) == (1, 0, 0, 0)
    assert counts(store(row(project="acme/teams", commit="a"), scope=scope_of(owner_of(team).id))) == (0, 1, 0, 0)


def test_whoever_registers_the_same_name_at_another_provider_takes_no_builds(alice: User, charlie: User) -> None:
    shop = RepositoryFactory(owner=owner_of(alice), full_name="acme/shop")
    alices, charlies = scope_of(owner_of(alice).id), scope_of(owner_of(charlie).id)
    store(row("1", source="jenkins"), scope=alices)
    assert [one.field for one in store(row("2", source="jenkins"), scope=charlies).rejected] == ["project"]
    RepositoryFactory(owner=owner_of(charlie), full_name="acme/shop", provider="gitlab")
    assert [one.field for one in store(row("1", "failure", source="jenkins"), scope=charlies).rejected] == ["build_id"]
    assert counts(store(row("3", source="jenkins"), scope=alices)) == (1, 0, 0, 0)
    assert set(Build.objects.values_list("status", "repository_id")) == {("success", shop.id)}


def test_of_two_repositories_of_others_no_builds_are_taken(alice: User, bob: User, charlie: User) -> None:
    for person, provider in ((alice, "github"), (bob, "gitlab")):
        RepositoryFactory(owner=owner_of(person), full_name="acme/shop", provider=provider)
    assert [one.field for one in store(row(source="jenkins"), scope=scope_of(owner_of(charlie).id)).rejected] == ["project"]


def test_who_stores_for_the_admins_may_write_all(admin: User, alice: User) -> None:
    assert scope_of(None).owners is None
    assert scope_of(owner_of(admin).id).owners is None
    assert owner_of(alice).id in (scope_of(owner_of(alice).id).owners or ())


def test_the_number_of_statements_does_not_grow_with_the_rows() -> None:
    def spent(*rows: BuildRow) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            store(*rows, publish=False)
        return len(queries)

    few = [row(f"a{number}") for number in range(2)]
    many = [row(f"b{number}", project=f"acme/{number % 300}") for number in range(1000)]
    assert spent(*few) == spent(*many)
    changed = [row(one.build_id, "failure", project=one.project, finished_at=at(2)) for one in many]
    assert spent(*[row(one.build_id, "failure", finished_at=at(2)) for one in few]) == spent(*changed)
    assert Build.objects.filter(status="failure").count() == 1002
    unchanged = spent(*changed)
    assert unchanged < spent(*[row(one.build_id, "failure", project=one.project, finished_at=at(3)) for one in many])


def test_a_build_that_another_process_stores_meanwhile_is_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    from builds.services import table

    found = table.locked
    store(row(status="success"))
    answers: list[Any] = [{}]
    monkeypatch.setattr(table, "locked", lambda keys: answers.pop() if answers else found(keys))
    assert counts(store(row(status="running"))) == (0, 0, 1, 0)
    answers.append({})
    assert counts(store(row(status="success", commit="abc"), row("2"))) == (1, 1, 0, 0)
    assert sorted(Build.objects.values_list("build_id", "status", "commit")) == [("1", "success", "abc"), ("2", "success", "")]


def test_more_than_a_thousand_rows_are_several_transactions() -> None:
    rows = [row(str(number)) for number in range(1001)]
    assert counts(store_builds([*rows, row(attempt=0)], Scope(), publish=False)) == (1001, 0, 0, 1)
