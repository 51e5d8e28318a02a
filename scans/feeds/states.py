"""How the lists stand, for pages and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from core.models.work import WorkState
from integrations.contract.feeds import FeedName
from integrations.models import Integration
from scans.feeds.checking import connector_of
from scans.feeds.starting import source_of
from scans.models import FeedRun, FeedState, KnownExploited

STALE_AFTER = timedelta(days=3)
# scores appear every day; the catalogue when there is something to add, which is every week or two
_OLD_AFTER = {FeedName.EPSS: STALE_AFTER, FeedName.KEV: timedelta(days=30)}


@dataclass(frozen=True)
class FeedShown:
    """One list: what is stored, where it is read from, and the latest refresh."""

    feed: FeedName
    connector: str
    """Key of the connector that reads it."""
    state: FeedState
    run: FeedRun | None
    source: Integration | None

    @property
    def going_on(self) -> bool:
        """Say whether a refresh is queued or running."""
        return self.run is not None and self.run.state in (WorkState.QUEUED, WorkState.RUNNING)

    @property
    def stale(self) -> str:
        """Return in a sentence why it is out of date, empty where it is not."""
        now, state = timezone.now(), self.state
        if state.read_at is None:
            return ""
        if now - state.read_at > STALE_AFTER:
            return f"It was read {(now - state.read_at).days} days ago."
        if state.dated and now.date() - state.dated > _OLD_AFTER[self.feed]:
            return f"The list itself is of {state.dated}, {(now.date() - state.dated).days} days ago."
        return ""


def feeds_shown() -> list[FeedShown]:
    """Return both lists, also those that were never read."""
    states = FeedState.objects.in_bulk()
    return [
        FeedShown(
            feed, connector_of(feed).key, states.get(feed) or FeedState(feed=feed),
            FeedRun.objects.filter(feed=feed).defer("file").order_by("-id").first(), source_of(feed),
        )
        for feed in FeedName
    ]  # fmt: skip


def exploited_among(values: list[str]) -> list[KnownExploited]:
    """Return the catalogue's entries of these CVEs, the earliest first."""
    return list(KnownExploited.objects.filter(cve__in=values).order_by("date_added", "cve"))
