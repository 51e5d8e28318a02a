"""A stub of Snyk's API on a real socket of this machine: organisations, targets, projects, issues, and v1's ignores.

It keeps to the rules that matter: the version on every call and once only, a limit of tens up to a hundred and once only, opaque cursors,
links in every form that was seen, the word before the token in lower case, 404 for what is plain HTTP or of another region.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.serving import QuietHandler, serving

TOKEN = "b0a1c2d3-planted-Ju5tAs3cret"
ORG, SLUG = "689ce7f9-7943-4a71-b704-2ba575f01089", "acme"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
Answer = tuple[int, Any, dict[str, str]]


def id_of(word: str) -> str:
    """Return the id that a thing of this name has."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, word))


@dataclass
class Stub:
    """Change the attributes to make it behave otherwise; `asked` are the paths with queries."""

    url: str = ""
    targets: list[dict[str, Any]] = field(default_factory=list)
    projects: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    ignores: dict[str, Any] = field(default_factory=dict)
    """By project, what v1 says; None of a project: it refuses."""
    link: str = "rest"
    """rest, bare, href, query or absolute."""
    last: str = "none"
    """How the last page ends: none, self (next is the page itself) or empty (a page without data follows)."""
    most: int = 100
    has_plan: bool = True
    is_plain_http: bool = False
    throttled: list[str | None] = field(default_factory=list)
    """Values of Retry-After for the next answers, which are 429; None: without the header."""
    now: datetime = NOW
    asked: list[str] = field(default_factory=list)
    before: Callable[[str], Answer | None] = lambda path: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, target: str, authorization: str) -> Answer:
        """Return status, body and headers."""
        with self.lock:
            self.asked.append(target)
            if self.is_plain_http:
                return 404, {"error": "not found"}, {}
            if (found := self.before(target)) is not None:
                return found
            if authorization not in (f"token {TOKEN}", f"bearer {TOKEN}"):
                return _error(401, f"The token {authorization} was refused")
            if not self.has_plan:
                return _error(403, "Your plan does not include API access")
            if self.throttled:
                seconds = self.throttled.pop(0)
                return 429, {"errors": []}, {} if seconds is None else {"Retry-After": seconds}
            parts = urlsplit(target)
            query = parse_qs(parts.query, keep_blank_values=True)
            if match := re.fullmatch(rf"/v1/org/{ORG}/project/([0-9a-f-]+)/ignores", parts.path):
                said = self.ignores.get(match[1], {})
                return _error(403, "v1 is not for you") if said is None else (200, said, {})
            if not parts.path.startswith("/rest/"):
                return _error(404, "Not found")
            return _refused(query) or self.found(parts.path.removeprefix("/rest"), {name: values[0] for name, values in query.items()})

    def found(self, path: str, query: dict[str, str]) -> Answer:
        """Answer a path of the REST API."""
        served = {"snyk-version-served": "2024-10-15"}
        org = {"id": ORG, "type": "org", "attributes": {"name": "Acme", "slug": SLUG}}
        if path == "/self":
            return 200, {"data": {"id": id_of("me"), "type": "user", "attributes": {"name": "Ada", "username": "ada"}}}, served
        if path == f"/orgs/{ORG}":
            return 200, {"data": org}, served
        if path == "/orgs":
            return self.listed(path, query, [org] if query.get("slug", SLUG) == SLUG else [])
        if path == f"/orgs/{ORG}/targets":
            return self.listed(path, query, self.targets)
        if path == f"/orgs/{ORG}/projects":
            return self.listed(path, query, [one for one in self.projects if one["target"] == query["target_id"]])
        if path == f"/orgs/{ORG}/issues" and query.get("scan_item.type") == "project":
            return self.listed(path, query, [one for one in self.issues if _asked_for(one, query)])
        return _error(404, "Org not found")

    def listed(self, path: str, query: dict[str, str], rows: list[dict[str, Any]]) -> Answer:
        """Return a page of a list."""
        start = _number(query.get("starting_after", ""))
        behind = start + min(int(query.get("limit", "10")), self.most)
        links: dict[str, Any] = {"self": self.linked(path, query), "first": self.linked(path, query)}
        if behind < len(rows) or (self.last == "empty" and start < len(rows)):
            links["next"] = self.linked(path, query | {"starting_after": _cursor(behind)})
        elif self.last == "self":
            links["next"] = self.linked(path, dict(reversed(query.items())))
        return 200, {"jsonapi": {"version": "1.0"}, "data": rows[start:behind], "links": links}, {}

    def linked(self, path: str, query: dict[str, str]) -> Any:
        """Return a link in the form that is set."""
        text = urlencode(query)
        forms: dict[str, Any] = {
            "rest": f"/rest{path}?{text}",
            "bare": f"{path}?{text}",
            "href": {"href": f"/rest{path}?{text}", "meta": {}},
        }
        forms |= {"query": f"?{text}", "absolute": f"{self.url}/rest{path}?{text}"}
        return forms[self.link]


