"""A recovery whose process is killed in the middle goes on where it stopped: none lost, none doubled, and no faster."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from core import leases
from core.models import Worker
from tests.core.processes import line_of, python
from tests.webhooks.engine_kit import assert_truth, hook
from tests.webhooks.receivers import wait_for
from tests.webhooks.test_replays import failed
from webhooks import services
from webhooks.models import Replay, WebhookDelivery

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]
WORK = """
from core import work
from webhooks import replaying
from webhooks.models import Replay
print("working", flush=True)
work.run_due(Replay, replaying.work_off, seconds=30)
"""
RATE = 100.0


def requeued() -> int:
    return Replay.objects.values_list("requeued", flat=True).get()


def test_a_killed_recovery_goes_on_where_it_stopped() -> None:
    to = hook()
    failed(to, 600, minutes_ago=30)
    began = timezone.now()
    services.start_recovery(to, {"since": began - timedelta(hours=1), "rate_per_second": RATE})
    for share in (1, 300):
        with python(WORK) as process:
            assert line_of(process) == "working"
            wait_for(lambda share=share: requeued() >= share)
            process.kill()
            process.wait()
        # as if the heartbeat had been silent for long
        Worker.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=leases.LAPSE_SECONDS + 5))
    with python(WORK) as process:
        wait_for(lambda: Replay.objects.get().status == "done", 40)
    rows = list(WebhookDelivery.objects.filter(status="pending").order_by("next_attempt_at"))
    assert (len(rows), requeued()) == (600, 600)
    for first, second in zip(rows, rows[int(RATE) :], strict=False):  # in no second more than the rate
        assert (second.next_attempt_at - first.next_attempt_at).total_seconds() > 0.98  # type: ignore[operator]
    assert_truth()
