"""What routing reads of an event: its branch, how bad it is, whether it is news, and what it says the latest word of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from core.event_types import catalogue
from integrations.contract.message import SEVERITIES
from integrations.messages.reading import amount, branch_of, by_severity, commit_of, listed, mapping, repository_of, word

CRITICAL = SEVERITIES[0]
_SETTLED = ("finding.fixed", "finding.accepted")
_PROGRESS = ("scan.started",)
# Types that say how one thing stands, so that the later of two makes the earlier one void; only those of one word do so to each
# other. A start is no answer to the result before it. gate.changed, build.recovered and build.flaky tell of a turn: each is said once
_STATES = {
    "gate.passed": "gate",
    "gate.failed": "gate",
    "build.started": "build started",
    "build.completed": "build",
    "build.failed": "build failed",
    "scan.started": "scan started",
    "scan.completed": "scan",
    "scan.failed": "scan",
    "integration.unhealthy": "integration",
    "integration.recovered": "integration",
}


class Facts:
    """Of one event, each read when it is asked for. What is missing or odd in the data is as good as not there."""

    def __init__(self, type: str, data: Any) -> None:
        self.type = type
        self.data: Mapping[str, Any] = mapping(data)
        self._family = type.partition(".")[0]
        self._name = type.removesuffix(".single")

    @cached_property
    def branch(self) -> str:
        """Return the branch or tag; of a pull request the one that it brings."""
        head = mapping(mapping(self.data.get("pull_request")).get("head"))
        return branch_of(self.data) or word(head.get("ref"))

    @cached_property
    def severity(self) -> str:
        """Return the worst severity that a finding, scan or failed gate speaks of, "" where there is none.

        A gate that passed has none: it ends what a failed one began, and must come through wherever that did.
        """
        if self._family == "finding":
            return _worst(by_severity(self.data.get("by_severity"))) or _known(self.data.get("severity"))
        if self._family == "scan":
            return _worst(by_severity(self.data.get("by_severity"))) or self._named("top_findings")
        if self._family == "gate" and self._failed:
            return self._named("findings") or _worst(by_severity(mapping(self.data.get("counts")).get("new")))
        return ""

    @cached_property
    def is_new(self) -> bool:
        """Say whether it tells of something new; what has nothing to do with findings always does."""
        if self._name in _SETTLED or self._name in _PROGRESS:
            return False
        if self.type == "scan.completed":
            return bool(amount(self.data.get("new")) or amount(self.data.get("reopened")))
        if self.type == "gate.failed":
            return bool(by_severity(mapping(self.data.get("counts")).get("new")))
        if self.type == "gate.passed":
            return self.data.get("previous") == "failed"
        return True

    @cached_property
    def is_critical(self) -> bool:
        """Say whether it should overtake others: new critical findings, a gate that broke on one, an integration that is down."""
        if self._family == "finding":
            return self.severity == CRITICAL and self.is_new
        if self._family == "gate":
            return self.severity == CRITICAL
        if self._family == "scan":
            return self.is_new and self._named("top_findings") == CRITICAL
        return self.type == "integration.unhealthy"

    @property
    def is_operational(self) -> bool:
        """Say whether it tells of the portal's own deliveries."""
        found = catalogue.find(self.type)
        return found is not None and found.operational

    @cached_property
    def subject(self) -> tuple[str, ...]:
        """Return what a later event of the same subject makes void, () where no event does."""
        kind = _STATES.get(self.type)
        if kind is None:
            return ()
        place = (kind, word(self.data.get("provider"), 40) or word(self.data.get("source"), 40), repository_of(self.data), self.branch)
        if kind == "integration":
            id = word(self.data.get("integration_id"), 100)
            return (kind, id) if id else ()
        if not place[2]:
            return ()
        if self._family == "build":
            return (*place, word(self.data.get("workflow")))
        if self._family == "scan":
            return (*place, word(self.data.get("tool"), 100), word(self.data.get("integration")))
        return place

    def part(self, name: str) -> str:
        """Return what a part of a digest's key is: repository, branch, commit or type."""
        if name == "type":
            return self.type
        if name == "branch":
            return self.branch
        return repository_of(self.data) if name == "repository" else commit_of(self.data)

    @property
    def _failed(self) -> bool:
        return self.type == "gate.failed" or (self.type == "gate.changed" and self.data.get("result") == "failed")

    def _named(self, name: str) -> str:
        found = {_known(one.get("severity")) or "unknown" for one in listed(self.data.get(name)) if isinstance(one, Mapping)}
        return _worst(found)


def _worst(severities: Any) -> str:
    return next((name for name in SEVERITIES if name in severities), "")


def _known(value: Any) -> str:
    return value if isinstance(value, str) and value in SEVERITIES else ""