def target(name: str, *, url: str = "", source: str = "github") -> dict[str, Any]:
    """Return a target as it is listed."""
    relations = {"integration": {"data": {"id": id_of(source), "type": "integration", "attributes": {"integration_type": source}}}}
    said = {"display_name": name, "url": url or None, "is_private": True, "created_at": "2025-01-01T00:00:00Z"}
    return {"id": id_of(f"{source}:{name}"), "type": "target", "attributes": said, "relationships": relations}


def project(name: str, of: dict[str, Any], *, type: str = "npm", ref: str | None = "main", status: str = "active") -> dict[str, Any]:
    """Return a project of a target as it is listed; `target` stands for the filter."""
    said = {"name": f"acme/shop:{name}", "type": type, "origin": "github", "status": status, "target_file": name, "target_reference": ref}
    return {"id": id_of(f"{of['id']}:{name}:{ref}"), "type": "project", "target": of["id"], "attributes": said}


def issue(key: str, of: dict[str, Any], *, package: str = "lodash", version: str = "4.17.15", **more: Any) -> dict[str, Any]:
    """Return an issue of a project as it is listed."""
    dependency = {"dependency": {"package_name": package, "package_version": version}}
    said = {
        "key": key, "title": "Prototype Pollution", "type": "package_vulnerability", "status": "open", "ignored": False,
        "effective_severity_level": "high", "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z",
        "problems": [{"id": key, "source": "SNYK", "type": "vulnerability"}],
        "classes": [{"id": "CWE-1321", "source": "CWE", "type": "weakness"}],
        "coordinates": [{"is_fixable_snyk": True, "reachability": "no-info", "representations": [dependency]}],
    }  # fmt: skip
    relations = {"organization": {"data": {"id": ORG}}, "scan_item": {"data": {"id": of["id"], "type": "project"}}}
    return {"id": id_of(f"{of['id']}:{key}"), "type": "issue", "attributes": said | more, "relationships": relations}


@contextlib.contextmanager
def stubbed(**values: Any) -> Iterator[Stub]:
    """Serve for as long as the block runs."""
    stub = Stub(**values)

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, value, headers = stub.answer(self.path, self.headers.get("Authorization", ""))
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in {"Content-Type": "application/vnd.api+json", "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(stub.now, usegmt=True)

    with serving(Handler) as stub.url:
        yield stub


@pytest.fixture(name="stub")
def served_stub(settings: Any) -> Iterator[Stub]:
    """Serve for a test, with loopback open to the door."""
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    with stubbed() as found:
        yield found


def _error(status: int, detail: str, parameter: str = "") -> Answer:
    source = {"source": {"parameter": parameter}} if parameter else {}
    return status, {"jsonapi": {"version": "1.0"}, "errors": [{"id": id_of(detail), "status": str(status), "detail": detail, **source}]}, {}


def _refused(query: dict[str, list[str]]) -> Answer | None:
    if len(query.get("version", [])) != 1:
        return _error(400, "must be one date", "version")
    limit = query.get("limit", ["10"])
    if len(limit) != 1 or not limit[0].isdigit() or int(limit[0]) % 10 or not 10 <= int(limit[0]) <= 100:
        return _error(400, "should be multiple of 10", "limit")
    return None


def _asked_for(one: dict[str, Any], query: dict[str, str]) -> bool:
    said = one["attributes"]
    return (
        one["relationships"]["scan_item"]["data"]["id"] == query["scan_item.id"]
        and said["status"] in query.get("status", "open,resolved").split(",")
        and ("updated_after" not in query or said["updated_at"] > query["updated_after"])
    )


def _cursor(place: int) -> str:
    return "v1." + base64.urlsafe_b64encode(json.dumps({"at": place}).encode()).decode()


def _number(cursor: str) -> int:
    return int(json.loads(base64.urlsafe_b64decode(cursor.removeprefix("v1.")))["at"]) if cursor else 0
