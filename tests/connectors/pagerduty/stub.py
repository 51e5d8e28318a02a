"""PagerDuty's Events API as it is documented: what it takes, and which alerts are open by it."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import urlsplit

from tests.serving import QuietHandler

KEY = "0123456789abcdef0123456789ABCDEF"
_TEXTS = {"source", "component", "group", "class", "summary", "severity", "timestamp"}


def faults(path: str, body: bytes) -> list[str]:
    """Return what is wrong with an event, by the documentation; counted here, not by the connector."""
    if len(body) > 512 * 1024:
        return ["event is larger than 512 KB"]
    told = json.loads(body)
    found = [] if told.get("routing_key") == KEY else ["'routing_key' is missing or wrong"]
    payload = told.get("payload")
    if path == "/v2/enqueue":
        allowed = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
        if told.get("event_action") not in ("trigger", "acknowledge", "resolve"):
            found.append("'event_action' is wrong")
        if not 0 < len(told.get("dedup_key", "")) <= 255:
            found.append("'dedup_key' is missing or too long")
        if told.get("event_action") != "trigger":
            return found + [f"unknown {name}" for name in set(told) - allowed]
        if isinstance(payload, dict) and payload.get("severity") not in ("critical", "error", "warning", "info"):
            found.append("'severity' is wrong")
    else:
        allowed = {"routing_key", "payload", "links", "images"}
    found += [f"unknown {name}" for name in set(told) - allowed]
    if not isinstance(payload, dict):
        return [*found, "'payload' is missing"]
    found += [f"unknown payload.{name}" for name in set(payload) - _TEXTS - {"custom_details"}]
    found += [f"payload.{name} is no text" for name in _TEXTS & set(payload) if not payload[name] or not isinstance(payload[name], str)]
    if not 0 < len(payload.get("summary", "")) <= 1024 or "\n" in payload.get("summary", ""):
        found.append("'summary' is missing, too long or of several lines")
    if not payload.get("source"):
        found.append("'source' is missing")
    found += ["a link without address" for link in told.get("links", []) if urlsplit(link.get("href", "")).scheme not in ("http", "https")]
    return found


class PagerDutyStub(QuietHandler):
    """Answers as PagerDuty does; `failures` are answered first."""

    alerts: dict[str, str]
    changes: list[dict[str, Any]]
    failures: list[tuple[int, dict[str, str], bytes]]
    lock: threading.Lock

    @classmethod
    def fresh(cls) -> type[PagerDutyStub]:
        """Return a stub with a state of its own."""
        return type("Stub", (cls,), {"alerts": {}, "changes": [], "failures": [], "lock": threading.Lock()})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            if self.failures:
                return self._answer(*self.failures.pop(0))
            if wrong := faults(self.path, body):
                said = {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
                return self._answer(400, {}, json.dumps(said).encode())
            self._note(json.loads(body))
        return self._answer(202, {}, b'{"status": "success", "message": "Event processed", "dedup_key": "k"}')

    def _note(self, told: dict[str, Any]) -> None:
        if self.path == "/v2/change/enqueue":
            self.changes.append(told)
        elif told["event_action"] == "trigger":
            self.alerts[told["dedup_key"]] = "open"
        elif told["dedup_key"] in self.alerts:  # one that it does not know is dropped without a word
            self.alerts[told["dedup_key"]] = "resolved"

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body)), "Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
