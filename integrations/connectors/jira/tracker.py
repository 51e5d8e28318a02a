"""Jira as a tracker: issues of one project. An issue is known by its number, which stays when it moves to another project.

A ticket is found by its label, which the search knows a while after the issue was made; hence `settles_in`. A property of the issue
would be better hidden from people, but Jira searches properties only for apps that are installed in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from core.http.door import BadAnswer
from integrations.connectors.jira import adf, wiki
from integrations.connectors.jira.client import Client, NotThere
from integrations.connectors.jira.fields import extra_fields
from integrations.connectors.jira.limits import MAX_SUMMARY, summary
from integrations.contract.message import Message
from integrations.contract.payloads import at, objects, text
from integrations.messages.tickets import TicketText, Words, body_of, severity_of, title_of
from integrations.ticketing.tracker import Ticket, TicketGone

_DONE = "done"
_MOST_COMMENTS = "50"
_WRONG_PLACE = (400, 404, 410)
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_NEEDED = {"CREATE_ISSUES": "Create issues", "ADD_COMMENTS": "Add comments", "TRANSITION_ISSUES": "Transition issues"}
_RESOLUTIONS = ("done", "fixed", "resolved")


class JiraTracker:
    """The issues of a webhook."""

    always_finds: ClassVar[bool] = True
    settles_in: ClassVar[float] = 240.0
    """The search lags by seconds, seldom by minutes. Less than five minutes, so that the third try of the default schedule may go on."""

    def __init__(self, client: Client, options: Mapping[str, Any]) -> None:
        self._client, self._options = client, options

    def find(self, mark: str, since: datetime | None) -> Ticket | None:
        """Search by the label, in the project where it would be made: what another project has is another team's."""
        jql = f'project = "{self._options["project"]}" AND labels = "repoguard-{mark}" ORDER BY created ASC'
        params = {"jql": jql, "fields": "labels", "maxResults": "1"}
        path = "/search/jql" if self._client.is_cloud else "/search"
        try:
            found = objects(at(self._client.get(path, params, what="the search for an earlier ticket"), "issues"))
        except BadAnswer as error:
            if since is not None or error.status_code not in _WRONG_PLACE:
                raise
            return None  # nothing was made by an earlier try; what is wrong with address or project, the creation says
        return self._ticket(found[0]) if found else None

    def create(self, message: Message, mark: str, earlier: Words | None) -> Ticket:
        """Create the issue."""
        made = self._client.post("/issue", {"fields": self._fields(message, mark, earlier)}, what="the issue")
        return self._ticket(made if isinstance(made, Mapping) else {})

    def probe(self) -> str:
        """Look whether project and issue type are there, and what the account may do."""
        options, client = self._options, self._client
        project = client.get(f"/project/{options['project']}", what=f"the project {options['project']}")
        types = [text(one.get("name")) for one in objects(at(project, "issueTypes"))]
        if types and options["issue_type"] not in types:
            names = ", ".join(types[:20])
            raise BadAnswer(f"The project has no issue type {options['issue_type']}; there are {names}.", status_code=400, permanent=True)
        asked = {"projectKey": options["project"], "permissions": ",".join(_NEEDED)}
        held = at(client.get("/mypermissions", asked, what="the account's permissions"), "permissions")
        lacking = [words for name, words in _NEEDED.items() if at(held, name, "havePermission") is not True]
        if lacking:
            sentence = f"The account may not do everything in the project: give it the permission {', '.join(lacking)}."
            raise BadAnswer(sentence, status_code=403, permanent=True)
        return f"The project {options['project']} takes issues of the type {options['issue_type']} from this account."

    def is_closed(self, id: str) -> bool:
        """Ask for the category of its status."""
        found = self._of(id, lambda: self._client.get(f"/issue/{id}", {"fields": "status"}, what="the ticket"))
        return text(at(found, "fields", "status", "statusCategory", "key")) == _DONE

    def has_comment(self, id: str, word: str) -> bool:
        """Look through the last comments."""
        params = {"orderBy": "-created", "maxResults": _MOST_COMMENTS}
        found = self._of(id, lambda: self._client.get(f"/issue/{id}/comment", params, what="the comments of the ticket"))
        return any(word in str(one.get("body")) for one in objects(at(found, "comments")))

    def comment(self, id: str, text: TicketText) -> None:
        """Add a comment."""
        self._of(id, lambda: self._client.post(f"/issue/{id}/comment", {"body": self._laid_out(text)}, what="the comment"))

    def close(self, id: str) -> None:
        """Move it to a status of the category Done."""
        if not self.is_closed(id):
            self._move(id, self._options.get("done_transition", ""), closing=True)

    def reopen(self, id: str) -> None:
        """Move it away from such a status."""
        if self.is_closed(id):
            self._move(id, self._options.get("open_transition", ""), closing=False)

    # --- what is sent -------------------------------------------------------------------------------------------------

    def _fields(self, message: Message, mark: str, earlier: Words | None) -> dict[str, Any]:
        options = self._options
        fields: dict[str, Any] = {
            "project": {"key": options["project"]},
            "issuetype": {"name": options["issue_type"]},
            "summary": summary(title_of(message, MAX_SUMMARY)),
            "description": self._laid_out(body_of(message, earlier)),
            "labels": [*options.get("labels", ()), f"repoguard-{mark}"],
        }
        if priority := options.get("priorities", {}).get(severity_of(message)):
            fields["priority"] = {"name": priority}
        if assignee := options.get("assignee"):
            fields["assignee"] = {"accountId" if self._client.is_cloud else "name": assignee}
        return fields | extra_fields(options)

    def _laid_out(self, text: TicketText) -> Any:
        return adf.document(text) if self._client.is_cloud else wiki.markup(text)

    def _ticket(self, issue: Mapping[str, Any]) -> Ticket:
        id, key = text(issue.get("id")), text(issue.get("key"))
        if not _ID.fullmatch(id) or not _ID.fullmatch(key):
            raise BadAnswer("Jira answered without the issue's id and key. Check that the integration's address is that of its API.")
        return Ticket(id, key, self._client.page_of(key))

    # --- transitions --------------------------------------------------------------------------------------------------

    def _move(self, id: str, name: str, *, closing: bool) -> None:
        path = f"/issue/{id}/transitions"
        found = self._of(id, lambda: self._client.get(path, {"expand": "transitions.fields"}, what="the transitions of the ticket"))
        possible = objects(at(found, "transitions"))
        chosen = next((one for one in possible if _fits(one, name, closing=closing)), None)
        if chosen is None:
            raise BadAnswer(_no_way(possible, name, closing=closing), status_code=409, permanent=True)
        body: dict[str, Any] = {"transition": {"id": text(chosen.get("id"))}}
        if closing and (resolution := _resolution(chosen)):
            body["fields"] = {"resolution": {"name": resolution}}
        self._of(id, lambda: self._client.post(path, body, what="the transition of the ticket"))

    def _of(self, id: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except NotThere as error:
            raise TicketGone(f"The ticket {id} is not there any more. {error.message}") from None


def _fits(transition: Mapping[str, Any], name: str, *, closing: bool) -> bool:
    if name:
        return name.casefold() in (text(transition.get("name")).casefold(), text(at(transition, "to", "name")).casefold())
    return (text(at(transition, "to", "statusCategory", "key")) == _DONE) is closing


def _resolution(transition: Mapping[str, Any]) -> str:
    """Return the resolution that a transition's screen asks for; "" where it asks for none."""
    field = at(transition, "fields", "resolution")
    if not isinstance(field, Mapping) or not field.get("required"):
        return ""
    names = [text(one.get("name")) for one in objects(field.get("allowedValues"))]
    return next((name for name in names if name.casefold() in _RESOLUTIONS), next(iter(names), ""))


def _no_way(possible: Sequence[Mapping[str, Any]], name: str, *, closing: bool) -> str:
    wanted = f"called {name}" if name else "to a status of the category Done" if closing else "out of the category Done"
    return (
        f"The ticket has no transition {wanted} for this account. {_named(possible)} Name another one in the webhook's options, or give the"
        " account the permission Transition issues; then send the delivery again."
    )


def _named(possible: Sequence[Mapping[str, Any]]) -> str:
    names = list(_names(possible))
    return f"There are {', '.join(names[:10])}." if names else "There are none."


def _names(possible: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in possible:
        if name := text(one.get("name"), 60):
            yield name
