"""Reading what may hold anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import InvalidInput
from core.event_types import NAME
from integrations.contract import payloads
from integrations.contract.payloads import at, event_word, moment, objects, peek, repository_in, text, whole

pytestmark = pytest.mark.once
ELEVEN = datetime(2026, 5, 4, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "per_second", "expected"),
    [
        ("2026-05-04T11:00:00Z", 1, ELEVEN),
        ("2026-05-04T13:00:00+0200", 1, ELEVEN),
        ("2026-05-04 11:00:00 UTC", 1, ELEVEN),
        ("2026-05-04T11:00:00", 1, ELEVEN),
        ("2026-05-04T11:00:00.123456789Z", 1, ELEVEN + timedelta(microseconds=123456)),
        (1777892400, 1, ELEVEN),
        (1777892400000, 1000, ELEVEN),
        ("0001-01-01T00:00:00Z", 1, None),
        ("0001-01-01T00:00:00+14:00", 1, None),
        ("9999-12-31T23:59:59-14:00", 1, None),
        (1e308, 1, None),
        (float("nan"), 1, None),
        (float("inf"), 1, None),
        (10**400, 1, None),
        (0, 1, None),
        (True, 1, None),
        ("soon", 1, None),
        ("", 1, None),
        (None, 1, None),
        ({}, 1, None),
    ],
)
def test_a_moment_is_utc_or_nothing(value: Any, per_second: int, expected: datetime | None) -> None:
    found = moment(value, per_second=per_second)
    assert found == expected
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("pullrequest:comment_created", "pullrequest.comment_created"),
        ("project_snapshot/v0", "project_snapshot.v0"),
        ("Push Hook", "push_hook"),
        ("a.b.c.d.e.f.g", "a.b.c.d.e"),
        ("x" * 200, "x" * 60),
        (f"{'x' * 59}.y", "x" * 59),
        ("*", "event"),
        ("..", "event"),
        ("ü", "event"),
        ("", "event"),
    ],
)
def test_a_platforms_word_becomes_part_of_a_type(word: str, expected: str) -> None:
    assert event_word(word) == expected
    assert NAME.fullmatch(payloads.other("standard_webhooks", word, {}).type)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("https://gitlab.com/acme/group/shop", "acme/group/shop"),
        ("ssh://git@host:7999/acme/shop.git", "acme/shop"),
        ("https://user:password@host/acme/shop.git/", "acme/shop"),
        ("https://host", ""),
        ("https://host/shop", ""),
        ("nonsense", ""),
        ("a/" * 5000, ""),
        (7, ""),
        (None, ""),
    ],
)
def test_a_repository_in_an_address(url: Any, expected: str) -> None:
    assert repository_in(url) == expected


def test_what_is_of_another_kind_is_absent() -> None:
    assert [text(value) for value in (None, True, 1.5, [], {}, 7, " a\nb\x00 ")] == ["", "", "", "", "", "7", "a b"]
    assert text("x" * 300) == "x" * 255
    assert [whole(value, 1) for value in (1, 0, -1, True, 1.0, "1", 2**31, None)] == [1, None, None, None, None, None, None, None]
    assert objects([{"a": 1}, 2, None]) == [{"a": 1}]
    assert objects({"a": 1}) == []
    assert at({"a": {"b": 1}}, "a", "b") == 1
    assert at({"a": [1]}, "a", "b", "c") is None
    assert peek(b"[1]") == {}
    with pytest.raises(InvalidInput, match="body: is not a JSON object"):
        payloads.json_object(b"[1]")


@pytest.mark.parametrize(("duration", "expected"), [(12, 12.0), (None, 60.0), (-1, 60.0), (True, 60.0), ("12", 60.0), (0, 0.0)])
def test_a_run_lasts_what_it_says_or_from_start_to_end(duration: Any, expected: float) -> None:
    ended = ELEVEN + timedelta(seconds=60)
    run = payloads.run("1", "success", raw={}, started_at=ELEVEN, finished_at=ended, duration_seconds=duration)
    assert run.duration_seconds == expected
    backwards = payloads.run("1", "success", raw={}, started_at=ended, finished_at=ELEVEN)
    assert backwards.duration_seconds is None
