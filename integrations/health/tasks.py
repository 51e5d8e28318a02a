"""What the queue runs: due checks, several at once, for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from django.db import Error, connection

from core import context, leases, queue, runfiles, work
from integrations.health import notices
from integrations.health.checks import check_and_record
from integrations.health.claims import Claim, claim, is_due, prepare

logger = logging.getLogger(__name__)
TASK = "integrations.health.tasks.check_due"
ACTOR = context.Actor("system", "", "health checks")
WORKER_KIND = "checks"
CHECKS_AT_ONCE = 16
CLAIM_SECONDS = 40.0
_LOOK_SECONDS = 1.0


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
    with context.acting(ACTOR), work.heartbeat(WORKER_KIND) as worker_id, leases.place(leases.places(WORKER_KIND), worker_id) as is_free:
        if not is_free:
            return 0  # those who hold the slots hand on what they don't finish
        count = run_checks(CLAIM_SECONDS)
    if is_due() and not runfiles.stopping():
        queue.enqueue(TASK)  # behind whatever else waits in the queue
    return count


def run_checks(seconds: float, run: Callable[[Claim], None] | None = None) -> int:
    """Claim checks for so long, and wait for those under way; returns how many were made."""
    deadline = time.monotonic() + seconds
    run, count = run or _check, 0
    with ThreadPoolExecutor(CHECKS_AT_ONCE, thread_name_prefix="check") as pool:
        under_way: set[Future[None]] = set()
        while time.monotonic() < deadline and not runfiles.stopping():
            # only what a thread is free for: a lease must not run while its check waits in line
            claims = claim(CHECKS_AT_ONCE - len(under_way))
            count += len(claims)
            under_way |= {pool.submit(run, one) for one in claims}
            if not under_way:
                break
            under_way -= wait(under_way, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done
    return count


def _check(one: Claim) -> None:
    """Make one check in a thread of its own, with a database connection of its own."""
    try:
        with context.acting(ACTOR):
            check_and_record(one.integration, one.token)
    except Error:
        logger.warning("check_not_recorded", extra={"integration": str(one.integration.id)})  # its lease lapses, and it is repeated
    except Exception:  # nobody looks at the future; what went wrong belongs into the log
        logger.exception("check_failed", extra={"integration": str(one.integration.id)})
    finally:
        connection.close()
