"""Badges about builds."""

from __future__ import annotations

from builds.choices import FAILED, JUDGED, BuildStatus
from builds.models import Build
from core.badges import Asked, Badge, Colour, unknown
from integrations.models import Repository

LOOKED_AT = 100
"""How many of a branch's latest builds a badge counts."""
_SEARCHED = 500


def build(repository: Repository, asked: Asked) -> Badge:
    """Say whether the latest build of each workflow of a branch passed; one that failed speaks for all."""
    latest: dict[str, str] = {}
    for workflow, status in _judged(repository, asked):
        latest.setdefault(workflow, status)
    if not latest:
        return unknown("build")
    failing = [name for name, status in latest.items() if status in FAILED]
    return Badge("build", "failing", Colour.RED) if failing else Badge("build", "passing", Colour.GREEN)


def success_rate(repository: Repository, asked: Asked) -> Badge:
    """Say which share of a branch's latest builds passed; cancelled and skipped ones say nothing."""
    found = _judged(repository, asked)
    if not found:
        return unknown("success rate")
    share = sum(status == BuildStatus.SUCCESS for _, status in found) / len(found)
    colour = Colour.GREEN if share >= 0.95 else Colour.YELLOW if share >= 0.8 else Colour.ORANGE if share >= 0.5 else Colour.RED
    shown = int(share * 100)  # not rounded up: 99.6 % is not all of them
    return Badge("success rate", f"{shown}% of {len(found)}", colour)


def _judged(repository: Repository, asked: Asked) -> list[tuple[str, str]]:
    """Return workflow and status of the latest builds, newest first. One statement, by the index build_badge_idx."""
    branch = asked.branch or repository.default_branch
    rows = Build.objects.filter(repository=repository, repository__isnull=False, branch=branch, status__in=JUDGED)
    latest = rows.order_by("-started_at", "-attempt").values_list("workflow", "status")[:_SEARCHED]
    return [row for row in latest if asked.workflow in ("", row[0])][:LOOKED_AT]
