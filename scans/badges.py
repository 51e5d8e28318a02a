"""Badges about gates and findings."""

from __future__ import annotations

from core.badges import Asked, Badge, Colour, unknown
from integrations.models import Repository
from scans.choices import GateDecision
from scans.models import GateResult, Scan
from scans.selectors import summary

_WORST = (("critical", Colour.RED), ("high", Colour.ORANGE), ("medium", Colour.YELLOW), ("low", Colour.YELLOW), ("unknown", Colour.YELLOW))


def gate(repository: Repository, asked: Asked) -> Badge:
    """Say what was decided of a branch last."""
    results = GateResult.objects.filter(repository=repository, ref=asked.branch or repository.default_branch)
    decision = results.order_by("-id").values_list("decision", flat=True).first()
    if decision is None:
        return unknown("gate")
    return Badge("gate", str(decision), Colour.GREEN if decision == GateDecision.PASSED else Colour.RED)


def findings(repository: Repository, asked: Asked) -> Badge:
    """Count the findings that are open on a branch, worst first; informational ones are left out."""
    branch = asked.branch or repository.default_branch
    if not Scan.objects.filter(repository=repository, ref=branch).exists():
        return unknown("findings")  # none, and never looked, are not the same
    counts = summary(repository, branch)
    told = [(name, counts[name], colour) for name, colour in _WORST if counts.get(name)]
    if not told:
        return Badge("findings", "none", Colour.GREEN)
    return Badge("findings", ", ".join(f"{count:,} {name}" for name, count, _ in told[:2]), told[0][2])
