"""Issues at GitHub, held against GitHub's own description of its API: one for each finding, whatever happens."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from core.http.door import BadAnswer, CallFailed, Throttled
from integrations.auth import HeaderAuth
from integrations.connectors.github.client import Client
from integrations.connectors.github.issue_layout import marker
from integrations.connectors.github.issues import ISSUE_FIELDS, issue_problems, tell_issue
from integrations.contract.outbound import NothingToTell, Outcome, OutgoingEvent, Remembered
from integrations.messages.tickets import mark_of
from tests.connectors import told
from tests.connectors.contract import DictMemory
from tests.connectors.door import TIMED_OUT
from tests.connectors.github.rest_stub import Answer, Call, RestDoor, RestStub
from tests.connectors.github.telling_kit import Teller

pytestmark = pytest.mark.once
API, REPO = "https://api.github.com", "/repos/{owner}/{repo}"
KEY = f"finding:{told.finding(1)['finding_id']}"
GOLDEN = ("gate.failed", "finding.opened.single", "build.failed", "scan.failed", "integration.unhealthy")


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Issues:
    """A repository's issues behind the stub; `unlisted` of the newest are not listed yet."""

    github: RestStub = field(default_factory=lambda: RestStub(url=API))
    memory: DictMemory = field(default_factory=DictMemory)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    unlisted: int = 0

    def __post_init__(self) -> None:
        one = f"{REPO}/issues/{{issue_number}}"
        self.github.told |= {
            f"POST {REPO}/issues": self.create, f"GET {REPO}/issues": self.list, f"GET {one}": self.read, f"PATCH {one}": self.change,
            f"POST {one}/comments": self.comment, f"GET {one}/comments": self.comments, "GET /search/issues": self.search,
        }  # fmt: skip

    def create(self, call: Call) -> Answer:
        number = len(self.issues) + 1
        self.issues[number] = {"number": number, "state": "open", "html_url": f"https://github.com/acme/shop/issues/{number}",
                               "comments_made": [], "created": datetime.now(UTC), **call.body}  # fmt: skip
        return 201, self.shown(number), {}

    def shown(self, number: int) -> dict[str, Any]:
        return {name: self.issues[number][name] for name in ("number", "state", "html_url", "body")}

    def search(self, call: Call) -> Answer:
        word = re.fullmatch(r'repo:acme/shop is:issue in:body "(repoguard:[0-9a-f]+)"', call.query["q"])
        assert word
        return 200, {"items": [self.shown(number) for number, one in self.issues.items() if word[1] in one["body"]]}, {}

    def list(self, call: Call) -> Answer:
        assert call.query["state"] == "all"
        since = datetime.fromisoformat(call.query["since"].replace("Z", "+00:00"))
        listed = [number for number, one in list(self.issues.items())[: len(self.issues) - self.unlisted] if one["created"] >= since]
        return 200, [self.shown(number) for number in reversed(listed)], {}

    def _gone(self, call: Call) -> Answer | None:
        return None if int(call.path["issue_number"]) in self.issues else (410, {"message": "This issue was deleted"}, {})

    def read(self, call: Call) -> Answer:
        return self._gone(call) or (200, self.shown(int(call.path["issue_number"])), {})

    def change(self, call: Call) -> Answer:
        if gone := self._gone(call):
            return gone
        self.issues[int(call.path["issue_number"])] |= call.body
        return self.read(call)

    def comment(self, call: Call) -> Answer:
        if gone := self._gone(call):
            return gone
        self.issues[int(call.path["issue_number"])]["comments_made"].append(call.body["body"])
        return 201, {"id": 1}, {}

    def comments(self, call: Call) -> Answer:
        return self._gone(call) or (200, [{"body": body} for body in self.issues[int(call.path["issue_number"])]["comments_made"]], {})

    def __call__(self, event: OutgoingEvent, **options: Any) -> Outcome:
        client = Client(RestDoor(self.github, HeaderAuth("Authorization", "github_pat_planted", "Bearer")), API, lambda text, *_: text)
        asked = {one.name: one.default for one in ISSUE_FIELDS if one.default is not None} | options
        return tell_issue(client, event, "acme/shop", asked, self.memory)

    def only(self) -> dict[str, Any]:
        assert len(self.issues) == 1
        return self.issues[1]


