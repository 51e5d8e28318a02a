"""An analysis as work: it ends once, says so once, and reads what its owner may see."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from access.principals import SYSTEM, of_user
from builds.analysis import work as analyses
from builds.analysis.start import start_analysis
from builds.models import Analysis
from core import bus, leases, work
from core.models import Event, Worker
from core.models.work import WorkState
from core.work import LeaseLost, Run
from tests.builds.build_kit import MONDAY, WEEK, build, store
from tests.factories import RepositoryFactory, owner_of

pytestmark = pytest.mark.django_db
WINDOW: dict[str, Any] = {"since": MONDAY, "until": WEEK}


def start(who: Any = SYSTEM, **values: Any) -> Analysis:
    return start_analysis({**WINDOW, **values}, who)  # type: ignore[typeddict-item]


def claimed() -> Run:
    (row,) = work.claim(Analysis, leases.register_worker("work"))
    assert row.lease_token is not None
    return Run(row, row.lease_token)


def end(analysis: Analysis) -> Analysis:
    assert work.run_due(Analysis, analyses.analyse) == 1
    analysis.refresh_from_db()
    return analysis


def events() -> list[Event]:
    return list(Event.objects.filter(type="analysis.completed"))


def lose_the_worker() -> None:
    Worker.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=leases.LAPSE_SECONDS + 5))
    work.sweep(Analysis)


def test_it_ends_with_a_result_and_one_event(alice: User) -> None:
    repository = RepositoryFactory(full_name="acme/shop", owner=owner_of(alice))
    store(build(0, owner=owner_of(alice)), build(5, "failure", owner=owner_of(alice)), build(9))
    analysis = end(start(of_user(alice), project="acme/shop"))
    assert (analysis.state, analysis.builds, analysis.result["success_rate"]) == (WorkState.DONE, 2, 0.5)
    (event,) = events()
    assert event.payload == {"analysis_id": str(analysis.pk), "builds": 2, "success_rate": 0.5, "repository": "acme/shop"}
    assert (event.owner_id, event.repository_id) == (owner_of(alice).id, repository.id)


def test_an_analysis_without_builds_ends_too() -> None:
    analysis = end(start(compare={}))
    assert (analysis.state, analysis.builds, events()[0].payload["success_rate"]) == (WorkState.DONE, 0, None)
    assert analysis.result["compare"]["measures"][0] == {"measure": "builds", "value": 0, "compared": 0, "change": 0}


def test_a_kill_between_result_and_end_costs_neither_result_nor_a_second_event(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = start()
    analyses.analyse(claimed())
    lose_the_worker()
    monkeypatch.setattr(analyses, "measures", lambda scope: pytest.fail("computed twice"))
    assert end(analysis).state == WorkState.DONE
    assert len(events()) == 1


@pytest.mark.parametrize("place", ["measures", "publish"])
def test_a_kill_before_the_commit_leaves_nothing_and_is_made_up_for(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*args: Any, **kwargs: Any) -> None:
        raise Killed

    analysis = start()
    run = claimed()
    with monkeypatch.context() as patch:
        patch.setattr(*(analyses, "measures") if place == "measures" else (bus, "publish"), kill)
        with pytest.raises(Killed):
            analyses.analyse(run)
    analysis.refresh_from_db()
    assert (analysis.result, events()) == (None, [])
    lose_the_worker()
    assert end(analysis).state == WorkState.DONE
    assert len(events()) == 1


def test_a_worker_that_lost_its_lease_records_nothing() -> None:
    analysis = start()
    run = claimed()
    Analysis.objects.filter(pk=analysis.pk).update(lease_token=uuid.uuid4())
    with pytest.raises(LeaseLost):
        analyses.analyse(run)
    analysis.refresh_from_db()
    assert (analysis.result, events()) == (None, [])


def test_it_reads_what_its_owner_sees_when_it_runs(alice: User, team: Group, admin: User) -> None:
    store(build(0, owner=owner_of(alice)), build(1, owner=owner_of(team)), build(2))
    of_alice, of_admins = start(of_user(alice)), start(of_user(admin))
    of_team = Analysis.objects.create(owner=owner_of(team), **WINDOW)
    alice.groups.remove(team)
    work.run_due(Analysis, analyses.analyse)
    found = [Analysis.objects.get(pk=row.pk).builds for row in (of_alice, of_team, of_admins)]
    assert found == [1, 1, 3]


def test_without_a_window_every_build_counts() -> None:
    store(build(0), build(-60 * 24 * 365 * 3))
    analysis = end(start(since=None, until=None, compare=None))
    assert (analysis.builds, analysis.compare_since) == (2, None)
    assert analysis.since == MONDAY - timedelta(days=365 * 3)


def test_the_window_compared_with_is_the_one_before_by_default() -> None:
    analysis = start(compare={})
    assert (analysis.compare_since, analysis.compare_until) == (MONDAY - timedelta(days=7), MONDAY)
