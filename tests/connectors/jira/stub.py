"""A Jira that behaves as its documentation says: fields are checked one by one, the search lags behind, statuses have transitions.

Descriptions and comments of version 3 must be documents by Atlassian's own schema (fixtures/adf-full.json), of version 2 texts.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs

from core.http import prepare
from core.http.door import Auth, Outgoing, Reply
from tests.connectors import door
from tests.serving import QuietHandler, serving

ADF = Path(__file__).parent / "fixtures" / "adf-full.json"
MOST = 32_767
Answer = tuple[int, Any, dict[str, str]]
CATEGORIES = {"To Do": "new", "In Progress": "indeterminate", "Done": "done", "Won't do": "done"}


@cache
def schema() -> jsonschema_rs.Draft4Validator:
    return jsonschema_rs.Draft4Validator(json.loads(ADF.read_text(encoding="utf-8")))


def adf_problem(value: Any) -> str:
    """Return why a value is no document that Jira takes, "" for one that is."""
    if not isinstance(value, dict):
        return "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
    first = next(iter(schema().iter_errors(value)), None)
    if first is not None:
        return f"{first.message[:300]} at {list(first.instance_path)}"
    too_long = len(json.dumps(value, ensure_ascii=False).encode("utf-16-le")) > 2 * MOST
    return "The entered text is too long. It exceeds the allowed limit of 32,767 characters." if too_long else ""


@dataclass
class Jira:
    """`issues` by id; change the other attributes to make it behave otherwise. `asked` are methods and paths."""

    url: str = "https://acme.atlassian.net"
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)
    types: tuple[str, ...] = ("Task", "Bug")
    priorities: tuple[str, ...] = ("Highest", "High", "Medium", "Low")
    required: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ("CREATE_ISSUES", "ADD_COMMENTS", "TRANSITION_ISSUES")
    transitions: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"To Do": ("In Progress", "Done"), "In Progress": ("Done",), "Done": ("To Do",), "Won't do": ("To Do",)}
    )
    resolution_required: bool = False
    unseen: int = 0
    """How many of the newest issues the search does not know yet."""
    asked: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    before: Callable[[str, str], Answer | None] = lambda method, path: None
    after: Callable[[str, str], None] = lambda method, path: None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        with self.lock:
            parts = urlsplit(target)
            matched = re.fullmatch(r"/rest/api/([23])(/.*)", parts.path)
            if matched is None:
                return 404, None, {}
            self.asked.append(f"{method} {matched[2]}")
            signs = {name.lower(): value for name, value in headers.items()}.get("authorization", "")
            if not signs.startswith("Basic " if matched[1] == "3" else "Bearer "):
                return 401, {"errorMessages": ["Client must be authenticated to access this resource."]}, {}
            if (found := self.before(method, matched[2])) is not None:
                return found
            found = self._found(method, matched[2], dict(parse_qsl(parts.query)), json.loads(body) if body else None, matched[1])
            if found[0] >= 400:
                self.refused.append(f"{method} {matched[2]}: {found[1]}")
            self.after(method, matched[2])
            return found

    def made(self, method: str = "POST", path: str = "/issue") -> int:
        """Return how many such calls were made."""
        return self.asked.count(f"{method} {path}")

    def only(self) -> dict[str, Any]:
        """Return the one issue that there is."""
        assert len(self.issues) == 1, self.issues
        return next(iter(self.issues.values()))

    def _found(self, method: str, path: str, query: Mapping[str, str], body: Any, version: str) -> Answer:
        if (method, path) == ("GET", "/myself"):
            return 200, {"accountId": "1", "displayName": "RepoGuard", "timeZone": "Europe/Berlin"}, {}
        if (method, path) == ("GET", "/project/SEC"):
            return 200, {"key": "SEC", "issueTypes": [{"name": name} for name in self.types]}, {}
        if (method, path) == ("GET", "/mypermissions"):
            asked = query["permissions"].split(",")
            return 200, {"permissions": {name: {"havePermission": name in self.permissions} for name in asked}}, {}
        if (method, path) == ("GET", "/search/jql" if version == "3" else "/search"):
            return self._search(query["jql"])
        if (method, path) == ("POST", "/issue"):
            return self._create(body["fields"], version)
        if one := re.fullmatch(r"/issue/(\d+)(/comment|/transitions)?", path):
            return self._about(method, one[1], one[2] or "", body, version)
        return 404, {"errorMessages": [f"No such resource: {path}"], "errors": {}}, {}

    def _search(self, jql: str) -> Answer:
        asked = re.fullmatch(r'project = "(\w+)" AND labels = "([^"\s]+)" ORDER BY created ASC', jql)
        if asked is None:
            return 400, {"errorMessages": [f"Error in the JQL Query: {jql}"]}, {}
        project, label = asked.groups()
        if project != "SEC":
            return 400, {"errorMessages": [f"The value '{project}' does not exist for the field 'project'."]}, {}
        indexed = list(self.issues.values())[: len(self.issues) - self.unseen]
        found = [issue for issue in indexed if label in issue["fields"]["labels"] and issue["fields"]["project"] == {"key": project}]
        return 200, {"issues": [{"id": one["id"], "key": one["key"]} for one in found[:1]], "isLast": True}, {}

    def _create(self, fields: dict[str, Any], version: str) -> Answer:
        errors = {name: f"{name} is required." for name in self.required if name not in fields}
        if fields["project"] != {"key": "SEC"}:
            errors["project"] = "valid project is required"
        if fields["issuetype"]["name"] not in self.types:
            errors["issuetype"] = "Specify a valid issue type"
        if not 0 < len(fields["summary"].encode("utf-16-le")) <= 510 or "\n" in fields["summary"]:
            errors["summary"] = "The summary is invalid because it contains newline characters, or is longer than 255 characters."
        if problem := _text_problem(fields["description"], version):
            errors["description"] = problem
        if any(re.search(r"\s", label) for label in fields["labels"]):
            errors["labels"] = "The label contains spaces which is invalid."
        if "priority" in fields and fields["priority"]["name"] not in self.priorities:
            errors["priority"] = "The priority selected is invalid."
        if errors:
            return 400, {"errorMessages": [], "errors": errors}, {}
        id = str(10_000 + len(self.issues) + 1)
        issue = {"id": id, "key": f"SEC-{int(id) - 10_000}", "fields": fields, "status": "To Do", "comments": [], "resolution": None}
        self.issues[id] = issue
        return 201, {"id": id, "key": issue["key"], "self": f"{self.url}/rest/api/{version}/issue/{id}"}, {}

    def _about(self, method: str, id: str, part: str, body: Any, version: str) -> Answer:
        issue = self.issues.get(id)
        if issue is None:
            return 404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}, {}
        if method == "GET" and not part:
            return 200, {"id": id, "fields": {"status": _status(issue["status"])}}, {}
        if part == "/comment":
            if method == "GET":
                return 200, {"comments": [{"body": one} for one in reversed(issue["comments"])]}, {}
            if problem := _text_problem(body["body"], version):
                return 400, {"errorMessages": [], "errors": {"comment": problem}}, {}
            issue["comments"].append(body["body"])
            return 201, {"id": "1"}, {}
        return self._transition(method, issue, body)

    def _transition(self, method: str, issue: dict[str, Any], body: Any) -> Answer:
        possible = {str(number): name for number, name in enumerate(self.transitions[issue["status"]], 11)}
        if method == "GET":
            allowed = [{"name": "Won't Do"}, {"name": "Done"}]
            fields = {"resolution": {"required": True, "allowedValues": allowed}} if self.resolution_required else {}
            listed = [{"id": id, "name": f"To {name}", "to": _status(name), "fields": fields} for id, name in possible.items()]
            return 200, {"transitions": listed}, {}
        to = possible.get(body["transition"]["id"])
        resolution = body.get("fields", {}).get("resolution", {}).get("name")
        if to is None or (self.resolution_required and CATEGORIES[to] == "done" and not resolution):
            return 400, {"errorMessages": [], "errors": {"resolution": "Resolution is required."}}, {}
        issue["status"], issue["resolution"] = to, resolution
        return 204, None, {}


def _status(name: str) -> dict[str, Any]:
    return {"name": name, "statusCategory": {"key": CATEGORIES[name]}}


def _text_problem(value: Any, version: str) -> str:
    if version == "3":
        return adf_problem(value)
    return "" if isinstance(value, str) and 0 < len(value) <= MOST else "The entered text is too long, or is no text."


class StubDoor(door.FakeDoor):
    """A door to the stub without a socket."""

    def __init__(self, stub: Jira, auth: Auth) -> None:
        super().__init__(auth=auth)
        self.stub = stub

    def _answer(self, request: Outgoing, expected: Collection[int], repeatable: bool | None) -> Reply | None:
        signed = Outgoing(request.method, request.url, dict(request.headers), list(request.params), request.body)
        self.auth.apply(signed)
        assert signed.url.startswith(self.stub.url)
        target = prepare.target_url(signed.url, signed.params).removeprefix(self.stub.url)
        status, value, headers = self.stub.answer(signed.method, target, signed.headers, signed.body or b"")
        self.answers = [door.Answer(status, b"" if value is None else json.dumps(value).encode(), headers)]
        return super()._answer(request, expected, repeatable)


@contextlib.contextmanager
def jira_server(stub: Jira) -> Iterator[Jira]:
    """Serve the stub on a socket of this machine."""

    class Handler(QuietHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, value, headers = stub.answer(self.command, self.path, dict(self.headers), body)
            raw = b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            for name, text in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _serve

    with serving(Handler) as url:
        stub.url = url
        yield stub
