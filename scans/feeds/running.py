"""A refresh as claimable work: the list is fetched and looked at, stored, and then brought to all findings batch by batch.

Killed anywhere it goes on, or starts again with the same outcome: FeedState.applied says whether findings may lag behind the stored list.
"""

from __future__ import annotations

import io
import time
import uuid
from typing import IO, Any, cast

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from core.errors import InvalidInput, RepoGuardError
from core.models.outbound import CallPurpose
from core.models.work import WorkState
from core.texts import storable
from core.work import Done, Later, LeaseLost, Run
from core.work_registry import Kind
from integrations.calls import connector_for
from integrations.contract.feeds import FeedMark, VulnerabilityFeed
from integrations.models import Repository
from scans.feeds.applying import apply
from scans.feeds.checking import Checked, check, connector_of
from scans.feeds.news import News, announce
from scans.feeds.storing import store
from scans.locking import locked
from scans.models import FeedRun, FeedState, Finding

KIND_NAME = "feeds"
FETCH, CHECK, STORE, APPLY = "fetch", "check", "store", "apply"
"""Where a run is, as its progress says."""
_AT_ONCE = 1000
_AT_ONCE_POSTGRES = 5000
_BREATH_SECONDS = 0.25
_WAIT_SECONDS = 3.0


def work_off(run: Run) -> Later | Done | None:
    """Refresh one list; what goes wrong is noted, and the stored list stays."""
    row = cast("FeedRun", run.row)
    if row.progress.get("phase") != APPLY:
        try:
            differs = _renew(run, row)
        except RepoGuardError as error:
            noted = {"failed_at": timezone.now(), "error": storable(error.message)[:1000]}
            FeedState.objects.update_or_create(feed=row.feed, defaults=noted)
            raise
        if not differs:
            return Done("The list is the same as before.")
    return _walk(run, row)


def _renew(run: Run, row: FeedRun) -> bool:
    """Store the list; returns whether findings may have to follow."""
    state, _ = FeedState.objects.get_or_create(feed=row.feed)
    found = _opened(run, row, state)
    if found is None:
        _note(run, row, state, {})
        return not state.applied
    file, mark = found
    checked = check(row.feed, file, forced=row.forced, seen=lambda count: run.save_progress({"phase": CHECK, "done": count}))
    # before a row is stored, so that a kill leaves the mark
    FeedState.objects.filter(feed=row.feed).update(applied=False)
    file.seek(0)
    _, rows = connector_of(row.feed).read(file)
    total = len(checked.keys)
    changed = store(row.feed, rows, checked.keys, lambda count: run.save_progress({"phase": STORE, "done": count, "total": total}))
    differs = changed > 0 or not state.applied
    _note(run, row, state, _said(checked, mark) | {"applied": not differs}, rows=total, changed=changed)
    return differs


def _opened(run: Run, row: FeedRun, state: FeedState) -> tuple[IO[bytes], FeedMark] | None:
    """Return the file and where it is from, None where the service says that nothing changed."""
    if row.file is not None:
        return io.BytesIO(bytes(row.file)), FeedMark(row.file_name)
    if row.integration is None:
        raise InvalidInput("The integration that this list was to be read from is gone.", code="no_source")
    run.save_progress({"phase": FETCH})
    connector = cast("VulnerabilityFeed", connector_for(row.integration, CallPurpose.OTHER))
    last = FeedMark(state.origin, state.etag, state.modified) if state.rows and not row.forced else FeedMark()
    fetched = connector.fetch(last)
    return None if fetched is None else (io.BytesIO(fetched.body), fetched.mark)


def _said(checked: Checked, mark: FeedMark) -> dict[str, Any]:
    return {
        "rows": len(checked.keys),
        "version": checked.head.version,
        "dated": checked.head.dated,
        "origin": storable(mark.origin)[:2000],
        "etag": storable(mark.etag),
        "modified": storable(mark.modified),
    }


def _note(run: Run, row: FeedRun, state: FeedState, changes: dict[str, Any], **figures: int) -> None:
    """Record that the list was read, under the lease."""
    with transaction.atomic():
        FeedState.objects.filter(pk=state.pk).update(read_at=timezone.now(), failed_at=None, error="", **changes)
        _update(run, file=None, progress={"phase": APPLY}, **figures)
    row.progress = {"phase": APPLY}


def _walk(run: Run, row: FeedRun) -> Later | None:
    """Bring the list to the findings of one repository after the other; what became known as exploited is told at the end of each."""
    place = dict(row.progress)
    size = _AT_ONCE_POSTGRES if connection.vendor == "postgresql" else _AT_ONCE
    while repository_id := place.get("repository") or _next_repository(place.get("after")):
        began = time.monotonic()
        with transaction.atomic():
            repository = locked(repository_id, skip=True)
            if repository is None and Repository.objects.filter(pk=repository_id).exists():
                return Later(_WAIT_SECONDS, "Waits for a scan that is being stored.")
            place = _step(run, row, repository, place | {"repository": str(repository_id)}, size)
        if run.time_is_up():
            return Later()
        if connection.vendor != "postgresql":  # its only writer is given to others
            time.sleep(min(time.monotonic() - began, _BREATH_SECONDS))
    FeedState.objects.filter(feed=row.feed).update(applied=True)
    return None


def _step(run: Run, row: FeedRun, repository: Repository | None, place: dict[str, Any], size: int) -> dict[str, Any]:
    """Do one batch of a repository, and note how far that is in the same transaction. Raises LeaseLost."""
    rows = Finding.objects.filter(repository_id=place["repository"])
    if place.get("finding"):
        rows = rows.filter(id__gt=place["finding"])
    ids = list(rows.order_by("id").values_list("id", flat=True)[:size]) if repository else []
    changed, exploited = apply(ids, [row.feed])
    news = News.loaded(place.get("news"))
    news.add(exploited)
    done = {"phase": APPLY, "done": int(place.get("done", 0)) + len(ids)}
    if repository is None or len(ids) < size:
        if repository:
            announce(news, repository, f"feed:{row.id}")
        place = done | {"after": place["repository"]}
    else:
        place = done | {"repository": place["repository"], "finding": str(ids[-1]), "news": news.saved()}
    _update(run, progress=place, findings=F("findings") + changed)
    return place


def _next_repository(after: str | None) -> uuid.UUID | None:
    """Return the next repository that has findings: one look into their index, however many repositories have none."""
    rows = Finding.objects.filter(repository_id__gt=after) if after else Finding.objects.all()
    return rows.order_by("repository_id").values_list("repository_id", flat=True).first()


def _update(run: Run, **changes: Any) -> None:
    held = FeedRun.objects.filter(pk=run.row.pk, state=WorkState.RUNNING, lease_token=run.token)
    if not held.update(**changes):
        raise LeaseLost(str(run.row.pk))


KIND = Kind(KIND_NAME, FeedRun, work_off)