def about(kind: str, later: float = 0, **data: Any) -> OutgoingEvent:
    """Return an event about one finding, so many seconds after the first."""
    found = told.finding(1) | {"known_exploited": False} | data
    base = told.example(f"finding.{kind}", **found, count=1, findings=[found])
    id = told.uuid.UUID(int=int(later * 1000) + 1)
    return replace(base, id=id, timestamp=told.AT + timedelta(seconds=later), delivery_id=told.uuid.UUID(int=id.int + 2**40))


def test_a_finding_lives_in_one_issue() -> None:
    tell = Issues()
    made = tell(about("opened.single"), severity_labels={"high": "priority: high"}, assignees=["alice"])
    assert (made.status, made.details["ticket"], made.details["url"]) == (201, "acme/shop#1", "https://github.com/acme/shop/issues/1")
    issue = tell.only()
    assert (issue["labels"], issue["assignees"]) == (["repoguard", "priority: high"], ["alice"])
    assert issue["title"] == "high: Prototype pollution in lodash 1 (pkg-1 1.0) in acme/shop"
    assert issue["body"].endswith(marker(mark_of(KEY, 1)))
    assert tell(about("opened.single", 1, ref="feature")).details["did"] == "nothing new"
    assert tell(about("opened.single", 2, severity="critical")).details["did"] == "commented"
    with pytest.raises(NothingToTell):
        tell(about("fixed.single", 1.5))
    assert tell(about("accepted", 4)).details["did"] == "closed"
    assert (issue["state"], issue["state_reason"], len(issue["comments_made"])) == ("closed", "completed", 2)
    assert tell(about("reopened.single", 5)).details["did"] == "opened again"
    assert (issue["state"], issue["state_reason"]) == ("open", "reopened")
    issue |= {"state": "closed", "state_reason": "not_planned"}  # by somebody
    assert tell(about("accepted", 6)).details["did"] == "closed"
    assert issue["state_reason"] == "not_planned"
    assert tell.github.refused == []


def test_an_issue_that_was_deleted_is_made_anew_only_if_it_is_open() -> None:
    tell = Issues()
    tell(about("opened.single"))
    tell.issues.clear()
    with pytest.raises(NothingToTell, match="not there any more"):
        tell(about("accepted", 1))
    assert tell(about("reopened.single", 2)).details["did"] == "made"
    tell.issues.clear()
    assert tell(about("opened.single", 3, severity="critical")).details["did"] == "made"


def test_a_webhook_that_lost_its_memory_goes_on_with_the_issues_there_are() -> None:
    tell = Issues()
    tell(about("opened.single"))
    tell.memory = DictMemory()
    assert tell(about("opened.single", 1)).details["did"] == "nothing new"
    tell.memory, tell.only()["state"] = DictMemory(), "closed"
    assert tell(about("opened.single", 2)).details["did"] == "opened again"
    tell.memory = DictMemory()
    tell.github.told["GET /search/issues"] = lambda call: (422, {"message": "The listed users and repositories cannot be searched."}, {})
    assert tell(about("opened.single", 3)).details["did"] == "made"


@pytest.mark.parametrize("lost", ["killed", "timed out"])
def test_a_try_that_was_cut_short_leads_to_one_issue(lost: str) -> None:
    tell = Issues()
    kept = tell.github.told[f"POST {REPO}/issues"]

    def cut_short(call: Call) -> Answer:
        kept(call)
        raise Killed if lost == "killed" else TIMED_OUT

    tell.github.told[f"POST {REPO}/issues"] = cut_short
    with pytest.raises((Killed, CallFailed)):
        tell(about("opened.single"))
    tell.github.told[f"POST {REPO}/issues"], tell.unlisted = kept, 1
    early = tell(about("opened.single"))
    assert (early.ok, early.status, early.retry_after) == (False, 409, None)
    tell.unlisted = 0
    assert tell(about("opened.single")).ok
    assert tell(about("accepted", 1)).details["did"] == "closed"
    assert tell.only()["state"] == "closed"


def test_what_came_to_nothing_is_made_once_it_would_be_listed() -> None:
    tell = Issues()
    tell.github.before = lambda call: (502, None, {}) if call.operation.startswith("POST") else None
    with pytest.raises(BadAnswer):
        tell(about("opened.single"))
    tell.github.before = lambda call: None
    assert not tell(about("opened.single")).ok
    note = f"{KEY}|making"
    tell.memory.kept[note] = Remembered((datetime.now(UTC) - timedelta(minutes=5)).isoformat(), tell.memory.kept[note].data)
    assert tell(about("opened.single")).details["did"] == "made"


