"""What a policy would have decided of the last scans, by what was there then: nothing is stored, nobody is told."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from access.principals import Principal
from access.selectors import visible
from integrations.models import Repository
from scans.choices import GateDecision
from scans.gates import facts
from scans.gates.facts import Facts
from scans.gates.policy import InForce
from scans.models import GateFacts, GateResult

MOST_LAST, USUAL_LAST = 200, 50


@dataclass(frozen=True)
class Trial:
    """One scan: what was decided after it, and what would have been."""

    result: GateResult
    now: str
    broken_then: tuple[str, ...]
    """Sentences of the conditions that broke it."""
    broken_now: tuple[str, ...]
    """Those of the conditions tried, with what they found."""

    @property
    def differs(self) -> bool:
        """Say whether it would have been decided otherwise."""
        return self.now != self.result.decision


@dataclass(frozen=True)
class Trials:
    """All of them, newest first."""

    rows: Sequence[Trial]

    def counts(self) -> dict[str, int]:
        """Return how many would have passed, and how many would have changed to what."""
        now = [row.now for row in self.rows if row.differs]
        return {
            "scans": len(self.rows),
            "passed_then": sum(row.result.decision == GateDecision.PASSED for row in self.rows),
            "passed_now": sum(row.now == GateDecision.PASSED for row in self.rows),
            "now_passing": now.count(GateDecision.PASSED),
            "now_failing": now.count(GateDecision.FAILED),
        }

    def sentence(self) -> str:
        """Return the counts in words."""
        counts = self.counts()
        if not counts["scans"]:
            return "There is nothing to try it on yet: no scan was decided since facts are kept."
        changes = [f"{counts[name]} {words}" for name, words in _CHANGES.items() if counts[name]]
        of = "Of the last scan" if counts["scans"] == 1 else f"Of the last {counts['scans']} scans"
        said = f"{of}, {counts['passed_now']} would have passed; {counts['passed_then']} did."
        return f"{said} {' and '.join(changes) or 'Nothing would have been decided otherwise'}."


_CHANGES = {"now_failing": "that passed would have failed", "now_passing": "that failed would have passed"}


def tried(policy: InForce, rows: QuerySet[GateFacts], last: int = USUAL_LAST) -> Trials:
    """Return what a policy would have decided of the last scans among these. One statement."""
    newest = rows.select_related("result", "result__repository").defer("result__broken_by").order_by("-result_id")
    return Trials([_tried(policy, row) for row in newest[:last]])


def kept_for(who: Principal, repository_id: uuid.UUID | None, *, by_default: bool) -> QuerySet[GateFacts]:
    """Return the facts of a repository's scans; else of all that the caller sees, or of those that the default policy is about."""
    if repository_id is not None:
        return GateFacts.objects.filter(repository_id=repository_id)
    mine = visible(Repository.objects.all(), who)
    return GateFacts.objects.filter(repository__in=(mine.filter(policy__isnull=True) if by_default else mine).values("id"))


def _tried(policy: InForce, row: GateFacts) -> Trial:
    there = Facts.unpack(bytes(row.data))
    counts = facts.found(policy.conditions, policy.sla_days, there)
    checked = zip(policy.conditions, counts, strict=True)
    broken = tuple(f"{one.sentence()}: found {count}" for one, count in checked if count > one.most)
    then = tuple(f"{one['sentence']}: found {one['found']}" for one in row.result.conditions if not one["passed"])
    return Trial(row.result, (GateDecision.FAILED if broken else GateDecision.PASSED).value, then, broken)
