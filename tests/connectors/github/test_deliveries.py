"""Deliveries that were missed are found, and sent again."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.http.client import Door
from core.http.door import Terms, Throttled
from integrations.connectors.github import deliveries
from integrations.connectors.github.connector import GitHub
from integrations.contract.connector import Context
from tests.connectors.github.stub import FULL_NAME, Stub, served_stub  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def github(stub: Stub) -> GitHub:
    door = Door(Terms(uuid.uuid4(), "GitHub", attempts=1, longest_wait=0))
    return GitHub(Context(uuid.uuid4(), "x", {"api_url": stub.url, "auth": "none"}, {}, door))


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def since() -> datetime:
    return now() - timedelta(days=3)


def delivery(number: int, *, guid: str = "", age: timedelta = timedelta(hours=1), event: str = "push") -> dict[str, Any]:
    at = (now() - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": number, "guid": guid or f"guid-{number}", "delivered_at": at, "event": event, "status": "Invalid HTTP Response: 502"}


def knowing(*guids: str) -> deliveries.Received:
    return lambda asked: set(asked) & set(guids)


def test_only_what_was_missed_is_sent_again(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(number) for number in range(250, 0, -1)]
    had = [f"guid-{number}" for number in range(1, 251) if number not in (7, 149, 250)]
    found = github.backfill(FULL_NAME, 9, knowing(*had), since())
    assert stub.again == [250, 149, 7]
    assert (found.looked_at, found.more, found.gone) == (250, False, ())
    assert [missed.guid for missed in found.requested] == ["guid-250", "guid-149", "guid-7"]
    assert found.requested[0].status == "Invalid HTTP Response: 502"


def test_a_guid_is_asked_about_once_a_page_and_requested_once(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(3, guid="same"), delivery(2, guid="same"), delivery(1)]
    asked: list[Collection[str]] = []

    def nothing(guids: Collection[str]) -> Collection[str]:
        asked.append(guids)
        return []

    github.backfill(FULL_NAME, 9, nothing, since())
    assert stub.again == [3, 1]
    assert asked == [["same", "guid-1"]]


def test_old_ones_young_ones_and_pings_are_left_alone(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [
        delivery(5, age=timedelta(seconds=10)),
        delivery(4, guid="again", age=timedelta(seconds=10)),
        delivery(3, guid="again"),  # what repeats it is on its way
        delivery(2, event="ping"),
        delivery(1, age=timedelta(days=4)),
    ]
    assert github.backfill(FULL_NAME, 9, knowing(), since()).requested == ()
    assert stub.again == []


def test_pages_behind_the_moment_are_not_read(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(number, age=timedelta(days=1 if number > 450 else 9)) for number in range(500, 0, -1)]
    github.backfill(FULL_NAME, 9, lambda guids: guids, since())
    assert len(stub.asked) == 1


def test_what_github_has_no_more_is_told(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(2), delivery(1)]
    stub.before = lambda path: (404, {"message": "Not Found"}, {}) if path.endswith("/1/attempts") else None
    found = github.backfill(FULL_NAME, 9, knowing(), since())
    assert ([missed.id for missed in found.requested], [missed.id for missed in found.gone]) == ([2], [1])


def test_it_asks_for_no_more_than_a_bounded_number(stub: Stub, github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_REQUESTED", 2)
    stub.deliveries = [delivery(number) for number in range(5, 0, -1)]
    found = github.backfill(FULL_NAME, 9, knowing(), since())
    assert (stub.again, found.more) == ([5, 4], True)
    found = github.backfill(FULL_NAME, 9, knowing("guid-5", "guid-4", "guid-3"), since())
    assert (stub.again, found.more) == ([5, 4, 2, 1], False)


def test_a_limit_in_the_middle_leaves_the_rest_for_later(stub: Stub, github: GitHub) -> None:
    stub.deliveries = [delivery(number) for number in range(5, 0, -1)]
    stub.left = 3
    with pytest.raises(Throttled):
        github.backfill(FULL_NAME, 9, knowing(), since())
    assert stub.again == [5, 4]


def test_entries_that_are_no_deliveries_are_passed_over(stub: Stub, github: GitHub) -> None:
    stub.before = lambda path: (
        (200, [None, 1, {}, {"id": "x", "guid": 3, "delivered_at": 5}, delivery(1)], {}) if "per_page" in path else None
    )
    assert [missed.id for missed in github.backfill(FULL_NAME, 9, knowing(), since() - timedelta(days=30_000)).requested] == [1]
