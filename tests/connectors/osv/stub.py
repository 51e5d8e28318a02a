"""A stub of OSV's API on a real socket of this machine, with its rules: order of answers, pages, caps, one error for a whole batch."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.serving import QuietHandler, serving

Answer = tuple[int, Any, dict[str, str]]
MODIFIED = "2031-01-02T00:00:00Z"


def record(number: str, package: str = "left", *, fixed: str = "2.0.0", ecosystem: str = "npm", **more: Any) -> dict[str, Any]:
    """Return a record that affects all versions of a package below `fixed`."""
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    affected = [{"package": {"ecosystem": ecosystem, "name": package}, "ranges": [{"type": "SEMVER", "events": events}], "versions": ["1"]}]
    return {"id": number, "modified": MODIFIED, "summary": f"Flaw {number}", "affected": affected, **more}


@dataclass
class Stub:
    """`listed` says which ids affect (name, version); `asked` are the calls."""

    url: str = ""
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    most_a_page: int = 1000
    most_queries: int = 1000
    unknown: frozenset[str] = frozenset()
    """Packages that have a batch refused."""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    before: Callable[[str], Answer | None] = lambda path: None
    """Answers in its place, or does something first."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has(self, name: str, version: str, *records: dict[str, Any]) -> None:
        """Have records affect a package."""
        self.records |= {one["id"]: one for one in records}
        self.listed.setdefault((name, version), []).extend(one["id"] for one in records)

    def answer(self, path: str, body: Any) -> Answer:
        """Return status, body and headers."""
        with self.lock:
            self.asked.append((path, body))
            if (found := self.before(path)) is not None:
                return found
            if path == "/v1/querybatch":
                return self.batch(body["queries"])
            number = path.removeprefix("/v1/vulns/")
            if number in self.records:
                return 200, self.records[number], {}
            return 404, {"code": 5, "message": "Bug not found."}, {}

    def batch(self, queries: list[dict[str, Any]]) -> Answer:
        """Answer each query in its place, ids only."""
        if len(queries) > self.most_queries:
            return 400, {"code": 3, "message": "Too many queries."}, {}
        if self.unknown & {one["package"].get("name") for one in queries}:
            return 400, {"code": 3, "message": "Invalid query."}, {}
        return 200, {"results": [self.result(one) for one in queries]}, {}

    def result(self, query: dict[str, Any]) -> dict[str, Any]:
        """Return one page of a query; a token says where the next begins."""
        ids = self.listed.get((query["package"].get("name", query["package"].get("purl")), query.get("version", "")), [])
        start = int(query.get("page_token", "0"))
        page = ids[start : start + self.most_a_page]
        found: dict[str, Any] = {"vulns": [self.named(number) for number in page]} if page else {}
        if start + self.most_a_page < len(ids):
            found["next_page_token"] = str(start + self.most_a_page)
        return found

    def named(self, number: str) -> dict[str, Any]:
        """Return how a batch lists a vulnerability."""
        return {"id": number, "modified": self.records.get(number, {}).get("modified", MODIFIED)}

    def fetched(self) -> list[str]:
        """Return the ids whose records were asked for."""
        return [path.removeprefix("/v1/vulns/") for path, _ in self.asked if path.startswith("/v1/vulns/")]

    def sizes(self) -> list[int]:
        """Return how many queries each batch had."""
        return [len(body["queries"]) for path, body in self.asked if path == "/v1/querybatch"]


@contextlib.contextmanager
def stubbed() -> Iterator[Stub]:
    """Serve for as long as the block runs."""
    stub = Stub()

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply(None)

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0")))))

        def reply(self, value: Any) -> None:
            stub.headers.append(dict(self.headers.items()))
            status, answer, headers = stub.answer(self.path, value)
            body = json.dumps(answer).encode()
            self.send_response(status)
            for name, text in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as stub.url:
        yield stub


@pytest.fixture(name="stub")
def served_stub(settings: Any) -> Iterator[Stub]:
    """Serve for a test, with loopback open to the door."""
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    with stubbed() as found:
        yield found
