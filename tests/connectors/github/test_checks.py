"""Check runs, held against GitHub's description of them: one run for a commit and name, each finding marked once."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from pytest_django.fixtures import Settings

from core.errors import InvalidInput
from core.http.door import BadAnswer
from integrations.connectors.github.connector import GitHub
from integrations.contract.message import FindingLine
from integrations.contract.outbound import NothingToTell, OutgoingEvent
from integrations.contract.outbound import Outcome as Told
from integrations.contract.schema import validate_options
from integrations.findings import FindingsQuery
from tests.connectors.github.rest_stub import Answer, Call
from tests.connectors.github.telling_kit import APP, SHA, TOKEN, Teller, golden_events
from tests.connectors.told import AT, HOSTILE, every_type, example, finding, golden, hostile_events, monsters

pytestmark = pytest.mark.once
CREATE = "POST /repos/{owner}/{repo}/check-runs"
CHANGE = "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}"
READ = "GET /repos/{owner}/{repo}/check-runs/{check_run_id}"
LIST = "GET /repos/{owner}/{repo}/commits/{ref}/check-runs"
FOUND: list[FindingLine] = []
ASKED: list[FindingsQuery] = []


def found(query: FindingsQuery) -> Sequence[FindingLine]:
    """Stand for scans."""
    ASKED.append(query)
    return FOUND[: query.limit]


@pytest.fixture(autouse=True)
def source(settings: Settings) -> Iterator[None]:
    settings.FINDINGS_SOURCE = "tests.connectors.github.test_checks.found"
    FOUND.clear()
    ASKED.clear()
    yield
    FOUND.clear()


def lines(count: int, text: str = "eval of a request") -> list[FindingLine]:
    return [FindingLine(f"{text} {n}", "high", path=f"./src/{n}.py", line=n + 1, finding_id=str(n), rule=f"R{n}") for n in range(count)]


@dataclass
class Checks(Teller):
    """A teller whose GitHub keeps the runs; `die_after` kills the process after so many calls that GitHub took."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    die_after: int | None = None
    at_death: Any = None

    def __post_init__(self) -> None:
        self.github.told |= {CREATE: self.create, CHANGE: self.change, READ: self.read, LIST: self.list}

    def create(self, call: Call) -> Answer:
        self.runs.append({"id": len(self.runs) + 1, "marks": [], **call.body})
        return self._took(self.runs[-1], call, 201)

    def change(self, call: Call) -> Answer:
        run = self.runs[int(call.path["check_run_id"]) - 1]
        run |= call.body
        return self._took(run, call, 200)

    def _took(self, run: dict[str, Any], call: Call, status: int) -> Answer:
        run["marks"] += call.body["output"].get("annotations", [])
        if self.die_after is not None:
            self.die_after -= 1
            if self.die_after < 0:
                self.die_after, self.at_death = None, copy.deepcopy(self.memory.kept)
                raise KeyboardInterrupt
        return status, self.shown(run), {}

    def read(self, call: Call) -> Answer:
        return 200, self.shown(self.runs[int(call.path["check_run_id"]) - 1]), {}

    def list(self, call: Call) -> Answer:
        made = [self.shown(run) for run in self.runs if (run["head_sha"], run["name"]) == (call.path["ref"], call.query["check_name"])]
        return 200, {"total_count": len(made), "check_runs": made}, {}

    def shown(self, run: dict[str, Any]) -> dict[str, Any]:
        output = {"annotations_count": len(run["marks"])}
        return {"id": run["id"], "external_id": run["external_id"], "html_url": f"https://github.com/runs/{run['id']}", "output": output}

    def killed(self, event: OutgoingEvent, after: int) -> None:
        """Tell, and die when GitHub has taken one call more than `after`: with whatever was stored by then, and not a line later."""
        self.die_after = after
        with pytest.raises(KeyboardInterrupt):
            self(event)
        self.memory.kept = self.at_death


def checks(**options: Any) -> Checks:
    return Checks({"action": "check_run"} | options, APP)


def at(seconds: int, type: str, **data: Any) -> OutgoingEvent:
    return replace(example(type, **data), timestamp=AT + timedelta(seconds=seconds), delivery_id=None, id=uuid.UUID(int=seconds))


def tried(tell: Teller, event: OutgoingEvent) -> Told | None:
    try:
        return tell(event)
    except (InvalidInput, NothingToTell):
        return None


def test_each_event_about_a_commit_is_shown_on_it() -> None:
    told: dict[str, Any] = {}
    for name, event in golden_events():
        FOUND[:] = lines(2) if name == "gate.failed" else []
        tell = checks()
        if tried(tell, event) is not None:
            told[name] = tell.bodies()
    golden(Path(__file__).parent, "checks.json", told)
    assert {name: [(one["status"], one.get("conclusion")) for one in bodies] for name, bodies in told.items()} == {
        "gate.failed": [("completed", "failure")], "gate.huge": [("completed", "failure")], "gate.passed": [("completed", "success")],
        "scan.started": [("in_progress", None)], "scan.completed": [("completed", "success")], "scan.failed": [("completed", "failure")],
    }  # fmt: skip
    assert "* and 1,980 more" in told["gate.huge"][0]["output"]["summary"]


