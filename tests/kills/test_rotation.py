"""The short form of tests/kills/rotation.py: whoever reads while keys are rotated and the rotation is killed, reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection

from tests.kills import loss, rotation

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="where several write at once; tests/kills/rotation.py runs on both"),
]


def test_no_read_fails_and_no_change_is_lost_while_keys_are_rotated_and_the_rotation_is_killed(tmp_path: Path) -> None:
    with loss.fresh_database() as database:
        report = rotation.run(tmp_path, database, values=600, batch=10)
    print(report)
    assert report.failures == []
    assert 150 <= report.done_at_kill[0] <= report.done_at_kill[1] < 600
    assert report.end["others"] == 0
    assert report.end["wrong"] == []
    assert min(one["count"] for one in [*report.readers, *report.writers]) > 10
