"""Queueing pulled scans: however many ask, one scan of an integration, a repository and a ref waits and one runs.

A scan that has not begun takes the newer commit of whoever asks next. One that runs answers for its own commit, one that completed
a short while ago, too, unless another commit came since. Whoever asks without a commit wants what there is now, and is never
answered by what began before.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef, TextChoices
from django.utils import timezone

from core import context, work_registry
from core.errors import Conflict
from scans.choices import ScanOutcome, ScanTrigger
from scans.kinds import KIND_NAME
from scans.models import Scan
from scans.models.scan import GOING_ON, WAITING
from scans.selectors import shown_scans

MOST_ATTEMPTS = 10
_TRIES = 5
Key = tuple[uuid.UUID, uuid.UUID, str]
"""Integration, repository and ref."""


class Reused(TextChoices):
    """What a request is answered with."""

    NO = "", "a new scan"
    QUEUED = "queued", "the scan that waits already"
    RUNNING = "running", "the scan of this commit that is under way"
    COMPLETED = "completed", "the scan of this commit that completed a short while ago"


@dataclass(frozen=True)
class Wanted:
    """A scan that somebody or something asks for."""

    integration_id: uuid.UUID
    repository_id: uuid.UUID
    ref: str
    commit: str = ""
    trigger: ScanTrigger = ScanTrigger.EVENT
    full: bool = False
    settle: timedelta = timedelta()
    """Where more of the same is likely to follow: so long it is waited for."""

    @property
    def key(self) -> Key:
        """Return what it is one scan of."""
        return self.integration_id, self.repository_id, self.ref


@dataclass(frozen=True)
class Queued:
    """The scan that answers a request."""

    scan: Scan
    reused: Reused


def queue_scans(wanted: Sequence[Wanted]) -> dict[Key, Queued]:
    """Queue what is wanted, the last of each key; a constant number of statements, in the caller's transaction if there is one."""
    left = _merged(wanted)
    found: dict[Key, Queued] = {}
    with transaction.atomic():
        for _ in range(_TRIES):
            if not left:
                break
            found |= _queue(left)
            left = {key: one for key, one in left.items() if key not in found}
        if left:
            raise Conflict("Others start and end scans of this very branch at the moment; ask again.", code="scans_busy")
        if any(one.reused == Reused.NO for one in found.values()):
            work_registry.wake(KIND_NAME)
    return found


def _merged(wanted: Sequence[Wanted]) -> dict[Key, Wanted]:
    merged: dict[Key, Wanted] = {}
    for one in wanted:
        before = merged.get(one.key)
        merged[one.key] = _both(before, one) if before else one
    # everybody in the same order, so that two never wait for each other
    return {key: merged[key] for key in sorted(merged)}


def _both(before: Wanted, one: Wanted) -> Wanted:
    """Return what answers both requests."""
    return replace(one, commit=one.commit or before.commit, full=one.full or before.full, settle=min(one.settle, before.settle))


def _queue(wanted: Mapping[Key, Wanted]) -> dict[Key, Queued]:
    """Answer what can be answered; a key is missing where another inserted its scan at this moment."""
    found = _known(wanted)
    found |= _joined({key: one for key, one in wanted.items() if key not in found})
    fresh = [_scan(one) for key, one in wanted.items() if key not in found]
    if fresh:
        Scan.objects.bulk_create(fresh, ignore_conflicts=True)
        stored = _pairs(wanted).filter(id__in=[one.id for one in fresh])
        found |= {_key(one): Queued(one, Reused.NO) for one in stored}
    return found


def _known(wanted: Mapping[Key, Wanted]) -> dict[Key, Queued]:
    """Return the scans of the very commits that run, or completed a short while ago; not where another commit came since."""
    asked = {key: one for key, one in wanted.items() if one.commit and not one.full}
    if not asked:
        return {}
    same = {name: OuterRef(name) for name in ("integration_id", "repository_id", "ref")}
    since = Scan.objects.filter(**same, id__gt=OuterRef("id"))
    rows = _pairs(asked).filter(~Exists(since), commit__in={one.commit for one in asked.values()})
    running = rows.filter(GOING_ON, started_at__isnull=False)
    fresh = timezone.now() - timedelta(seconds=settings.SCAN_REUSE_SECONDS)
    completed = rows.filter(outcome=ScanOutcome.COMPLETED, finished_at__gte=fresh).order_by("id")
    known: dict[Key, Queued] = {}
    for reused, some in ((Reused.COMPLETED, completed), (Reused.RUNNING, running)):
        known |= {_key(one): Queued(one, reused) for one in some if _key(one) in asked and asked[_key(one)].commit == one.commit}
    return known


def _joined(wanted: Mapping[Key, Wanted]) -> dict[Key, Queued]:
    """Have scans that wait answer as well, with the newer commit."""
    if not wanted:
        return {}
    waiting = _pairs(wanted).filter(WAITING).select_for_update(of=("self",))
    found, changed, sooner, now = {}, [], False, timezone.now()
    for scan in waiting.order_by("integration_id", "repository_id", "ref"):
        one = wanted.get(_key(scan))
        if one is None:
            continue
        found[one.key] = Queued(scan, Reused.QUEUED)
        before = scan.commit, scan.full, scan.run_after
        scan.commit, scan.full, scan.run_after = one.commit or scan.commit, one.full or scan.full, min(scan.run_after, now + one.settle)
        if (scan.commit, scan.full, scan.run_after) != before:
            changed.append(scan)
            sooner = sooner or scan.run_after < before[2]
    if changed:
        Scan.objects.bulk_update(changed, ["commit", "full", "run_after"])
    if sooner:
        work_registry.wake(KIND_NAME)
    return found


def _pairs(wanted: Mapping[Key, Wanted]) -> models.QuerySet[Scan]:
    integrations, repositories, _ = zip(*wanted, strict=True)
    return shown_scans().filter(integration_id__in=set(integrations), repository_id__in=set(repositories))


def _key(scan: Scan) -> Key:
    if scan.integration_id is None:
        raise ValueError("An upload has no key.")
    return scan.integration_id, scan.repository_id, scan.ref


def _scan(one: Wanted) -> Scan:
    return Scan(
        integration_id=one.integration_id, repository_id=one.repository_id, ref=one.ref, commit=one.commit, trigger=one.trigger,
        full=one.full, max_attempts=MOST_ATTEMPTS, run_after=timezone.now() + one.settle, started_by=context.actor().label[:200],
    )  # fmt: skip
