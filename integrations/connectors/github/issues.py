"""Issues at GitHub: one for each finding, gate or build; made, commented, closed and opened again.

A ticket is found by a hidden mark in its body. After a try that was cut short GitHub's list of issues is read, which knows a new one at
once or soon; GitHub's search, which lags, is asked for those of a former webhook. It takes 30 questions a minute, and new issues are
limited further.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from core.http.door import BadAnswer, Reply
from integrations.connectors.github.client import Client, next_link, rows
from integrations.connectors.github.issue_layout import MAX_TITLE, body, marker, title
from integrations.connectors.github.reading import number, text
from integrations.connectors.github.telling.told import Telling
from integrations.contract.fields import Field, FieldKind
from integrations.contract.message import SEVERITIES, Message
from integrations.contract.outbound import Memory, Outcome, OutgoingEvent
from integrations.messages.reading import web_address
from integrations.messages.tickets import TicketText, Words, body_of, severity_of, title_of
from integrations.ticketing.rules import TICKET_FIELDS, Rules
from integrations.ticketing.telling import tell
from integrations.ticketing.tracker import Ticket, TicketGone

T = TypeVar("T")
_IF = ("action", ("issue",))
_MOST_PAGES = 10
_ID = re.compile(r"([^/#\s]+/[^/#\s]+)#([1-9][0-9]{0,17})")
_GONE = (404, 410)
_NOT_SEARCHED = (403, 404, 422)

ISSUE_FIELDS: tuple[Field, ...] = (
    Field("labels", "Labels", FieldKind.WORDS, max_length=50, default=("repoguard",), only_if=_IF,
          help="GitHub makes those that there are not; where the credentials may not push, it leaves labels out."),
    Field("severity_labels", "Labels by severity", FieldKind.MAPPING, max_length=50, only_if=_IF,
          example={"critical": "priority: urgent", "high": "priority: high"}, help="Severity of the finding, and the label that it gets."),
    Field("assignees", "Assignees", FieldKind.WORDS, max_length=39, pattern="[A-Za-z0-9_-]+", only_if=_IF,
          help="User names, ten at most; GitHub leaves out who has no access."),
    *(replace(field, only_if=_IF) for field in TICKET_FIELDS),
)  # fmt: skip


def issue_problems(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with a webhook's options, by field."""
    errors: dict[str, list[str]] = {}
    named = options.get("severity_labels", {})
    if unknown := sorted(set(named) - set(SEVERITIES)):
        errors["severity_labels"] = [f"{unknown[0]} is no severity; there are {', '.join(SEVERITIES)}."]
    if empty := sorted(name for name, label in named.items() if not label):
        errors["severity_labels"] = [f"{empty[0]} has no label; leave it out."]
    if len(options.get("assignees", ())) > 10:
        errors["assignees"] = ["GitHub takes ten at most."]
    return errors


def tell_issue(client: Client, event: OutgoingEvent, repository: str, options: Mapping[str, Any], memory: Memory) -> Outcome:
    """Make, comment, close or open again the issue of what the event is about. Raises OutboundError and NothingToTell."""
    return tell(IssueTracker(client, repository, options), event, Rules.of(options), memory)


def tell_telling(telling: Telling) -> Outcome:
    """Do so for what an action gets."""
    return tell_issue(telling.client, telling.event, telling.repository, telling.options, telling.memory)