def test_whatever_happens_stays_within_githubs_limits_and_is_no_markup() -> None:
    FOUND[:] = [
        *lines(60, HOSTILE * 300),
        FindingLine("x", "odd", path="../../etc/passwd", line=1),
        FindingLine("x", "low", path="/", line=1),
    ]
    gates = [example("gate.failed", reasons=[HOSTILE * 9] * 60, findings=[finding(n, HOSTILE * 20) for n in range(50)])]
    told = [tell for event in [*every_type(), *monsters(), *gates] if tried(tell := checks(), event)]
    assert all(tell.github.refused == [] for tell in told)
    bodies = [body for tell in told for body in (*tell.bodies(), *tell.bodies("PATCH"))]
    assert max(len(body["output"]["summary"].encode()) for body in bodies) <= 60_000
    assert all(".." not in one["path"] for body in bodies for one in body["output"].get("annotations", ()))
    texts = "\n".join(body["output"]["summary"] for body in bodies)
    for sign in ("<script", "<at>", "](javascript", "![", "@everyone", "@acme", "GH-1", "closes #2", "https://evil"):
        assert sign not in texts


@settings(max_examples=25, deadline=None)
@given(event=hostile_events())
def test_hostile_events_are_told_or_refused(event: OutgoingEvent) -> None:
    tell = checks()
    tried(tell, event)
    assert tell.github.refused == []


def test_one_run_goes_from_in_progress_to_the_gates_answer_with_marks_in_batches_of_fifty() -> None:
    FOUND[:] = lines(120)
    tell = checks()
    assert tell(at(1, "scan.started")).details["conclusion"] == "in progress"
    assert tell(at(2, "gate.failed")).details["annotations"] == 120
    [run] = tell.runs
    assert (run["status"], run["conclusion"], run["head_sha"], run["name"]) == ("completed", "failure", SHA, "RepoGuard")
    assert [one["path"] for one in run["marks"]] == [f"src/{n}.py" for n in range(120)]
    assert [len(body["output"].get("annotations", ())) for body in (*tell.bodies(), *tell.bodies("PATCH"))] == [0, 50, 50, 20]
    assert tell.github.refused == []
    [query] = ASKED
    assert (query.provider, query.repository, query.scan_id) == ("github", "acme/shop", example("gate.failed").data["scan_id"])


def test_findings_are_those_of_the_repository_that_the_event_belongs_to_whatever_it_says() -> None:
    tell = Checks(options={"action": "check_run", "repository": "acme/mine"}, config=APP)
    tell(replace(at(1, "gate.failed"), about="github:acme/mine"))
    [query] = ASKED
    assert (query.provider, query.repository) == ("github", "acme/mine")


def test_a_later_decision_marks_what_is_new_only_and_no_findings_still_make_a_run() -> None:
    tell = checks()
    assert tell(at(1, "gate.passed")).details["annotations"] == 0
    FOUND[:] = lines(1)
    tell(at(2, "gate.failed"))
    FOUND[:] = lines(3)
    tell(at(3, "gate.failed"))
    [run] = tell.runs
    assert [one["path"] for one in run["marks"]] == ["src/0.py", "src/1.py", "src/2.py"]


def test_an_older_event_that_is_told_late_changes_nothing_and_a_repeated_one_neither() -> None:
    tell = checks()
    tell(at(2, "gate.passed"))
    for event, said in ((at(1, "scan.started"), "newer event"), (at(2, "gate.passed"), "told before")):
        with pytest.raises(NothingToTell, match=said):
            tell(event)
    assert len(tell.github.calls) == 1


@pytest.mark.parametrize("calls", range(4))
def test_killed_after_any_call_there_is_one_run_and_each_finding_is_marked_once(calls: int) -> None:
    FOUND[:] = lines(160)
    tell = checks()
    tell.killed(at(1, "gate.failed"), calls)
    assert tell(at(1, "gate.failed")).ok
    [run] = tell.runs
    assert [one["path"] for one in run["marks"]] == [f"src/{n}.py" for n in range(160)]
    assert tell.github.refused == []


def test_a_call_that_never_arrived_is_made_again() -> None:
    FOUND[:] = lines(60)
    tell = checks()
    tell.github.told |= {CHANGE: lambda call: (502, {}, {}), CREATE: lambda call: (502, {}, {})}
    for _ in range(2):
        with pytest.raises(BadAnswer):
            tell(at(1, "gate.failed"))
    tell.github.told[CREATE] = tell.create
    with pytest.raises(BadAnswer):
        tell(at(1, "gate.failed"))
    tell.github.told[CHANGE] = tell.change
    assert tell(at(1, "gate.failed")).details["annotations"] == 60
    assert [len(run["marks"]) for run in tell.runs] == [60]


def test_two_deliveries_about_one_check_take_turns() -> None:
    tell = checks()
    said: list[Told] = []

    def meanwhile(call: Call) -> Answer:
        tell.github.told[CREATE] = tell.create
        said.append(tell(at(2, "gate.failed")))
        return tell.create(call)

    tell.github.told[CREATE] = meanwhile
    assert tell(at(1, "scan.started")).ok
    assert [(one.ok, one.permanent) for one in said] == [(False, False)]
    tell(at(2, "gate.failed"))
    assert [run["conclusion"] for run in tell.runs] == ["failure"]


def test_a_failed_scan_is_neutral_where_the_webhook_says_so_and_marks_can_be_left_out() -> None:
    FOUND[:] = lines(2)
    tell = checks(failed_scan="neutral", annotate="none")
    tell(at(1, "scan.failed"))
    assert tell.runs[0]["conclusion"] == "neutral"
    tell(at(2, "gate.failed"))
    assert (tell.runs[0]["conclusion"], tell.runs[0]["marks"], ASKED) == ("failure", [], [])


def test_a_token_is_told_that_only_apps_may() -> None:
    with pytest.raises(InvalidInput, match="only GitHub Apps"):
        validate_options(GitHub, {"action": "check_run"}, config=TOKEN)
    changed = checks()
    validated = validate_options(GitHub, changed.options, config=APP)
    changed.config = TOKEN
    with pytest.raises(InvalidInput, match="sign the integration in as an app"):
        changed.connector().send(example("gate.failed"), validated, changed.memory)
