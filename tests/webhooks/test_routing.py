from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.event_types import catalogue, check_pattern, patterns_for
from integrations.messages.digests import DIGEST_TYPE
from webhooks.choices import Lane
from webhooks.routing.checking import check_routing
from webhooks.routing.facts import Facts
from webhooks.routing.rules import Routing, on_branch, routing_of

pytestmark = pytest.mark.once


def facts(name: str, **data: Any) -> Facts:
    """Return what routing reads of the example of a type, with other data."""
    found = catalogue.find(name)
    assert found is not None
    return Facts(name, found.example | data)


# --- what is stored ---------------------------------------------------------------------------------------------------


def test_a_full_routing_is_kept_and_read_and_one_of_defaults_is_none() -> None:
    full: dict[str, Any] = {
        "branches": ["main", "release/*", "!dependabot/*"],
        "min_severity": "high",
        "new_only": True,
        "digest": {"window_seconds": 300, "key": ["branch", "repository"], "mode": "latest", "quiet_seconds": 30, "max_events": 50},
        "lanes": "severity",
        "supersede": True,
        "expires_after": 3600,
    }
    stored = check_routing(full)
    assert stored == full | {"digest": full["digest"] | {"key": ["repository", "branch"]}}
    read = routing_of(stored)
    assert read is not None
    assert (read.branches, read.expires_after, read.digest and read.digest.key) == (tuple(full["branches"]), 3600, ("repository", "branch"))
    defaults = {"branches": [], "new_only": False, "lanes": "priority", "digest": None, "supersede": False}
    assert check_routing(defaults) is check_routing({}) is check_routing(None) is routing_of(None) is None


@pytest.mark.parametrize(
    ("routing", "field"),
    [
        ([], "routing"),
        ({"branch": ["main"]}, "routing.branch"),
        ({"branches": "main"}, "routing.branches"),
        ({"branches": ["!"]}, "routing.branches"),
        ({"branches": ["refs/heads/main"]}, "routing.branches"),
        ({"min_severity": "unknown"}, "routing.min_severity"),
        ({"min_severity": ["high"]}, "routing.min_severity"),
        ({"new_only": 1}, "routing.new_only"),
        ({"digest": []}, "routing.digest"),
        ({"digest": {}}, "routing.digest.window_seconds"),
        ({"digest": {"window_seconds": 9}}, "routing.digest.window_seconds"),
        ({"digest": {"window_seconds": True}}, "routing.digest.window_seconds"),
        ({"digest": {"window_seconds": 10, "key": ["owner"]}}, "routing.digest.key"),
        ({"digest": {"window_seconds": 10, "quiet_seconds": 11}}, "routing.digest.quiet_seconds"),
        ({"digest": {"window_seconds": 10, "max_events": 1}}, "routing.digest.max_events"),
        ({"lanes": "fast"}, "routing.lanes"),
        ({"expires_after": 0.5}, "routing.expires_after"),
        ({"ü\n" * 99: 1}, "routing." + ("\\xfc\\n" * 99)[:50]),
    ],
)
def test_what_is_wrong_is_named_by_its_member(routing: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_routing(routing)
    assert list(caught.value.fields) == [field]
    assert field in caught.value.message


def test_the_type_of_digests_is_declared_and_nobody_subscribes_to_it() -> None:
    assert patterns_for(DIGEST_TYPE) == [DIGEST_TYPE]
    for pattern in (DIGEST_TYPE, "notification.*"):
        with pytest.raises(InvalidInput):
            check_pattern(pattern)


# --- what passes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("globs", "branch", "meant"),
    [
        (("main",), "main", True),
        (("main",), "maintenance", False),
        (("release/*",), "release/2/hotfix", True),
        (("main", "release/*"), "dev", False),
        (("!dependabot/*",), "dev", True),
        (("!dependabot/*",), "dependabot/npm/lodash", False),
        (("*", "!dependabot/*"), "dependabot/npm", False),
        (("!dependabot/*", "*"), "dependabot/npm", False),
        (("v?.x",), "v1.x", True),
        (("[ab]",), "a", False),
        (("[ab]",), "[ab]", True),
        (("a*" * 50,), "a" * 300 + "b", True),
    ],
)
def test_branches_are_meant_by_globs(globs: tuple[str, ...], branch: str, meant: bool) -> None:
    assert on_branch(globs, branch) is meant


def test_branches_of_all_kinds_of_events_are_read_and_events_without_one_pass() -> None:
    only = Routing(branches=("release/*",))
    assert not only.passes(facts("finding.opened"))
    assert only.passes(facts("finding.opened", ref="refs/heads/release/1"))
    assert only.passes(facts("build.failed", branch="release/1"))
    assert not only.passes(facts("pull_request.updated"))
    assert only.passes(facts("integration.unhealthy"))