class IssueTracker:
    """The issues of a webhook in a repository. A ticket's id is such as acme/shop#12."""

    always_finds: ClassVar[bool] = True
    settles_in: ClassVar[float] = 60.0

    def __init__(self, client: Client, repository: str, options: Mapping[str, Any]) -> None:
        self._client, self._repository, self._options = client, repository, options

    def probe(self) -> str:
        """Look whether the repository has issues."""
        found = self._client.get(f"/repos/{self._repository}", what=f"the repository {self._repository}", anew=True).json()
        if isinstance(found, Mapping) and found.get("has_issues") is False:
            sentence = f"Issues are switched off in {self._repository}: switch them on in its settings, or name another repository."
            raise BadAnswer(sentence, status_code=410, permanent=True)
        return f"The repository {self._repository} can be read, and has issues."

    def find(self, mark: str, since: datetime | None) -> Ticket | None:
        """Read the issues that changed since then, the newest first; search where no time is given."""
        if since is None:
            return self._searched(mark)
        at = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        params = {"state": "all", "sort": "created", "direction": "desc", "since": at}
        return self._oldest(self._listed(f"/repos/{self._repository}/issues", params, f"the issues of {self._repository}"), mark)

    def _searched(self, mark: str) -> Ticket | None:
        asked = {"q": f'repo:{self._repository} is:issue in:body "repoguard:{mark}"', "per_page": "10"}
        try:
            found = rows(self._client.get("/search/issues", asked, what="the search for an earlier issue", anew=True), "items")
        except BadAnswer as error:
            if error.status_code not in _NOT_SEARCHED:
                raise
            return None  # what these credentials may not see, the creation says
        return self._oldest(iter(found), mark)

    def _oldest(self, issues: Iterator[Mapping[str, Any]], mark: str) -> Ticket | None:
        marked = [one for one in issues if marker(mark) in text(one, "body") and "pull_request" not in one]
        return self._ticket(min(marked, key=lambda one: number(one, "number") or 0)) if marked else None

    def create(self, message: Message, mark: str, earlier: Words | None) -> Ticket:
        """Create the issue."""
        options, severity = self._options, severity_of(message)
        labels = [*options.get("labels", ()), *filter(None, [options.get("severity_labels", {}).get(severity)])]
        asked: dict[str, Any] = {"title": title(title_of(message, MAX_TITLE)), "body": body(body_of(message, earlier), mark)}
        asked |= {"labels": list(dict.fromkeys(labels))} if labels else {}
        asked |= {"assignees": list(options["assignees"])} if options.get("assignees") else {}
        what = f"issues of {self._repository}"
        return self._ticket(_object(self._client.post(f"/repos/{self._repository}/issues", asked, what=what)))

    def is_closed(self, id: str) -> bool:
        """Ask for its state."""
        path, what = _place(id)
        return text(_of(id, lambda: _object(self._client.get(path, what=what, anew=True))), "state") == "closed"

    def has_comment(self, id: str, word: str) -> bool:
        """Look through the comments."""
        path, what = _place(id)
        return _of(id, lambda: any(word in text(row, "body") for row in self._listed(f"{path}/comments", {}, f"the comments of {what}")))

    def comment(self, id: str, text: TicketText) -> None:
        """Add a comment."""
        path, what = _place(id)
        _of(id, lambda: self._client.post(f"{path}/comments", {"body": body(text)}, what=f"the comments of {what}"))

    def close(self, id: str) -> None:
        """Close it as completed, unless somebody closed it."""
        if not self.is_closed(id):
            self._change(id, {"state": "closed", "state_reason": "completed"})

    def reopen(self, id: str) -> None:
        """Open it again."""
        if self.is_closed(id):
            self._change(id, {"state": "open", "state_reason": "reopened"})

    def _change(self, id: str, changes: Mapping[str, str]) -> None:
        path, what = _place(id)
        _of(id, lambda: self._client.patch(path, changes, what=what))

    def _listed(self, path: str, params: Mapping[str, str], what: str) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a list, so many pages at most: what is looked for is among the first."""
        reply = self._client.get(path, {"per_page": "100", **params}, what=what, anew=True)
        yield from rows(reply)
        for _ in range(_MOST_PAGES - 1):
            if not (url := next_link(reply)):
                return
            reply = self._client.follow(url, what=what, anew=True)
            yield from rows(reply)

    def _ticket(self, issue: Mapping[str, Any]) -> Ticket:
        found = number(issue, "number")
        if not found:
            raise BadAnswer("GitHub answered without the issue's number. Check that the address is that of its API.")
        name = f"{self._repository}#{found}"
        return Ticket(name, name, web_address(issue.get("html_url")))


def _place(id: str) -> tuple[str, str]:
    """Return an issue's path of the API, and what errors call it."""
    found = _ID.fullmatch(id)
    if found is None:
        raise TicketGone(f"{id[:100]} is no issue of GitHub's.")
    return f"/repos/{found[1]}/issues/{found[2]}", f"the issue {id}"


def _of(id: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except BadAnswer as error:
        if error.status_code in _GONE:
            raise TicketGone(f"The issue {id} is not there any more. {error.message}") from None
        raise


def _object(reply: Reply) -> Mapping[str, Any]:
    found = reply.json()
    if not isinstance(found, dict):
        raise BadAnswer("GitHub answered something else than an issue. Check that the address is that of its API.")
    return found
