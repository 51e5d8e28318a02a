from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.choices import HealthState
from integrations.health.states import Seen, next_state

unhurried = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
UNKNOWN, HEALTHY, DEGRADED, UNHEALTHY = HealthState
TARGET = 200


def _play(story: str, state: HealthState = UNKNOWN) -> list[HealthState]:
    """Play checks from the oldest: `.` answered in time, `s` slow, `x` failed, `b` failed with an open breaker."""
    kinds = {".": Seen(True, 100), "s": Seen(True, 300), "x": Seen(False), "b": Seen(False)}
    seen, states = [], []
    for kind in story:
        seen.insert(0, kinds[kind])
        state = next_state(state, seen[:3], breaker_open=kind == "b", target_ms=TARGET)
        states.append(state)
    return states


@pytest.mark.parametrize(
    ("story", "state"),
    [
        (".", HEALTHY),
        ("x", UNKNOWN),
        (".xx", HEALTHY),
        (".xxx", UNHEALTHY),
        ("xxx", UNHEALTHY),
        (".b", UNHEALTHY),
        ("xxx.", UNHEALTHY),
        ("xxx..", HEALTHY),
        ("xxx.x.x.x.", UNHEALTHY),
        (".x.x.xx.x.xx.", HEALTHY),
        ("ss", HEALTHY),
        ("sss", DEGRADED),
        (".ss.ss.", HEALTHY),
        ("sss.", DEGRADED),
        ("sss..", HEALTHY),
        ("sssx", DEGRADED),
        ("sssxxx", UNHEALTHY),
        ("xxxss", HEALTHY),
        ("xxxsss", DEGRADED),
    ],
)
def test_the_last_checks_make_the_state(story, state):
    assert _play(story)[-1] == state


def test_without_a_target_nothing_is_slow():
    assert next_state(HEALTHY, [Seen(True, 10_000)] * 3, target_ms=None) == HEALTHY


@unhurried
@given(st.text(alphabet=".sxb", min_size=1, max_size=40))
def test_it_never_becomes_unhealthy_by_a_success_nor_well_by_a_failure(story):
    states = [UNKNOWN, *_play(story)]
    for kind, before, after in zip(story, states, states[1:], strict=False):
        if kind in ".s" and before != UNHEALTHY:
            assert after != UNHEALTHY
        if kind in "xb" and before == UNHEALTHY:
            assert after == UNHEALTHY
