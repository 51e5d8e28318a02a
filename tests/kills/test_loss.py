"""The short form of tests/kills/loss.py: whatever is killed, every event arrives."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from django.db import connection

from tests.kills import loss

pytestmark = [pytest.mark.processes]
EVENTS, KILLS = (400, 2) if connection.vendor == "postgresql" else (300, 1)  # on PostgreSQL more happens at once


def test_no_event_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1000)  # other victims in each run; the report names them
    with loss.fresh_database() as database:
        report = loss.run(tmp_path / "var", database, events=EVENTS, kills=KILLS, seed=seed)
    print(f"seed {seed}: {report}")
    assert report.missing == set()
    assert sum(report.killed.values()) == KILLS
    assert min(report.leased_at_kill) > 0
    assert report.duplicates <= report.allowed_duplicates
    assert report.clusters == {"default": 1, "deliveries": 1}
    assert (report.stats["pending"], report.stats["success"]) == (0, EVENTS)
