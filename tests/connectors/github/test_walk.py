"""Reading the runs of a repository: windows below the cap, pages, attempts, and going on from any page."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from core.errors import OutboundError
from core.http.client import Door
from core.http.door import Terms, Throttled
from integrations.connectors.github.client import Client, NotThere
from integrations.connectors.github.connector import GitHub
from integrations.connectors.github.walk import RunPage, RunQuery, _cut, run_pages
from integrations.contract.connector import Context
from integrations.contract.reports import RepositoryRef
from tests.connectors.github.stub import BEGAN, FULL_NAME, Stub, make_runs, served_stub  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def client(stub: Stub) -> Client:
    return Client(Door(Terms(uuid.uuid4(), "GitHub", attempts=1, longest_wait=0)), stub.url, lambda text: text)


def read(stub: Stub, query: RunQuery | None = None, cursor: Any = None, name: str = FULL_NAME) -> Iterator[RunPage]:
    return run_pages(client(stub), name, query or RunQuery(), cursor)


def keys(pages: Iterator[RunPage] | list[RunPage]) -> Counter[tuple[str, int]]:
    return Counter((run.build_id, run.attempt) for page in pages for run in page.runs)


def everything(stub: Stub) -> Counter[tuple[str, int]]:
    return Counter((str(run["id"]), attempt) for run in stub.runs for attempt in range(1, run["run_attempt"] + 1))


def test_more_than_the_cap_is_read_whole_and_nothing_twice(stub: Stub) -> None:
    stub.runs = make_runs(2600, retried=400)
    pages = list(read(stub))
    assert keys(pages) == everything(stub)
    assert sum(page.listed for page in pages) == 2600
    assert {page.total for page in pages} == {2600}
    assert [page for page in pages if page.note] == []


def test_runs_that_crowd_in_a_day_are_cut_out(stub: Stub) -> None:
    stub.runs = make_runs(1500, every=timedelta(seconds=20))
    assert keys(read(stub)) == everything(stub)


def test_it_goes_on_behind_any_page(stub: Stub) -> None:
    stub.runs = make_runs(1050, retried=60)
    pages = list(read(stub))
    for place in (0, 1, len(pages) // 2, len(pages) - 2):
        assert keys(pages[: place + 1]) + keys(read(stub, cursor=pages[place].cursor)) == everything(stub)


def test_newest_come_first(stub: Stub) -> None:
    stub.runs = make_runs(1100)
    ids = [int(run.build_id) for page in read(stub) for run in page.runs]
    assert ids == sorted(ids, reverse=True)


def test_too_many_in_one_second_are_said(stub: Stub) -> None:
    stub.runs = make_runs(1001, every=timedelta(0))
    pages = list(read(stub))
    assert sum(keys(pages).values()) == 1000
    assert [page.note for page in pages if page.note] == [
        "More than 1,000 runs were created at 2025-03-01 01:00:00 UTC; GitHub lists no more."
    ]


def test_branch_workflow_and_time_narrow_it(stub: Stub) -> None:
    stub.runs = make_runs(60)
    since, until = BEGAN + timedelta(hours=1) + timedelta(minutes=97) * 10, BEGAN + timedelta(hours=1) + timedelta(minutes=97) * 20
    found = keys(read(stub, RunQuery(since=since, until=until)))
    assert sorted(found) == [(str(1_000_000 + place), 1) for place in range(10, 20)]
    found = keys(read(stub, RunQuery(branch="topic", since=since, until=until)))
    assert sorted(found) == [(str(1_000_000 + place), 1) for place in (12, 15, 18)]
    for word in ("Tests", "1", "test.yml", ".github/workflows/test.yml"):
        assert sum(keys(read(stub, RunQuery(workflow=word))).values()) == 60
    assert keys(read(stub, RunQuery(workflow="other.yml"))) == Counter()


def test_nothing_is_asked_where_no_time_is_left(stub: Stub) -> None:
    assert list(read(stub, RunQuery(until=BEGAN - timedelta(days=1)))) == []
    assert list(read(stub, RunQuery(since=BEGAN + timedelta(1), until=BEGAN + timedelta(1)))) == []
    assert not any("actions/runs" in target for target in stub.asked)


def test_an_unknown_workflow_is_named_with_those_there_are(stub: Stub) -> None:
    with pytest.raises(NotThere, match=r"acme/shop has no workflow named tests\. There are Tests\."):
        list(read(stub, RunQuery(workflow="tests")))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((404, {"message": "Not Found"}, {}), "knows no repository acme/shop, or hides it from these credentials"),
        ((301, {}, {"Location": "https://api.github.com/repositories/8"}), "the repository acme/shop was moved or renamed"),
        ((403, {"message": "No"}, {"X-Accepted-GitHub-Permissions": "metadata=read"}), "It takes the permission metadata: read"),
        ((200, [], {}), "without the repository"),
    ],
)
def test_a_repository_that_cant_be_read_is_said_so(stub: Stub, answer: Any, sentence: str) -> None:
    stub.before = lambda path: answer
    with pytest.raises(OutboundError, match=sentence) as caught:
        list(read(stub))
    assert caught.value.permanent == (answer[0] != 200)
    assert len(stub.asked) == 1


@pytest.mark.parametrize("body", [{}, {"total_count": "x"}, {"total_count": 1}, {"total_count": 1, "workflow_runs": {}}, [], None])
def test_an_answer_without_runs_is_an_error(stub: Stub, body: Any) -> None:
    stub.before = lambda path: (200, body, {}) if "actions" in path else None
    with pytest.raises(OutboundError):
        list(read(stub))


def test_entries_that_are_no_runs_are_left_out(stub: Stub) -> None:
    body = {"total_count": 3, "workflow_runs": [1, None, {}, {"id": "x"}, {"id": 5, "run_attempt": "many", "actor": 1}]}
    stub.before = lambda path: (200, body, {}) if "actions" in path else None
    assert keys(read(stub)) == Counter([("5", 1)])


def test_a_limit_in_the_middle_ends_it_with_the_time_to_wait(stub: Stub) -> None:
    stub.runs = make_runs(500, retried=25)
    stub.left = 4
    before = []
    with pytest.raises(Throttled) as caught:
        before += read(stub)  # what was yielded before the error is kept
    assert caught.value.retry_after == pytest.approx(1800, abs=10)


def test_an_attempt_that_was_removed_is_left_out(stub: Stub) -> None:
    stub.runs = make_runs(30, retried=10)
    stub.before = lambda path: (404, {"message": "Not Found"}, {}) if "/attempts/" in path else None
    assert sum(keys(read(stub)).values()) == 30


def test_the_connector_yields_runs(stub: Stub) -> None:
    stub.runs = make_runs(120, retried=50)
    github = GitHub(Context(uuid.uuid4(), "x", {"api_url": stub.url}, {}, client(stub)._door))
    found = list(github.runs(RepositoryRef("github", FULL_NAME), since=BEGAN))
    assert len(found) == 123


@pytest.mark.parametrize(("begin", "last", "count"), [(0, 1, 5000), (0, 9, 1001), (0, 86_400, 1001), (5, 1_000_000, 90_000)])
def test_windows_join_without_gap_or_overlap(begin: int, last: int, count: int) -> None:
    windows = _cut(begin, last, count)
    assert windows[0][0] == begin
    assert windows[-1][1] == last
    assert all(one[1] + 1 == other[0] for one, other in pairwise(windows))
    assert 2 <= len(windows) <= 10
