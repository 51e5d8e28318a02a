"""Analyses in the admin: started by a form, shown with charts, downloaded."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from access.owners import owner_for_user
from access.principals import of_user
from builds.admin.analysis_charts import duration_chart, heat_map, success_chart, words
from builds.analysis import work as analyses
from builds.analysis.compute import measures
from builds.analysis.start import start_analysis
from builds.models import Analysis
from core import runtime, work
from core.models.work import WorkState
from integrations.admin.health_charts import HEIGHT, WIDTH
from tests.builds.build_kit import MONDAY, WEEK, build, scope, store

pytestmark = [pytest.mark.django_db, pytest.mark.once]
LIST, START = "admin:builds_analysis_changelist", "admin:builds_analysis_start"
FORM = {"project": "acme/shop", "since": "2026-11-02T00:00", "until": "2026-11-09T00:00", "compare": "before"}


def page(name: str, analysis: Analysis) -> str:
    return reverse(f"admin:builds_analysis_{name}", args=[analysis.pk])


def test_without_builds_it_says_what_to_do_next(alice: User, log_in: Callable[[User], Client]) -> None:
    said = log_in(alice).get(reverse(LIST)).content.decode()
    assert "No builds yet" in said
    assert "POST /api/v1/builds" in said
    assert reverse(START) not in said


def test_with_builds_it_offers_the_form_and_the_projects(alice: User, auditor: User, log_in: Callable[[User], Client]) -> None:
    store(build(0, owner=owner_for_user(alice)), build(1, project="secret/other"))
    said = log_in(alice).get(reverse(LIST)).content.decode()
    assert "No analysis yet" in said
    assert 0 < said.index(f'action="{reverse(START)}"') < said.index('id="changelist-form"'), "browsers drop a form inside a form"
    assert 'value="acme/shop"' in said
    assert "secret/other" not in said
    assert reverse(START) not in log_in(auditor).get(reverse(LIST)).content.decode()
    assert log_in(auditor).post(reverse(START), FORM).status_code == 403


def test_it_is_started_followed_and_shown(alice: User, log_in: Callable[[User], Client]) -> None:
    store(*(build(n * 60, "failure" if n % 4 == 0 else "success", owner=owner_for_user(alice), commit=f"{n // 4}") for n in range(40)))
    browser = log_in(alice)
    started = browser.post(reverse(START), FORM)
    analysis = Analysis.objects.get()
    assert (started.status_code, started["Location"]) == (302, page("change", analysis))
    assert page("live", analysis) in browser.get(page("change", analysis)).content.decode()
    work.run_due(Analysis, analyses.analyse)
    said = browser.get(page("live", analysis)).content.decode()
    assert "hx-get" not in said
    for text in ("75 %", "Compared with 2026-10-26", "Flakiest workflows", "When builds fail", "<svg"):
        assert text in said
    answer = browser.get(page("csv", analysis))
    assert answer.getvalue().startswith(b"section,project")


def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(alice: User, log_in: Callable[[User], Client]) -> None:
    browser = log_in(alice)
    said = browser.post(reverse(START), FORM | {"until": "2026-11-01T00:00"}).content.decode()
    assert "Must lie before until." in said
    assert 'value="acme/shop"' in said
    said = browser.post(reverse(START), FORM | {"compare": "other", "since": "soon"}).content.decode()
    assert "Say which window to compare with." in said
    assert not Analysis.objects.exists()


def test_another_window_is_compared(alice: User, log_in: Callable[[User], Client]) -> None:
    other = {"compare": "other", "compare_since": "2026-01-01T00:00", "compare_until": "2026-02-01T00:00"}
    log_in(alice).post(reverse(START), FORM | other)
    analysis = Analysis.objects.get()
    assert (f"{analysis.compare_since:%m-%d}", f"{analysis.compare_until:%m-%d}") == ("01-01", "02-01")


@pytest.mark.parametrize(("state", "text"), [(WorkState.DONE, "No build started in this period"), (WorkState.FAILED, "worker lost")])
def test_an_analysis_without_figures_says_why(state: WorkState, text: str, admin: User, log_in: Callable[[User], Client]) -> None:
    analysis = start_analysis({"since": MONDAY, "until": WEEK}, of_user(admin))
    if state == WorkState.DONE:
        work.run_due(Analysis, analyses.analyse)
    else:
        Analysis.objects.filter(pk=analysis.pk).update(state=state, error="worker lost: the process that ran it died")
    browser = log_in(admin)
    assert text in browser.get(page("change", analysis)).content.decode()
    assert browser.get(page("csv", analysis)).status_code == (200 if state == WorkState.DONE else 302)


def test_a_stranger_finds_none_of_it(things: SimpleNamespace, charlie: User, log_in: Callable[[User], Client]) -> None:
    browser = log_in(charlie)
    assert [browser.get(page(name, things.analysis)).status_code for name in ("change", "live", "csv")] == [302, 404, 404]


def test_a_page_takes_as_many_statements_for_many_builds(things: SimpleNamespace, alice: User, log_in: Callable[[User], Client]) -> None:
    browser, counts = log_in(alice), []
    runtime.current()  # read once in five seconds, whoever's page comes first
    for number in (1, 30):
        store(*(build(n, owner=owner_for_user(alice)) for n in range(number)))
        with CaptureQueriesContext(connection) as captured:
            browser.get(reverse(LIST))
            browser.get(page("change", things.analysis))
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_charts_stay_within_their_frame_and_show_nothing_for_nothing() -> None:
    store(*(build(n * 300, "failure" if n % 3 else "success", lasts=n * 7) for n in range(30)))
    found = measures(scope())
    success, duration = success_chart(found["trend"], found["success_rate"]), duration_chart(found["trend"])
    assert success is not None
    assert duration is not None
    dots = [dot for _name, _points, line in duration.lines for dot in line] + [bar for bar, _width, _height in success.bars]
    assert all(0 <= dot.x <= WIDTH and 0 <= dot.y <= HEIGHT for dot in dots)
    empty = measures(scope(WEEK, WEEK.replace(year=2027)))
    assert success_chart(empty["trend"], empty["success_rate"]) is None
    assert duration_chart(empty["trend"]) is None
    assert heat_map(empty["failure_rate"]["heat_map"]) is None


def test_lengths_of_time_read_well() -> None:
    assert [words(value) for value in (None, 0.0, 42.4, 90, 3000, 12600, 400_000)] == [
        "–",
        "0 s",
        "42.4 s",
        "1.5 min",
        "50 min",
        "3.5 h",
        "4.6 d",
    ]