@pytest.mark.parametrize(("status", "headers", "error", "words"), [
    (403, {"x-ratelimit-remaining": "0", "retry-after": "30"}, Throttled, "30 seconds"),
    (403, {}, BadAnswer, "refuses issues of acme/shop"), (404, {}, BadAnswer, "knows no issues of acme/shop"),
    (422, {}, BadAnswer, "does not accept"),
])  # fmt: skip
def test_refusals_are_explained_and_leave_nothing_behind(status: int, headers: Mapping[str, str], error: type, words: str) -> None:
    tell = Issues()
    tell.github.before = lambda call: (status, {"message": "No."}, dict(headers))
    with pytest.raises(error) as caught:
        tell(about("opened.single"))
    assert words in caught.value.message  # type: ignore[attr-defined]
    tell.github.before = lambda call: None
    assert tell(about("opened.single")).details["did"] == "made", "without looking for what was surely not made"


def test_a_test_looks_whether_the_repository_has_issues() -> None:
    tell = Issues()
    assert "has issues" in tell(told.example("webhook.test")).details["checked"]
    tell.github.told[f"GET {REPO}"] = lambda call: (200, {"has_issues": False}, {})
    with pytest.raises(BadAnswer, match="switched off"):
        tell(told.example("webhook.test"))
    assert tell.issues == {}


@pytest.mark.parametrize("name", GOLDEN)
def test_what_is_sent_is_as_it_was(name: str, settings: Any) -> None:
    settings.SECRET_KEY = "marks of golden files are made with this one"
    tell = Issues()
    tell(told.example(name))
    told.golden(Path(__file__).parent, f"issue.{name}.json", {name: tell.only()[name] for name in ("title", "body", "labels")})


def held(event: OutgoingEvent) -> list[str]:
    """Tell an event and what settles it; return the texts that GitHub took."""
    tell = Issues()
    try:
        tell(event)
        tell(replace(event, id=told.ID, timestamp=told.AT + timedelta(days=1)), on_return="new")
    except NothingToTell:
        pass
    assert tell.github.refused == []
    return [text for one in tell.issues.values() for text in (one["title"], one["body"], *one["comments_made"])]


def test_whatever_is_told_keeps_to_the_limits_and_mentions_nobody() -> None:
    texts = [text for event in [*told.every_type(), *told.monsters(), told.gate(400, "x" * 400, 60)] for text in held(event)]
    assert len(texts) > 30
    for text in texts:
        assert not re.search(r"(?<!\w)[@#]\w|\bGH-\d|closes #\d", html.unescape(text)), text[:500]
        if "\n" not in text:  # titles are no Markdown
            continue
        assert "](javascript" not in text
        assert set(re.findall(r"<(/?[a-z]+)", text)) <= {"sub", "/sub", "https"}, text[:500]
        links = re.findall(r"\]\(<([^>]*)>\)", text)
        assert text.count("://") == len(links), text[:500]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(event=told.hostile_events())
def test_whatever_a_sender_may_say_is_taken(event: OutgoingEvent) -> None:
    held(event)


def test_options_are_checked() -> None:
    assert issue_problems({"severity_labels": {"high": "x"}}) == {}
    assert set(issue_problems({"severity_labels": {"worst": "x"}, "assignees": ["a"] * 11})) == {"severity_labels", "assignees"}
    assert "no label" in issue_problems({"severity_labels": {"high": ""}})["severity_labels"][0]


def test_the_action_makes_issues_in_the_repository_of_the_event_or_of_the_option() -> None:
    for options, path in (
        ({}, {"owner": "acme", "repo": "shop"}),
        ({"repository": "acme/security"}, {"owner": "acme", "repo": "security"}),
    ):
        teller = Teller({"action": "issue", **options})
        teller.github.told[f"POST {REPO}/issues"] = lambda call: (201, {"number": 7}, {})
        assert teller(about("opened.single")).status == 201
        assert teller.github.calls[-1].path == path
        assert teller.github.calls[-1].body["labels"] == ["repoguard"]
        assert teller.github.refused == []
    assert "has issues" in teller(told.example("webhook.test")).details["checked"]
