from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import ids
from core.ids import first_id_at, is_uuid, uuid7

pytestmark = pytest.mark.once


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = uuid7()
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_ids_rise_strictly() -> None:
    made = [uuid7() for _ in range(5000)]
    assert made == sorted(set(made))


def test_ids_of_threads_are_distinct() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: uuid7(), range(4000)))
    assert len(set(made)) == 4000


def test_an_id_says_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    stamp = uuid7().int >> 80
    assert before <= stamp <= time.time_ns() // 1_000_000 + 1


def test_ids_rise_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    last = uuid7()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_000_000)
    assert last < uuid7() < uuid7()


FIRST, LAST = (datetime(year, 1, 1) for year in (1970, 9000))  # noqa: DTZ001 - hypothesis adds the zone


@given(st.datetimes(FIRST, LAST, timezones=st.just(UTC)))
def test_the_first_id_of_a_moment_holds_its_milliseconds_exactly(moment: datetime) -> None:
    bound = first_id_at(moment)
    assert bound.version == 7
    assert timedelta(milliseconds=bound.int >> 80) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) * timedelta(
        milliseconds=1
    )


def test_the_first_id_bounds_what_was_made_then() -> None:
    before = datetime.now(UTC)
    made = uuid7()
    assert first_id_at(before) <= made < first_id_at(before + timedelta(seconds=5))


def test_times_before_1970_have_the_smallest_id() -> None:
    assert first_id_at(datetime(1950, 1, 1, tzinfo=UTC)) == first_id_at(datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2f69b8df-874a-4c99-9d0b-dbb6991b6e2f", True),
        ("2f69b8df874a4c999d0bdbb6991b6e2f", True),
        ("", False),
        ("x", False),
        ("0" * 31, False),
        ("0" * 33, False),
        ("zz" * 16, False),
    ],
)
def test_it_knows_a_uuid(text: str, expected: bool) -> None:
    assert is_uuid(text) is expected
