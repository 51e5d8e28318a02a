"""The routing of a webhook, as fan-out and the engine read it from `Webhook.routing`. docs/routing.md says what each rule does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from django.db import models

from integrations.contract.message import SEVERITIES
from webhooks.choices import Lane
from webhooks.routing.facts import Facts

DEFAULT_MAX_EVENTS = 1000


class DigestMode(models.TextChoices):
    """What leaves when a window ends."""

    ALL = "all", "one message with all of them"
    LATEST = "latest", "the latest event only"


class DigestKey(models.TextChoices):
    """What events of one digest have in common."""

    REPOSITORY = "repository", "repository"
    BRANCH = "branch", "branch"
    COMMIT = "commit", "commit"
    TYPE = "type", "event type"


class Lanes(models.TextChoices):
    """What a webhook's waiting deliveries are ordered by."""

    PRIORITY = "priority", "the order in which they came"
    SEVERITY = "severity", "critical ones first"


@dataclass(frozen=True)
class Digest:
    """Events of one key are collected from the first on, and leave together when its window ends."""

    window_seconds: int
    key: tuple[str, ...] = (DigestKey.REPOSITORY,)
    mode: str = DigestMode.ALL
    quiet_seconds: int | None = None
    """A window ends earlier when nothing came for so long."""
    max_events: int = DEFAULT_MAX_EVENTS


@dataclass(frozen=True)
class Routing:
    """All rules of a webhook; the defaults are what a webhook without any does."""

    branches: tuple[str, ...] = ()
    min_severity: str = ""
    new_only: bool = False
    digest: Digest | None = None
    lanes: str = Lanes.PRIORITY
    supersede: bool = False
    expires_after: int | None = None

    def passes(self, event: Facts) -> bool:
        """Say whether an event reaches the webhook; what an event says nothing of does not hold it back."""
        if self.branches and event.branch and not on_branch(self.branches, event.branch):
            return False
        if self.min_severity and event.severity and _rank(event.severity) > _rank(self.min_severity):
            return False
        return not self.new_only or event.is_new

    def lane(self, priority: int, event: Facts) -> int:
        """Return the lane of a delivery: the webhook's own, or the one before it."""
        return max(priority - 1, Lane.HIGH) if self.lanes == Lanes.SEVERITY and event.is_critical else priority

    def digests(self, event: Facts) -> bool:
        """Say whether the event is collected. What is told of the portal's own deliveries leaves alone and at once.

        Told in a digest, the failures of two webhooks that watch each other would make ever new ones.
        """
        return self.digest is not None and not event.is_operational


def routing_of(stored: Mapping[str, Any] | None) -> Routing | None:
    """Return the rules of a stored, valid routing, None for none."""
    if not stored:
        return None
    values = dict(stored)
    digest = values.pop("digest", None)
    return Routing(
        **values | {"branches": tuple(values.get("branches", ()))},
        digest=Digest(**digest | {"key": tuple(digest.get("key", Digest.key))}) if digest else None,
    )


def on_branch(globs: tuple[str, ...], branch: str) -> bool:
    """Say whether a branch is meant by the globs: by any of them (or by none with `!`, which always excludes)."""
    wanted = [glob for glob in globs if not glob.startswith("!")]
    if any(_matches(glob[1:], branch) for glob in globs if glob.startswith("!")):
        return False
    return not wanted or any(_matches(glob, branch) for glob in wanted)


def _matches(glob: str, branch: str) -> bool:
    return fnmatchcase(branch, glob.replace("[", "[[]"))


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity)
