"""The short form of tests/kills/inbound.py: whatever is killed, an answered webhook is stored, and interpreted once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.kills import inbound, loss

pytestmark = [pytest.mark.processes, pytest.mark.once]


def test_no_answered_webhook_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1000)  # other victims in each run; the report names them
    with loss.fresh_database() as database:
        report = inbound.run(tmp_path / "var", database, requests=200, kills=2, seed=seed)
    print(f"seed {seed}: {report}")
    assert sum(report.killed.values()) == 2
    assert (report.lost, report.missing, report.uncounted) == (set(), [], [])
    assert report.outcomes == {"processed": 140}
    assert report.builds > 10
