"""JSON log lines: one object on each line, with the request id and who acts, and without secrets.

Every text that is written passes core.redact; fields whose names speak of secrets are masked whatever they hold.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse

from core import context, redact
from core.times import utc_text

access_log = logging.getLogger("repoguard.access")
LONGEST_TEXT = 8_000
_MOST_ITEMS = 100
_DEEPEST = 6
_QUOTED = re.compile(r"""\s*\(?b?["'].*""", re.DOTALL)
_PROBES = ("livez", "health", "metrics", "static/")
# what every record has, and what is written under other names: the rest was given as `extra`
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_id", "actor"}


class ContextFilter(logging.Filter):
    """Adds the present request id and actor to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record."""
        if not hasattr(record, "request_id"):
            record.request_id = context.request_id()
        if not hasattr(record, "actor"):
            record.actor = context.actor().label
        return True


class JsonFormatter(logging.Formatter):
    """time, level, logger, event, request_id, actor, then the record's own fields, then exception and stack."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON, whatever the record holds."""
        line: dict[str, Any] = {
            "time": utc_text(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "event": _text(_message(record)),
        }
        line |= {name: _text(value) for name in ("request_id", "actor") if (value := str(getattr(record, name, "") or ""))}
        line |= {name: _clean(name, value) for name, value in vars(record).items() if name not in _KNOWN and name not in line}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = _tail(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = _tail(record.stack_info)
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)


class AccessLogMiddleware:
    """Writes one line for each request: method, route, status, duration, key. Never the path: it may hold a token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        started = time.perf_counter()
        response = self.get_response(request)
        elapsed = (time.perf_counter() - started) * 1000
        fields = {"method": request.method, "route": _route(request), "status": response.status_code, "ms": round(elapsed, 1)}
        if prefix := getattr(getattr(request, "auth", None), "prefix", ""):
            fields["key"] = prefix
        access_log.log(_level(request, response), "request", extra=fields)
        return response


def _level(request: HttpRequest, response: HttpResponse) -> int:
    if response.status_code >= 500:
        return logging.WARNING  # the error itself has a line of its own
    path = request.path.strip("/")
    return logging.DEBUG if any(path.startswith(probe) or path.endswith(probe) for probe in _PROBES) else logging.INFO


def _route(request: HttpRequest) -> str:
    return request.resolver_match.route if request.resolver_match else "(no such route)"


def _message(record: logging.LogRecord) -> str:
    if record.name == "gunicorn.error":
        return _without_request(record)
    args, request = record.args, getattr(record, "request", None)
    if isinstance(request, HttpRequest) and isinstance(args, tuple):
        # Django's own lines about requests that fail quote the path
        paths = {request.path, request.path.encode("unicode_escape").decode("ascii")}
        args = tuple(_route(request) if isinstance(arg, str) and arg in paths else arg for arg in args)
    try:
        return str(record.msg) % args if args else str(record.msg)
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} (its arguments do not fit)"  # logging's own complaint would print them unredacted


def _without_request(record: logging.LogRecord) -> str:
    """Return what gunicorn says without what it quotes of a request: its address or a header may hold a token."""
    if isinstance(record.args, tuple) and "request %s" in str(record.msg):
        return str(record.msg).replace("%s", "…")
    said = record.getMessage()
    return _QUOTED.sub(" …", said) if said.startswith("Invalid request") else said


def _clean(name: str, value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _is_secret_name(name):
        return redact.MASK
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, HttpRequest):
        return f"{value.method} {_text(_route(value))}"  # its repr has path and query
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {_text(str(key)): _clean(str(key), item, depth + 1) for key, item in list(value.items())[:_MOST_ITEMS]}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [_clean("", item, depth + 1) for item in list(value)[:_MOST_ITEMS]]
    return _text(_as_text(value))


def _as_text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # a foreign object's own __str__ may raise anything, and a log line must not
        return f"<{type(value).__name__}>"


def _text(text: str) -> str:
    # cut before it is cleaned, so that a huge value costs little; a secret cut in two keeps its telling start
    short = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"
    return _encodable(redact.text(short))


def _tail(text: str) -> str:
    # the end of a traceback says most
    return _encodable(redact.text(text if len(text) <= 2 * LONGEST_TEXT else "…" + text[-2 * LONGEST_TEXT :]))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    probe = f"{name}=harmless-text"
    return bool(name) and redact.text(probe) != probe


def fault_place(error: BaseException) -> str:
    """Return file and line of a fault, for logs that must not hold its text: that may be secret."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
