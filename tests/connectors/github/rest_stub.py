"""GitHub's REST API as its own description says it: every request is held against openapi.json, and answered with its example.

    with rest_stub() as github:                 # a server; `github.url` is its address
        github.told["POST /repos/{owner}/{repo}/issues"] = lambda call: (201, {"number": 7}, {})

What the description refuses gets 422 in GitHub's words, and so does what GitHub refuses without describing it (a status with a
description of 141 characters). `calls` are the requests that were taken, `refused` the sentences about the others: a test of a
destination ends with `assert github.refused == []`. Without a server: `GitHub(Context(…, RestDoor(RestStub(url="https://api.github.com"))))`.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema_rs

from core.http import prepare
from core.http.door import Auth, Outgoing, Reply
from tests.connectors import door
from tests.connectors.github.cut_openapi import FILE
from tests.serving import QuietHandler, serving

Answer = tuple[int, Any, dict[str, str]]
_METHODS = ("get", "post", "patch")
_VERSIONS = ("2022-11-28", "2026-03-10")


@dataclass(frozen=True)
class Call:
    """A request that GitHub takes; `operation` is such as `POST /repos/{owner}/{repo}/issues`."""

    operation: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


@dataclass
class RestStub:
    """`told` answers in the place of the examples, by operation, also None for the example after all; `before` whatever is asked."""

    url: str = ""
    told: dict[str, Callable[[Call], Answer | None]] = field(default_factory=dict)
    before: Callable[[Call], Answer | None] = lambda call: None
    calls: list[Call] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return status, body and headers. `target` is the path below the API's address, with the query."""
        with self.lock:
            found = self._read(method, target, {name.lower(): value for name, value in headers.items()}, body)
            if not isinstance(found, Call):
                self.refused.append(f"{method} {target.partition('?')[0]}: {found[1]['message']}")
                return found
            self.calls.append(found)
            return self.before(found) or self.told.get(found.operation, lambda _: None)(found) or example(found.operation)

    def made(self, operation: str) -> list[Any]:
        """Return the bodies of the calls of an operation, in order."""
        return [call.body for call in self.calls if call.operation == operation]

    def _read(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Call | Answer:
        """Return what is asked, or GitHub's refusal."""
        parts = urlsplit(target)
        if not headers.get("user-agent"):
            return _refusal(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.")
        if not headers.get("authorization"):
            return _refusal(401, "Requires authentication")
        if headers.get("x-github-api-version", _VERSIONS[0]) not in _VERSIONS:
            return _refusal(400, "Version is not supported")
        match = next(((name, hit) for name, pattern in _patterns() if (hit := pattern.fullmatch(f"{method} {parts.path}"))), None)
        if match is None:
            return _refusal(404, "Not Found")
        operation, path = match[0], {name: unquote(value) for name, value in match[1].groupdict().items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        try:
            value = json.loads(body) if body else None
        except ValueError:
            return _refusal(400, "Problems parsing JSON")
        problems = [*_of_parameters(operation, path, query), *_of_body(operation, value)]
        if problems:
            return _refusal(422, "Invalid request.\n\n" + "\n".join(problems))
        return Call(operation, path, query, value, headers)


def example(operation: str) -> Answer:
    """Return the good answer that the description shows."""
    responses = _operations()[operation]["responses"]
    status = min(status for status in responses if status.startswith("2"))
    content = responses[status].get("content", {})
    return int(status), copy.deepcopy(content.get("application/json", {}).get("example")), {}


class RestDoor(door.FakeDoor):
    """A door to a stub, without a socket; everything else as FakeDoor does it."""

    def __init__(self, stub: RestStub, auth: Auth | None = None) -> None:
        super().__init__(auth=auth)
        self.stub = stub

    def _answer(self, request: Outgoing, expected: Collection[int], repeatable: bool | None) -> Reply | None:
        signed = Outgoing(request.method, request.url, dict(request.headers), list(request.params), request.body)
        self.auth.apply(signed)
        assert signed.url.startswith(self.stub.url)
        target = prepare.target_url(signed.url, signed.params).removeprefix(self.stub.url)
        status, value, headers = self.stub.answer(
            signed.method, target, {"User-Agent": "RepoGuard/1", **signed.headers}, signed.body or b""
        )
        self.answers = [door.Answer(status, b"" if value is None else json.dumps(value).encode(), headers)]
        return super()._answer(request, expected, repeatable)


@contextlib.contextmanager
def rest_stub() -> Iterator[RestStub]:
    """Serve on a free port of this machine."""
    stub = RestStub()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            _serve(self, stub)

        do_POST = do_PATCH = do_GET

    with serving(Handler) as url:
        stub.url = url
        yield stub


def _serve(handler: BaseHTTPRequestHandler, stub: RestStub) -> None:
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    status, value, headers = stub.answer(handler.command, handler.path, dict(handler.headers), body)
    content = b"" if value is None else json.dumps(value).encode()
    handler.send_response(status)
    for name, text in {"Content-Type": "application/json; charset=utf-8", **headers, "Content-Length": str(len(content))}.items():
        handler.send_header(name, text)
    handler.end_headers()
    handler.wfile.write(content)


# --- what the description says ------------------------------------------------------------------------------------------


@cache
def _operations() -> dict[str, dict[str, Any]]:
    paths = json.loads(FILE.read_text())["paths"]
    return {f"{method.upper()} {path}": item[method] for path, item in paths.items() for method in _METHODS if method in item}


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    # a ref holds slashes; GitHub takes them as they are and escaped
    return [(name, re.compile(re.sub(r"\{(\w+)\}", lambda hit: rf"(?P<{hit[1]}>{'.+' if hit[1] == 'ref' else '[^/]+'})", name)))
            for name in _operations()]  # fmt: skip


@cache
def _validator(operation: str) -> jsonschema_rs.Draft7Validator | None:
    described = _operations()[operation].get("requestBody")
    return jsonschema_rs.Draft7Validator(_json_schema(described["content"]["application/json"]["schema"])) if described else None


def _json_schema(value: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema: `nullable` becomes a type."""
    if isinstance(value, list):
        return [_json_schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _json_schema(one) for key, one in value.items() if key != "nullable" or isinstance(one, dict)}
    return {"anyOf": [kept, {"type": "null"}]} if value.get("nullable") is True else kept


def _of_parameters(operation: str, path: Mapping[str, str], query: Mapping[str, str]) -> Iterator[str]:
    described = {one["name"]: one for one in _operations()[operation]["parameters"]}
    for name in sorted(set(query) - {name for name, one in described.items() if one["in"] == "query"}):
        yield f'"{name}" is not a permitted key.'  # GitHub passes it over; here it is a mistake
    for name, one in described.items():
        value = (path if one["in"] == "path" else query).get(name)
        if value is None:
            if one["required"]:
                yield f'"{name}" wasn\'t supplied.'
        elif not any(jsonschema_rs.is_valid(_json_schema(one["schema"]), read) for read in _readings(value)):
            yield f'"{name}" has a value that is not permitted: {value[:100]}.'


def _readings(value: str) -> Iterator[Any]:
    """Yield what a text in an address can stand for."""
    yield value
    if re.fullmatch(r"-?\d{1,18}", value):
        yield int(value)
    if value in ("true", "false"):
        yield value == "true"


def _of_body(operation: str, value: Any) -> Iterator[str]:
    validator = _validator(operation)
    if validator is None:
        if value is not None:
            yield "A body is not permitted."
        return
    if value is None:
        if _operations()[operation]["requestBody"]["required"]:
            yield "The request body must be a JSON object."
        return
    errors = [f"For '{'/'.join(map(str, error.instance_path))}', {error.message[:300]}." for error in validator.iter_errors(value)]
    yield from errors or _of_undescribed(operation.rpartition("/")[2], value)


def _of_undescribed(what: str, value: Mapping[str, Any]) -> Iterator[str]:
    """Yield what GitHub refuses though its description does not say so."""
    if what == "{sha}" and len(value.get("description") or "") > 140:
        yield "description is too long (maximum is 140 characters)"
    if what == "{sha}" and any(ord(one) > 0xFFFF for one in value.get("description") or ""):
        yield "description doesn't accept 4-byte Unicode"
    if what == "dispatches" and len(json.dumps(value.get("client_payload", {})).encode()) > 65_535:
        yield "client_payload is too large."
    if what in ("check-runs", "{check_run_id}"):
        yield from _of_annotations(value.get("output", {}).get("annotations", ()))
    if what in ("issues", "{issue_number}") and len(str(value.get("title", ""))) > 256:
        yield "title is too long (maximum is 256 characters)"
    if what in ("issues", "{issue_number}", "comments") and len(value.get("body") or "") > 65_536:
        yield "body is too long (maximum is 65536 characters)"


def _of_annotations(annotations: list[Mapping[str, Any]]) -> Iterator[str]:
    for one in annotations:
        if len(one["message"].encode()) > 65_536 or len(one.get("raw_details", "").encode()) > 65_536:
            yield "annotations: message and raw_details take at most 64 KB."
        if len(one.get("title", "")) > 255:
            yield "annotations: title is too long (maximum is 255 characters)"
        if ("start_column" in one or "end_column" in one) and one["start_line"] != one["end_line"]:
            yield "annotations: columns are permitted on one line only."


def _refusal(status: int, message: str) -> Answer:
    return status, {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}, {}
