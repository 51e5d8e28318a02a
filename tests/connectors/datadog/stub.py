"""Datadog's API as it is documented and as Datadog's own client has it: what it takes, and what it then holds."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from datadog_api_client.configuration import Configuration
from datadog_api_client.model_utils import validate_and_convert_types
from datadog_api_client.v1.model.event_create_request import EventCreateRequest
from datadog_api_client.v2.model.metric_payload import MetricPayload

from tests.serving import QuietHandler

KEY = "0123456789abcdef0123456789abcdef"
EVENTS, SERIES = "/api/v1/events", "/api/v2/series"
_MODELS = {EVENTS: EventCreateRequest, SERIES: MetricPayload}
_TAG = re.compile(r"[^\W\d_][\w\-:./]{0,199}")
_METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,199}")


def faults(path: str, body: bytes) -> list[str]:
    """Return what is wrong with a body: by the models of Datadog's client first, then by what its documentation says beside them."""
    told = json.loads(body)
    model: Any = validate_and_convert_types(told, (_MODELS[path],), ["body"], True, True, Configuration())
    found = [f"unknown {name}" for name in set(told) - set(_MODELS[path].attribute_map)]
    found += [f"{path} holds what the client does not know"] if _unparsed(model) else []
    lists = [told["tags"]] if path == EVENTS else [one["tags"] for one in told["series"]]
    found += [
        f"bad tag {tag!r}" for listed in lists for tag in listed if not _TAG.fullmatch(tag) or tag != tag.lower() or tag.endswith("_")
    ]
    if path == EVENTS:
        return found + _of_event(told)
    found += ["larger than 500 kB"] if len(body) > 500 * 1000 else []
    found += [f"bad metric {one['metric']}" for one in told["series"] if not _METRIC.fullmatch(one["metric"])]
    points = [point["timestamp"] for one in told["series"] for point in one["points"]]
    return found + ["a point that is dropped" for at in points if not -3600 < at - time.time() < 600]


def _of_event(told: dict[str, Any]) -> list[str]:
    found = [] if 0 < len(told["title"]) <= 100 and told["text"] else ["no title, or one that is too long"]
    inner = told["text"].removeprefix("%%% \n").removesuffix("\n %%%")
    if len(inner) + 10 != len(told["text"]) or "%%%" in inner:
        found.append("the marks of Markdown are not at both ends only")
    if re.search(r"@[^\u200b]", told["title"] + inner):
        found.append("it mentions somebody")
    links = re.findall(r"(?<!\\)\]\(([^)]*)\)", inner)
    if any(not link.startswith(("http://", "https://")) or " " in link for link in links) or len(re.findall(r"(?<!\\)\[", inner)) != len(
        links
    ):
        found.append("a link that is none of ours")
    found += ["HTML"] if re.search(r"(?<!\\)<", inner) else []
    if "date_happened" in told and not time.time() - 18 * 3600 < told["date_happened"] < time.time() + 120:
        found.append("a date that is refused")
    return found


def _unparsed(model: Any) -> bool:
    """Say whether the client met a value that it does not know, at any depth."""
    if isinstance(model, list):
        return any(_unparsed(one) for one in model)
    if not hasattr(model, "_data_store"):
        return bool(getattr(model, "_unparsed", False))
    return model._unparsed or any(_unparsed(value) for value in model._data_store.values())


class DatadogStub(QuietHandler):
    """Answers as Datadog does; `failures` are answered first."""

    got: list[tuple[str, dict[str, Any]]]
    failures: list[tuple[str, int, bytes]]

    @classmethod
    def fresh(cls) -> type[DatadogStub]:
        """Return a stub with a state of its own."""
        return type("Stub", (cls,), {"got": [], "failures": []})

    def do_GET(self) -> None:
        self._answer(200, b'{"valid": true}') if self.headers["DD-API-KEY"] == KEY else self._answer(403, b'{"errors": ["Forbidden"]}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        failure = next((one for one in self.failures if one[0] == self.path), None)
        if failure:
            self.failures.remove(failure)
            return self._answer(*failure[1:])
        if self.headers["DD-API-KEY"] != KEY:
            return self._answer(403, b'{"errors": ["Forbidden"]}')
        if wrong := faults(self.path, body):
            return self._answer(400, json.dumps({"errors": wrong}).encode())
        self.got.append((self.path, json.loads(body)))
        return self._answer(202, b'{"status": "ok"}' if self.path == EVENTS else b'{"errors": []}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)
