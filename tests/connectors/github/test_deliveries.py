"""Deliveries that were missed are found, and sent again."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.http import pauses
from core.http.client import Door
from core.http.door import Terms, Throttled
from integrations.connectors.github import deliveries
from integrations.connectors.github.client import NotPermitted, NotThere
from integrations.connectors.github.connector import GitHub
from integrations.connectors.github.deliveries import HookUnknown
from integrations.contract.backfill import MissedQuery, MissedStep, Received
from integrations.contract.connector import Context
from tests.connectors.github.stub import FULL_NAME, Stub, served_stub  # noqa: F401 - a fixture
from tests.connectors.github.stub import make_delivery as delivery

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ADDRESS = "https://portal.example.com/api/v1/webhook/github/0192f0c1"


@pytest.fixture
def github(stub: Stub) -> GitHub:
    key = uuid.uuid4()
    door = Door(Terms(key, "GitHub", attempts=1, longest_wait=0))
    return GitHub(Context(key, "x", {"api_url": stub.url, "auth": "none"}, {}, door))


def query(*, age: timedelta = timedelta(days=3), **options: Any) -> MissedQuery:
    return MissedQuery({"hook_of": FULL_NAME, "hook_id": 9} | options, (ADDRESS,), datetime.now(UTC).replace(microsecond=0) - age)


def look(github: GitHub, received: Received, cursor: Mapping[str, Any] | None = None, **options: Any) -> list[MissedStep]:
    return list(github.request_missed(query(**options), received, cursor or {}))


def totals(steps: list[MissedStep]) -> tuple[int, int, int, bool]:
    """Return the figures as whoever stores every step has them."""
    return sum(s.looked_at for s in steps), sum(s.requested for s in steps), sum(s.gone for s in steps), steps[-1].more


def knowing(*guids: str) -> Received:
    return lambda asked: set(asked) & set(guids)


def test_only_what_was_missed_is_sent_again(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(number) for number in range(250, 0, -1)]
    had = [f"guid-{number}" for number in range(1, 251) if number not in (7, 149, 250)]
    assert totals(look(github, knowing(*had))) == (250, 3, 0, False)
    assert stub.again == [250, 149, 7]


def test_a_guid_is_asked_about_once_a_page_and_requested_once(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(300, guid="same"), *(delivery(number, guid="same") for number in range(200, 1, -1)), delivery(1)]
    asked: list[Collection[str]] = []

    def nothing(guids: Collection[str]) -> Collection[str]:
        asked.append(guids)
        return []

    look(github, nothing)
    assert stub.again == [300, 1]
    assert asked == [["same"], ["guid-1"]]


def test_old_ones_young_ones_and_pings_are_left_alone(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [
        delivery(5, age=timedelta(seconds=10)),
        delivery(4, guid="again", age=timedelta(seconds=10)),
        *(delivery(number, guid="again") for number in range(200, 2, -1)),  # what repeats it is on its way; over two pages
        delivery(2, event="ping"),
        delivery(1, age=timedelta(days=4)),
    ]
    assert totals(look(github, knowing()))[1] == 0
    assert stub.again == []


def test_pages_behind_the_moment_are_not_read(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(number, age=timedelta(days=1 if number > 450 else 9)) for number in range(500, 0, -1)]
    look(github, lambda guids: guids)
    assert len(stub.asked) == 1


def test_what_github_has_no_more_is_told(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(2), delivery(1)]
    stub.before = lambda path: (404, {"message": "Not Found"}, {}) if path.endswith("/1/attempts") else None
    assert totals(look(github, knowing())) == (2, 1, 1, False)


def test_it_asks_for_no_more_than_a_bounded_number(stub: Stub, github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_REQUESTED", 100)
    stub.deliveries = [delivery(number) for number in range(250, 0, -1)]
    assert totals(look(github, knowing())) == (100, 100, 0, True)
    assert totals(look(github, knowing(*(f"guid-{number}" for number in range(100, 251))))) == (250, 99, 0, False)


def test_a_limit_in_the_middle_tells_what_was_done_and_the_rest_follows(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(number) for number in range(150, 0, -1)]
    stub.left = 127  # two pages, and 125 requests
    steps: list[MissedStep] = []
    with pytest.raises(Throttled):
        deque(map(steps.append, github.request_missed(query(), knowing(), {})))
    assert (totals(steps)[:2], len(stub.again)) == ((150, 125), 125)
    stub.left = 1000
    pauses.forget(github.context.integration_id)
    stub.asked.clear()
    rest = look(github, knowing(), steps[-1].cursor)
    assert (totals(rest)[:2], sorted(stub.again)) == ((0, 25), list(range(1, 151)))
    assert "cursor=100" in stub.asked[0]


def test_going_on_from_any_step_requests_each_once_more_at_most(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(number) for number in range(130, 0, -1)]
    steps = look(github, knowing())
    for place, step in enumerate(steps[:-1]):
        stub.again.clear()
        rest = look(github, knowing(), step.cursor)
        assert totals(steps[: place + 1] + rest)[:2] == (130, 130)
        assert len(stub.again) == sum(one.requested for one in rest)


@pytest.mark.parametrize("hook_of", [FULL_NAME, "acme"])
def test_the_webhook_is_found_by_its_address(stub: Stub, github: GitHub, hook_of: str) -> None:
    stub.hooks = [
        {"id": 7, "config": {"url": "https://elsewhere.example.com/api/v1/webhook/github/0192f0c1"}},
        {"id": 8, "config": None},
        {"id": 9, "config": {"url": ADDRESS.replace("portal.", "PORTAL.") + "/"}},
    ]
    stub.deliveries = [delivery(1)]
    assert totals(look(github, knowing(), hook_of=hook_of, hook_id=None))[1] == 1
    assert stub.again == [1]


def test_a_webhook_that_is_not_found_is_told_with_what_mends_it(stub: Stub, github: GitHub) -> None:
    with pytest.raises(HookUnknown, match=f"None of the webhooks of {FULL_NAME} leads to this source. Enter {ADDRESS} there") as failed:
        look(github, knowing(), hook_id=None)
    assert failed.value.permanent
    with pytest.raises(NotThere, match="knows no deliveries of the webhook 10 of acme/shop, or hides it"):
        look(github, knowing(), hook_id=10)


def test_a_missing_right_is_named(stub: Stub, github: GitHub) -> None:
    headers = {"X-Accepted-GitHub-Permissions": "repository_hooks=write"}
    stub.before = lambda path: (403, {"message": "Resource not accessible by personal access token"}, headers)
    with pytest.raises(NotPermitted, match="It takes the permission repository hooks: write"):
        look(github, knowing())


def test_entries_that_are_no_deliveries_are_passed_over(stub: Stub, github: GitHub) -> None:
    stub.before = lambda path: (
        (200, [None, 1, {}, {"id": "x", "guid": 3, "delivered_at": 5}, delivery(1)], {}) if "per_page" in path else None
    )
    list(github.request_missed(query(age=timedelta(days=9000)), knowing(), {}))
    assert stub.again == [1]
