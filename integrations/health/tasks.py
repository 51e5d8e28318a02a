"""What the queue runs: due checks, several at once, for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from core import context, leases, queue, runfiles
from core.heartbeats import heartbeat
from core.threads import together
from integrations.health import notices
from integrations.health.checks import check_and_record
from integrations.health.claims import Claim, claim, is_due, prepare

TASK = "integrations.health.tasks.check_due"
ACTOR = context.Actor("system", "", "health checks")
WORKER_KIND = "checks"
CHECKS_AT_ONCE = 16
CLAIM_SECONDS = 40.0


def tick() -> None:
    """Once a minute: enroll new integrations, warn of quotas and of credentials that end, and wake a worker for due checks."""
    with context.acting(ACTOR):
        prepare()
        notices.announce_due()
        if is_due():
            queue.enqueue(TASK)


def check_due() -> int:
    """Make due checks, CHECKS_AT_ONCE at a time, and hand on what is left after CLAIM_SECONDS; returns how many were made.

    At most half of a machine's workers do so at once, so that integrations which hang never keep all of them from other work.
    """
    if not is_due() or runfiles.stopping():
        return 0
    with context.acting(ACTOR), heartbeat(WORKER_KIND) as worker_id, leases.place(leases.places(WORKER_KIND), worker_id) as is_free:
        if not is_free:
            return 0  # those who hold the slots hand on what they don't finish
        count = run_checks(CLAIM_SECONDS)
    if is_due() and not runfiles.stopping():
        queue.enqueue(TASK)  # behind whatever else waits in the queue
    return count


def run_checks(seconds: float, run: Callable[[Claim], None] | None = None) -> int:
    """Claim checks for so long, and wait for those under way; returns how many were made."""
    deadline = time.monotonic() + seconds
    return together(claim, run or _check, CHECKS_AT_ONCE, lambda: time.monotonic() >= deadline or runfiles.stopping())


def _check(one: Claim) -> None:
    """Make one check; where it can't be recorded its lease lapses, and it is repeated."""
    check_and_record(one.integration, one.token)
