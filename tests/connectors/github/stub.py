"""A stub of GitHub's REST API on a real socket of this machine: runs with attempts, pages, the cap, ETags, limits, deliveries, alerts.

It knows the rules that matter: at most 1,000 runs of a query with filters, Link headers with addresses of its own (/repositories/<id>),
304 for a known ETag, 403 once the allowance is used up.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.connectors.github.alerts_stub import Security
from tests.serving import QuietHandler, serving

FULL_NAME, NUMBER = "acme/shop", 4711
BEGAN = datetime(2025, 3, 1, tzinfo=UTC)
CAP = 1000
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Stub:
    """Change the attributes to make it behave otherwise; `asked` are the paths with queries, `free` those answered by 304."""

    url: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    workflows: list[dict[str, Any]] = field(default_factory=lambda: [{"id": 1, "name": "Tests", "path": ".github/workflows/test.yml"}])
    hooks: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    security: Security = field(default_factory=Security)
    left: int = 1_000_000
    resets_in: float = 1800.0
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    not_modified: int = 0
    links_on_304: bool = True
    before: Callable[[str], Answer | None] = lambda path: None
    """Answers in its place, or does something first."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, target: str, etag: str) -> Answer:
        """Return status, body and headers."""
        with self.lock:
            self.asked.append(target)
            parts = urlsplit(target)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if (found := self.before(target)) is not None:
                return found
            if self.left <= 0:
                reset = str(int(time.time() + self.resets_in))
                return 403, {"message": "API rate limit exceeded for 1.2.3.4."}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
            status, body, headers = self.found(method, parts.path, query)
            own = f'"{hashlib.sha256(json.dumps(body).encode()).hexdigest()}"'
            if method == "GET" and status == 200:
                if own == etag:
                    self.not_modified += 1
                    return 304, None, {"ETag": own, **(headers if self.links_on_304 else {})}
                headers["ETag"] = own
            self.left -= 1
            return status, body, headers | {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": str(self.left)}

    def found(self, method: str, path: str, query: dict[str, str]) -> Answer:
        """Answer a path; the repository goes by its name and by its number."""
        if path == "/advisories":
            return self.security.affecting(f"{self.url}{path}", query)
        match = re.fullmatch(rf"/(?:repos/{FULL_NAME}|repositories/{NUMBER}|orgs/{FULL_NAME.partition('/')[0]}(?=/hooks))(/.*)?", path)
        if match is None:
            return 404, {"message": "Not Found"}, {}
        rest = match[1] or ""
        if not rest:
            return 200, {"id": NUMBER, "full_name": FULL_NAME, "created_at": _text(BEGAN), "default_branch": "main"}, {}
        if (found := self.security.answer(f"{self.url}/repositories/{NUMBER}{rest}", rest, query)) is not None:
            return found
        if rest == "/actions/workflows":
            return 200, {"total_count": len(self.workflows), "workflows": self.workflows}, {}
        if one := re.fullmatch(r"/actions/(?:workflows/([^/]+)/)?runs", rest):
            return self.listed(rest, query, one[1])
        if one := re.fullmatch(r"/actions/runs/(\d+)/attempts/(\d+)", rest):
            return self.attempt(int(one[1]), int(one[2]))
        if rest == "/hooks":
            return 200, self.hooks, {}
        if re.fullmatch(r"/hooks/9/deliveries", rest):
            return self.delivered(query)
        if (one := re.fullmatch(r"/hooks/9/deliveries/(\d+)/attempts", rest)) and method == "POST":
            self.again.append(int(one[1]))
            return 202, {}, {}
        return 404, {"message": "Not Found"}, {}

    def listed(self, rest: str, query: dict[str, str], workflow: str | None) -> Answer:
        """List runs, newest first."""
        begin, _, last = query.get("created", "..").partition("..")
        chosen = [
            run for run in self.runs
            if (not begin or begin <= run["created_at"] <= last) and query.get("branch", run["head_branch"]) == run["head_branch"]
            and (workflow is None or workflow in (str(run["workflow_id"]), run["path"].rpartition("/")[2]))
        ]  # fmt: skip
        chosen.sort(key=lambda run: run["created_at"], reverse=True)
        size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
        reachable = chosen[:CAP]
        headers = {}
        if page * size < len(reachable):
            following = f"{self.url}/repositories/{NUMBER}{rest}?{urlencode({**query, 'page': page + 1})}"
            headers["Link"] = f'<{following}>; rel="next", <{self.url}/x?page=1>; rel="first"'
        return 200, {"total_count": len(chosen), "workflow_runs": reachable[(page - 1) * size : page * size]}, headers

    def attempt(self, build_id: int, attempt: int) -> Answer:
        """Return an earlier attempt: it failed, a quarter of an hour before the next."""
        run = next((run for run in self.runs if run["id"] == build_id), None)
        if run is None or not 1 <= attempt <= run["run_attempt"]:
            return 404, {"message": "Not Found"}, {}
        earlier = run["run_attempt"] - attempt
        began = datetime.fromisoformat(run["run_started_at"]) - timedelta(minutes=15 * earlier)
        times = {"run_started_at": _text(began), "updated_at": _text(began + timedelta(minutes=2))}
        return 200, run | times | {"run_attempt": attempt, "conclusion": "failure"}, {}

    def delivered(self, query: dict[str, str]) -> Answer:
        """List deliveries, newest first, behind a cursor."""
        size, start = int(query.get("per_page", "30")), int(query.get("cursor", "0"))
        headers = {}
        if start + size < len(self.deliveries):
            following = f"{self.url}/repositories/{NUMBER}/hooks/9/deliveries?{urlencode({'per_page': size, 'cursor': start + size})}"
            headers["Link"] = f'<{following}>; rel="next"'
        return 200, self.deliveries[start : start + size], headers


def make_delivery(number: int, *, guid: str = "", age: timedelta = timedelta(hours=1), event: str = "push") -> dict[str, Any]:
    """Return an entry of the list of deliveries."""
    at = _text(datetime.now(UTC).replace(microsecond=0) - age)
    return {"id": number, "guid": guid or f"guid-{number}", "delivered_at": at, "event": event, "status": "Invalid HTTP Response: 502"}


def make_runs(count: int, *, every: timedelta = timedelta(minutes=97), retried: int = 0) -> list[dict[str, Any]]:
    """Return runs, one after the other; of each `retried` one has a second attempt."""
    runs = []
    for place in range(count):
        created = BEGAN + timedelta(hours=1) + every * place
        attempt = 2 if retried and place % retried == 0 else 1
        runs.append(
            {
                "id": 1_000_000 + place, "name": "Tests", "path": ".github/workflows/test.yml", "workflow_id": 1, "run_number": place + 1,
                "run_attempt": attempt, "event": "push", "status": "completed", "conclusion": "success" if place % 7 else "failure",
                "head_branch": "main" if place % 3 else "topic", "head_sha": f"{place:040x}", "actor": {"login": "alice"},
                "html_url": f"https://github.com/{FULL_NAME}/actions/runs/{place}", "created_at": _text(created),
                "run_started_at": _text(created), "updated_at": _text(created + timedelta(minutes=4)),
            }
        )  # fmt: skip
    return runs


@contextlib.contextmanager
def stubbed(**values: Any) -> Iterator[Stub]:
    """Serve for as long as the block runs."""
    stub = Stub(**values)

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply("GET")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.reply("POST")

        def reply(self, method: str) -> None:
            stub.tokens.append(self.headers.get("Authorization", ""))
            status, value, headers = stub.answer(method, self.path, self.headers.get("If-None-Match", ""))
            body = b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as stub.url:
        yield stub


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(name="stub")
def served_stub(settings: Any) -> Iterator[Stub]:
    """Serve for a test, with loopback open to the door."""
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    with stubbed() as found:
        yield found
