"""One ticket for a finding, whatever happens to it, to Jira, and to the process that tells Jira."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.http.door import BadAnswer, CallFailed, SignInFailed, Throttled
from integrations.contract.outbound import Remembered
from integrations.messages.tickets import mark_of
from tests.connectors import told
from tests.connectors.contract import DictMemory
from tests.connectors.door import TIMED_OUT
from tests.connectors.jira.kit import DATA_CENTER, about_finding, did, tell
from tests.connectors.jira.stub import Jira

pytestmark = pytest.mark.once
KEY = f"finding:{told.finding(1)['finding_id']}"


class Killed(BaseException):
    """The process dies here."""


class DyingMemory(DictMemory):
    """Dies at the so-manieth call of a method, and then does nothing any more until it is born again: no lock is given back."""

    def __init__(self, at: int = 0, method: str = "") -> None:
        super().__init__()
        self.left, self.method, self.dead = at, method, False

    def again(self) -> None:
        self.left, self.dead = 0, False

    def _step(self, method: str) -> None:
        if method == self.method and not self.dead:
            self.left -= 1
            self.dead = self.left == 0
        if self.dead:
            raise Killed

    def replace(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        self._step("replace")
        super().replace(key, external_id, data)

    def forget(self, key: str) -> None:
        self._step("forget")
        super().forget(key)


@pytest.fixture
def jira() -> Jira:
    return Jira()


@pytest.fixture
def memory() -> DictMemory:
    return DictMemory()


def aged(memory: DictMemory, minutes: float = 6) -> None:
    """Have what may have been made be older."""
    key = f"{KEY}|making"
    memory.kept[key] = Remembered((datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(), memory.kept[key].data)


# --- the life of a ticket ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [None, DATA_CENTER], ids=["cloud", "data center"])
def test_a_finding_lives_in_one_ticket(jira: Jira, memory: DictMemory, values: Any) -> None:
    more = {"values": values} if values else {}
    made = tell(jira, about_finding("opened.single"), memory, **more)
    assert (did(made), made.status, made.details["ticket"]) == ("made", 201, "SEC-1")
    assert made.details["url"] == "https://acme.atlassian.net/browse/SEC-1"
    issue = jira.only()
    assert issue["fields"]["summary"] == "high: Prototype pollution in lodash 1 (pkg-1 1.0) in acme/shop"
    assert issue["fields"]["priority"] == {"name": "High"}
    assert issue["fields"]["labels"] == ["repoguard", f"repoguard-{mark_of(KEY, 1)}"]
    assert did(tell(jira, about_finding("fixed.single", later=1), memory, **more)) == "closed"
    assert (issue["status"], len(issue["comments"])) == ("Done", 1)
    assert did(tell(jira, about_finding("reopened.single", later=2), memory, **more)) == "opened again"
    assert (issue["status"], len(issue["comments"])) == ("To Do", 2)
    accepted = about_finding("accepted", later=3, accepted_by="alice", reason="not reachable")
    assert did(tell(jira, accepted, memory, **more)) == "closed"
    assert "alice" in str(issue["comments"][-1])
    assert "not reachable" in str(issue["comments"][-1])
    assert jira.refused == []
    assert not [key for key in memory.kept if key.endswith(("work", "making"))]


def test_the_same_event_told_again_asks_nothing(jira: Jira, memory: DictMemory) -> None:
    tell(jira, about_finding("opened.single"), memory)
    before = len(jira.asked)
    assert did(tell(jira, about_finding("opened.single"), memory)) == "told before"
    assert len(jira.asked) == before


def test_another_branch_comments_only_what_changed(jira: Jira, memory: DictMemory) -> None:
    tell(jira, about_finding("opened.single"), memory)
    assert did(tell(jira, about_finding("opened.single", later=1, ref="feature"), memory)) == "nothing new"
    assert jira.only()["comments"] == []
    assert did(tell(jira, about_finding("opened.single", later=2, ref="feature", severity="critical"), memory)) == "commented"
    assert "Severity: high → critical." in str(jira.only()["comments"])
    assert jira.made() == 1


def test_a_fix_on_a_branch_closes_nothing_while_another_branch_has_it(jira: Jira, memory: DictMemory) -> None:
    tell(jira, about_finding("opened.single"), memory)
    tell(jira, about_finding("opened.single", later=1, ref="feature"), memory)
    assert "still reported on main" in did(tell(jira, about_finding("fixed.single", later=2, ref="feature"), memory))
    assert (jira.only()["status"], jira.only()["comments"]) == ("To Do", [])
    assert did(tell(jira, about_finding("fixed.single", later=3), memory)) == "closed"


def test_only_the_named_branches_count(jira: Jira, memory: DictMemory) -> None:
    assert "none of the webhook's branches" in did(
        tell(jira, about_finding("opened.single", ref="feature"), memory, branches=["main", "release/*"])
    )
    assert did(tell(jira, about_finding("opened.single", later=1, ref="release/2"), memory, branches=["main", "release/*"])) == "made"


def test_a_fix_without_a_ticket_is_nothing_and_an_older_opening_told_later_too(jira: Jira, memory: DictMemory) -> None:
    assert "no ticket" in did(tell(jira, about_finding("fixed.single", later=9), memory))
    assert "something later" in did(tell(jira, about_finding("opened.single"), memory))
    assert jira.issues == {}
    assert did(tell(jira, about_finding("reopened.single", later=10), memory)) == "made"
    tell(jira, about_finding("fixed.single", later=30), memory)
    assert "something later" in did(tell(jira, about_finding("reopened.single", later=20), memory))
    assert jira.only()["status"] == "Done"


def test_what_is_below_the_floor_gets_no_ticket_but_its_ticket_is_kept(jira: Jira, memory: DictMemory) -> None:
    assert "below high" in did(tell(jira, about_finding("opened.single", severity="medium"), memory, min_severity="high"))
    assert did(tell(jira, about_finding("opened.single", later=1, severity="high"), memory, min_severity="high")) == "made"
    assert did(tell(jira, about_finding("opened.single", later=2, severity="low"), memory, min_severity="high")) == "commented"
    assert did(tell(jira, about_finding("fixed.single", later=3, severity="low"), memory, min_severity="high")) == "closed"


@pytest.mark.parametrize(("on_fix", "status", "comments"), [("comment", "To Do", 1), ("nothing", "To Do", 0)])
def test_a_fix_does_what_the_webhook_says(jira: Jira, memory: DictMemory, on_fix: str, status: str, comments: int) -> None:
    tell(jira, about_finding("opened.single"), memory)
    tell(jira, about_finding("fixed.single", later=1), memory, on_fix=on_fix)
    assert (jira.only()["status"], len(jira.only()["comments"])) == (status, comments)


def test_what_is_back_may_get_a_new_ticket_that_names_the_old_one(jira: Jira, memory: DictMemory) -> None:
    for number, kind in enumerate(("opened", "fixed", "reopened", "fixed", "reopened")):
        tell(jira, about_finding(f"{kind}.single", later=number), memory, on_return="new")
    assert [one["status"] for one in jira.issues.values()] == ["Done", "Done", "To Do"]
    assert "SEC-2" in str(jira.issues["10003"]["fields"]["description"])
    assert len({one["fields"]["labels"][-1] for one in jira.issues.values()}) == 3


def test_a_deleted_ticket_is_made_anew_only_if_it_is_open(jira: Jira, memory: DictMemory) -> None:
    tell(jira, about_finding("opened.single"), memory)
    jira.issues.clear()
    assert "not there any more" in did(tell(jira, about_finding("fixed.single", later=1), memory))
    assert did(tell(jira, about_finding("reopened.single", later=2), memory)) == "made"
    jira.issues.clear()
    assert did(tell(jira, about_finding("opened.single", later=3, severity="critical"), memory)) == "made"
    assert jira.only()["fields"]["priority"] == {"name": "Highest"}


def test_a_webhook_that_lost_its_memory_goes_on_with_the_tickets_there_are(jira: Jira) -> None:
    tell(jira, about_finding("opened.single"), DictMemory())
    assert did(tell(jira, about_finding("opened.single", later=1), DictMemory())) == "nothing new"
    jira.only()["status"] = "Done"
    assert did(tell(jira, about_finding("opened.single", later=2), DictMemory())) == "opened again"
    assert jira.made() == 1


def test_a_ticket_of_another_project_or_with_a_mark_of_somebody_else_is_not_ours(jira: Jira, memory: DictMemory) -> None:
    forged = hashlib.sha256(KEY.encode()).hexdigest()[:20]
    for number, (project, mark) in enumerate((("OPS", mark_of(KEY, 1)), ("SEC", forged)), 1):
        fields = {"project": {"key": project}, "labels": [f"repoguard-{mark}"]}
        jira.issues[str(number)] = {"id": str(number), "key": f"{project}-1", "fields": fields, "status": "Done", "comments": []}
    assert did(tell(jira, about_finding("opened.single"), memory)) == "made"
    with pytest.raises(BadAnswer, match="valid project is required"):
        tell(jira, about_finding("opened.single"), DictMemory(), project="GONE")


def test_an_event_about_several_findings_is_told_to_each_ticket(jira: Jira, memory: DictMemory) -> None:
    tell(jira, about_finding("opened.single", 1), memory)
    found = [told.finding(number) | {"known_exploited": True} for number in (1, 2)]
    outcome = tell(jira, told.example("finding.exploited", count=9, findings=found), memory)
    assert [one["did"] for one in outcome.details["tickets"]] == ["commented", "made"]
    assert "Known to be exploited: no → yes." in str(jira.issues["10001"]["comments"])
    assert len(jira.issues) == 2


def test_gates_and_builds_have_tickets_and_other_events_none(jira: Jira, memory: DictMemory) -> None:
    assert did(tell(jira, told.gate(3), memory, min_severity="critical")) == "made"
    assert did(tell(jira, told.example("build.failed"), memory)) == "made"
    many = told.example("finding.opened", count=2, findings=[told.finding(1), told.finding(2)])
    for event in (told.example("repository.pushed"), told.digest([told.gate(3)]), many):
        assert "ticket is kept for" in did(tell(jira, event, memory))
    assert len(jira.issues) == 2
    assert jira.refused == []


# --- killed, and at once ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "at"), [("replace", 1), ("replace", 2), ("replace", 3), ("forget", 1), ("forget", 2)])
def test_killed_at_any_note_there_is_one_ticket(jira: Jira, method: str, at: int) -> None:
    memory, event = DyingMemory(at, method), about_finding("opened.single")
    with pytest.raises(Killed):
        tell(jira, event, memory)
    memory.again()
    jira.unseen = 1  # the search does not know it yet
    if len(jira.issues) and not memory.get(KEY):
        early = tell(jira, event, memory)
        assert (early.ok, early.permanent, early.status) == (False, False, 409)
        aged(memory)
    jira.unseen = 0
    assert tell(jira, event, memory).ok
    assert tell(jira, about_finding("fixed.single", later=1), memory).ok
    assert jira.only()["status"] == "Done"


def test_a_fix_closes_the_ticket_that_nobody_noted(jira: Jira, settings: Any) -> None:
    memory = DyingMemory(3, "replace")
    with pytest.raises(Killed):
        tell(jira, about_finding("opened.single"), memory)
    settings.SECRET_KEY = "rotated meanwhile, and the note says what to look for"
    memory.again()
    assert memory.get(KEY) is None
    assert not tell(jira, about_finding("fixed.single", later=1), memory).ok, "the dead one may be at it still"
    memory.forget(f"{KEY}|at work")  # its time is over
    assert did(tell(jira, about_finding("fixed.single", later=1), memory)) == "closed"
    assert jira.only()["status"] == "Done"


@pytest.mark.parametrize("at", range(1, 5))
def test_killed_while_it_closes_there_is_one_comment(jira: Jira, at: int) -> None:
    memory, fixed = DyingMemory(), about_finding("fixed.single", later=1)
    tell(jira, about_finding("opened.single"), memory)
    memory.left, memory.method = at, "replace"
    with pytest.raises(Killed):
        tell(jira, fixed, memory)
    memory.again()
    assert tell(jira, fixed, memory).ok
    assert (jira.only()["status"], len(jira.only()["comments"])) == ("Done", 1)


def test_a_timeout_of_the_creation_makes_no_second_ticket(jira: Jira, memory: DictMemory) -> None:
    def lost(method: str, path: str) -> None:
        if (method, path) == ("POST", "/issue"):
            raise TIMED_OUT

    jira.after = lost
    with pytest.raises(CallFailed):
        tell(jira, about_finding("opened.single"), memory)
    jira.after, jira.unseen = lambda *_: None, 1
    assert not tell(jira, about_finding("opened.single"), memory).ok, "the search may lag behind"
    fixed = tell(jira, about_finding("fixed.single", later=1), memory)
    assert not fixed.ok, "and the fix waits as well"
    jira.unseen = 0
    assert did(tell(jira, about_finding("fixed.single", later=1), memory)) == "closed"
    assert jira.only()["status"] == "Done"


def test_a_creation_that_came_to_nothing_is_made_up_for_when_the_search_would_know_it(jira: Jira, memory: DictMemory) -> None:
    jira.before = lambda method, path: (500, None, {}) if (method, path) == ("POST", "/issue") else None
    with pytest.raises(BadAnswer):
        tell(jira, about_finding("opened.single"), memory)
    jira.before = lambda *_: None
    assert not tell(jira, about_finding("opened.single"), memory).ok
    aged(memory)
    assert did(tell(jira, about_finding("opened.single"), memory)) == "made"
    jira.only()


def test_two_at_once_are_one_after_the_other(jira: Jira, memory: DictMemory) -> None:
    inside: list[Any] = []

    def meanwhile(method: str, path: str) -> None:
        if (method, path) == ("POST", "/issue"):
            inside.append(tell(jira, about_finding("fixed.single", later=1), memory))

    jira.after = meanwhile
    tell(jira, about_finding("opened.single"), memory)
    assert (inside[0].ok, inside[0].permanent, inside[0].retry_after) == (False, False, None)
    assert "Another delivery" in inside[0].error
    assert did(tell(jira, about_finding("fixed.single", later=1), memory)) == "closed"


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_refusal_names_each_field_and_what_mends_it(jira: Jira, memory: DictMemory) -> None:
    jira.priorities, jira.required, jira.types = (), ("customfield_10010",), ("Story",)
    with pytest.raises(BadAnswer) as caught:
        tell(jira, about_finding("opened.single"), memory)
    assert (caught.value.status_code, caught.value.permanent) == (400, True)
    for words in ("priority: The priority selected is invalid. Check the names in the option Priorities", "customfield_10010",
                  "Further fields", "option Issue type"):  # fmt: skip
        assert words in caught.value.message
    jira.priorities, jira.types = ("High",), ("Story",)
    team = {"customfield_10010": '{"value": "Payments"}', "customfield_10011": "plain"}
    assert did(tell(jira, about_finding("opened.single"), memory, issue_type="Story", extra_fields=team)) == "made", "nothing is looked for"
    assert jira.only()["fields"]["customfield_10010"] == {"value": "Payments"}
    assert jira.only()["fields"]["customfield_10011"] == "plain"


def test_limits_and_credentials_are_the_engines_business(jira: Jira, memory: DictMemory) -> None:
    said = {"errorMessages": ["tok-planted-jira is no token"]}
    for status, error, headers in ((429, Throttled, {"Retry-After": "17"}), (401, SignInFailed, {}), (403, BadAnswer, {})):
        jira.before = lambda method, path, status=status, headers=headers: (status, said, headers) if method == "POST" else None
        with pytest.raises(error) as caught:
            tell(jira, about_finding("opened.single"), memory)
        assert "tok-planted" not in caught.value.message
        assert caught.value.retry_after == (17 if status == 429 else None)
    jira.before = lambda *_: None
    assert did(tell(jira, about_finding("opened.single"), memory)) == "made"


def test_a_workflow_without_the_way_is_explained_and_mended_without_a_second_comment(jira: Jira, memory: DictMemory) -> None:
    tell(jira, about_finding("opened.single"), memory)
    fixed, jira.transitions = about_finding("fixed.single", later=1), {"To Do": ("In Progress",)}
    with pytest.raises(BadAnswer, match="There are To In Progress") as caught:
        tell(jira, fixed, memory)
    assert caught.value.permanent
    jira.transitions, jira.resolution_required = {"To Do": ("In Progress", "Won't do", "Done")}, True
    assert did(tell(jira, fixed, memory, done_transition="done")) == "closed"
    assert (jira.only()["status"], jira.only()["resolution"], len(jira.only()["comments"])) == ("Done", "Done", 1)


def test_a_test_says_whether_tickets_can_be_made(jira: Jira, memory: DictMemory) -> None:
    test = told.example("webhook.test")
    assert "takes issues of the type Task" in tell(jira, test, memory).details["checked"]
    with pytest.raises(BadAnswer, match="there are Task, Bug"):
        tell(jira, test, memory, issue_type="Epic")
    jira.permissions = ("CREATE_ISSUES",)
    with pytest.raises(BadAnswer, match="Add comments, Transition issues"):
        tell(jira, test, memory)
    assert jira.issues == {}
