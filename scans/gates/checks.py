"""Has gates decided anew after people decided about findings: one row of work for each ref, however many decisions there are."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from core import work_registry
from core.models.work import WorkState
from core.work import LeaseLost, Recorded, Run
from core.work_registry import Kind
from scans.choices import GateCause
from scans.gates.deciding import decide_again
from scans.models import GateCheck, Presence

MOST_REFS = 1000


def ask(finding_ids: Collection[uuid.UUID]) -> None:
    """Have the gates of the refs that these findings are on decided anew, once the caller's transaction commits. Three statements.

    A row that waits for the same ref will do: it is locked, so that no worker takes it before this transaction's changes are seen.
    """
    there = Presence.objects.filter(finding_id__in=finding_ids, closed_scan_id__isnull=True)
    refs = set(there.values_list("stream__repository_id", "stream__ref").order_by().distinct()[:MOST_REFS])
    if not refs:
        return
    waiting = GateCheck.objects.filter(repository_id__in={id for id, _ in refs}, state=WorkState.QUEUED).select_for_update()
    missing = sorted(refs - set(waiting.order_by("id").values_list("repository_id", "ref")))
    GateCheck.objects.bulk_create(GateCheck(repository_id=id, ref=ref) for id, ref in missing)
    work_registry.wake(KIND.name)


def work_off(run: Run) -> Recorded:
    """Decide the gate of one ref anew; run again after a kill, it finds nothing to change."""
    check = run.row
    assert isinstance(check, GateCheck)  # noqa: S101 - for the types: the kind's model
    decide_again(check.repository_id, check.ref, GateCause.TRIAGE)
    if not GateCheck.objects.filter(pk=check.pk, state=WorkState.RUNNING, lease_token=run.token).delete()[0]:
        raise LeaseLost(str(check.pk))
    return Recorded()


KIND = Kind("gates", GateCheck, work_off)