CRITICAL, MEDIUM = [{"severity": "critical"}], [{"severity": "medium"}]


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        (facts("finding.opened", by_severity={"low": 400, "high": 1}), True),
        (facts("finding.opened", by_severity={"medium": 9}, severity="medium"), False),
        (facts("finding.fixed", by_severity={"critical": 1}), True),
        (facts("finding.opened", by_severity={}, severity="critical"), True),
        (facts("scan.completed", by_severity={"medium": 3}), False),
        (facts("scan.completed", by_severity={"critical": 1}), True),
        (facts("scan.failed"), True),
        (facts("gate.failed", findings=MEDIUM), False),
        (facts("gate.failed", findings=[], counts={"new": {"low": 1}}), False),
        (facts("gate.failed", findings=CRITICAL), True),
        (facts("gate.passed", counts={"new": {}, "all": {"low": 4}}), True),
        (facts("custom.deployed", severity="low"), True),
        (facts("build.failed"), True),
        (Facts("finding.opened", None), True),
    ],
)
def test_a_floor_holds_back_what_is_below_it_and_nothing_that_says_no_severity(event: Facts, passes: bool) -> None:
    assert Routing(min_severity="high").passes(event) is passes


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        (facts("finding.opened"), True),
        (facts("finding.opened.single"), True),
        (facts("finding.reopened"), True),
        (facts("finding.fixed"), False),
        (facts("finding.fixed.single"), False),
        (facts("finding.accepted"), False),
        (facts("finding.exploited"), True),
        (facts("scan.started"), False),
        (facts("scan.completed", new=0, reopened=1), True),
        (facts("scan.completed", new=0, reopened=0), False),
        (facts("scan.failed"), True),
        (facts("gate.failed", counts={"new": {"low": 1}}), True),
        (facts("gate.failed", counts={"new": {}, "all": {"low": 1}}), False),
        (facts("gate.passed", previous="passed"), False),
        (facts("gate.passed", previous="failed"), True),
        (facts("gate.changed"), True),
        (facts("build.failed"), True),
    ],
)
def test_only_news_pass_where_only_those_are_wanted(event: Facts, passes: bool) -> None:
    assert Routing(new_only=True).passes(event) is passes


@pytest.mark.parametrize(
    ("event", "critical"),
    [
        (facts("finding.opened", by_severity={"critical": 1}), True),
        (facts("finding.fixed", by_severity={"critical": 1}), False),
        (facts("finding.opened"), False),
        (facts("gate.failed", findings=CRITICAL), True),
        (facts("gate.changed", findings=CRITICAL, result="passed"), False),
        (facts("scan.completed", by_severity={"critical": 9}, top_findings=MEDIUM), False),
        (facts("scan.completed", top_findings=CRITICAL), True),
        (facts("integration.unhealthy"), True),
        (facts("integration.recovered"), False),
    ],
)
def test_what_is_critical_goes_a_lane_ahead(event: Facts, critical: bool) -> None:
    routing = Routing(lanes="severity")
    assert routing.lane(Lane.NORMAL, event) == (Lane.HIGH if critical else Lane.NORMAL)
    assert routing.lane(Lane.LOW, event) == (Lane.NORMAL if critical else Lane.LOW)
    assert routing.lane(Lane.HIGH, event) == Lane.HIGH
    assert Routing().lane(Lane.NORMAL, event) == Lane.NORMAL


def test_a_later_word_on_the_same_thing_has_the_same_subject_and_nothing_else_has() -> None:
    assert facts("gate.failed").subject == facts("gate.passed").subject
    assert facts("scan.completed").subject == facts("scan.failed").subject != facts("scan.started").subject
    assert facts("build.completed").subject != facts("build.failed").subject
    assert facts("integration.unhealthy").subject == facts("integration.recovered").subject
    others = [
        facts("gate.failed", ref="dev"), facts("gate.failed", repository="acme/other"), facts("build.completed"),
        facts("build.completed", workflow="deploy"), facts("scan.completed"), facts("scan.completed", tool="trivy"),
    ]  # fmt: skip
    assert len({one.subject for one in [facts("gate.failed"), *others]}) == 7
    for name in ("gate.changed", "build.recovered", "finding.opened", "custom.deployed"):
        assert facts(name).subject == ()
    assert Facts("gate.failed", {}).subject == Facts("integration.unhealthy", {}).subject == ()
