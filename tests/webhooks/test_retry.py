from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from webhooks.retry import DEFAULT_SCHEDULE, check_retry_config, delay_after, schedule_of


def test_the_default_schedule_makes_ten_attempts_in_about_three_days() -> None:
    assert schedule_of(None) == (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
    assert sum(DEFAULT_SCHEDULE) == 75 * 3600 + 35 * 60 + 5


@pytest.mark.parametrize(
    ("config", "schedule"),
    [
        ({}, DEFAULT_SCHEDULE),
        ({"schedule": [1, 2.5]}, (1, 2.5)),
        ({"schedule": []}, ()),
        ({"schedule": [1, 2, 3], "max_attempts": 2}, (1,)),
        ({"schedule": [1, 2], "max_attempts": 5}, (1, 2, 2, 2)),
        ({"schedule": [], "max_attempts": 1}, ()),
        ({"max_attempts": 1}, ()),
        ({"max_attempts": 3}, (5, 300)),
        ({"max_attempts": 12}, (*DEFAULT_SCHEDULE, 86_400, 86_400)),
    ],
)
def test_a_schedule_is_the_delays_after_the_first_attempt(config: dict[str, Any], schedule: tuple[float, ...]) -> None:
    assert schedule_of(check_retry_config(config)) == schedule


@pytest.mark.parametrize(("drawn", "expected"), [(0.0, 4.5), (0.5, 5.0), (0.999_999, 5.5)])
def test_a_delay_is_spread_by_ten_per_cent_either_way(drawn: float, expected: float) -> None:
    assert delay_after(1, DEFAULT_SCHEDULE, lambda: drawn) == pytest.approx(expected, abs=1e-4)


def test_a_retry_due_in_five_seconds_leaves_within_six() -> None:
    delay = delay_after(1, DEFAULT_SCHEDULE, lambda: 1.0)
    assert delay is not None
    assert delay < 6


def test_each_attempt_takes_the_next_delay_until_none_is_left() -> None:
    delays = [delay_after(step, (10, 20), lambda: 0.5) for step in (1, 2, 3, 99)]
    assert delays == [10, 20, None, None]


def test_without_a_schedule_there_is_no_retry() -> None:
    assert delay_after(1, (), lambda: 0.5) is None


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ([5], "must be an object"),
        ("x", "must be an object"),
        ({"retries": 3}, "'retries' is not known"),
        ({"schedule": 5}, "must be a list"),
        ({"schedule": [5] * 31}, "at most 30"),
        ({"schedule": [5, 0]}, r"schedule\[1\]"),
        ({"schedule": [604_801]}, r"schedule\[0\]"),
        ({"schedule": ["5"]}, r"schedule\[0\]"),
        ({"schedule": [True]}, r"schedule\[0\]"),
        ({"schedule": [None]}, r"schedule\[0\]"),
        ({"max_attempts": 0}, "whole number from 1 to 31"),
        ({"max_attempts": 32}, "whole number from 1 to 31"),
        ({"max_attempts": 1.5}, "whole number from 1 to 31"),
        ({"max_attempts": True}, "whole number from 1 to 31"),
        ({"max_attempts": "3"}, "whole number from 1 to 31"),
        ({"schedule": [], "max_attempts": 3}, "empty schedule"),
    ],
)
def test_it_refuses_a_wrong_config_and_says_what(config: Any, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        check_retry_config(config)
    assert "retry_config" in caught.value.fields


@pytest.mark.parametrize("config", [None, {}, {"schedule": None}])
def test_no_config_is_the_default(config: Any) -> None:
    assert check_retry_config(config) is None


def test_longest_allowed_schedule_is_accepted() -> None:
    assert len(schedule_of(check_retry_config({"schedule": [604_800] * 30, "max_attempts": 31}))) == 30
