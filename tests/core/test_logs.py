from __future__ import annotations

import importlib
import io
import json
import logging
import socket
from types import SimpleNamespace
from unittest.mock import Mock, patch

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from gunicorn.config import Config
from gunicorn.http import errors
from gunicorn.workers.base import Worker

from core import context, logs, redact
from core.supervisor import web

KEY = "rg_" + "live_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6"
SIGNING = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def written():
    """Return a function that logs and returns the parsed line."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Handler()
    handler.addFilter(logs.ContextFilter())
    handler.setFormatter(logs.JsonFormatter())
    logger = logging.Logger("test.logs")  # noqa: LOG001 - apart from the handlers that pytest installs
    logger.addHandler(handler)

    def write(message: object, *args: object, **kwargs) -> dict:
        logger.info(message, *args, **kwargs)
        assert "\n" not in lines[-1]
        return json.loads(lines[-1])

    return write


def test_a_line_says_when_what_and_who(written):
    with context.acting(context.Actor("user", "1", "user alice"), "request-7"):
        line = written("delivery_sent", extra={"webhook": "w1", "ms": 12.5, "tries": 2, "last": None, "ok": True})
    assert list(line)[:6] == ["time", "level", "logger", "event", "request_id", "actor"]
    assert line["time"].endswith("Z")
    assert (line["level"], line["logger"], line["event"]) == ("INFO", "test.logs", "delivery_sent")
    assert (line["request_id"], line["actor"]) == ("request-7", "user alice")
    assert (line["webhook"], line["ms"], line["tries"], line["last"], line["ok"]) == ("w1", 12.5, 2, None, True)


def test_a_line_outside_a_request_has_no_request_id(written):
    assert "request_id" not in written("started")


@pytest.mark.parametrize("secret", [KEY, SIGNING])
def test_known_secrets_are_masked_wherever_they_are(written, secret):
    try:
        raise ValueError(f"bad key {secret}")
    except ValueError:
        line = written(
            "sent %s", secret, extra={"note": secret, "nested": {"list": [secret], secret: 1}, "object": Exception(secret)}, exc_info=True
        )
    assert secret not in json.dumps(line)
    assert "ValueError: bad key ***" in line["exception"]
    assert "test_logs.py" in line["exception"]


def test_authorization_headers_are_masked(written):
    line = written("called", extra={"headers": {"Authorization": "Bearer abcdefgh12345678", "Accept": "*/*"}})
    assert line["headers"] == {"Authorization": "***", "Accept": "*/*"}
    assert "abcdefgh12345678" not in json.dumps(written("Authorization: Bearer abcdefgh12345678"))


@pytest.mark.parametrize("name", ["password", "api_key", "client_secret", "lease_token"])
def test_a_field_named_like_a_secret_is_masked_whatever_it_holds(written, name):
    assert written("saved", extra={name: "plain words"})[name] == "***"
    assert written("saved", extra={name: {"deep": "plain words"}})[name] == "***"


def test_wrong_arguments_lose_neither_the_line_nor_the_secret(written, capsys):
    line = written("count %d", KEY)
    assert line["event"].startswith("count %d")
    assert KEY not in capsys.readouterr().err


class _Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_odd_values_are_written_as_text(written):
    line = written("odd", extra={"inf": float("inf"), "half": "\ud800", "broken": _Broken(), "many": list(range(1000))})
    assert (line["inf"], line["half"], line["broken"]) == ("inf", "\\ud800", "<_Broken>")
    assert len(line["many"]) == 100


def test_several_lines_stay_on_one(written):
    assert written("a\nb", extra={"c": "d\r\n{}"})["c"] == "d\r\n{}"


def test_huge_texts_are_cut(written):
    assert len(written("x" * 1_000_000)["event"]) < 10_000


def test_the_stack_is_written_when_asked_for(written):
    assert "test_logs.py" in written("here", stack_info=True)["stack"]


# --- the access log ---------------------------------------------------------------------------------------------------


def _request(caplog, path: str, status: int, **attributes) -> logging.LogRecord:
    request = RequestFactory().get(path)
    for name, value in attributes.items():
        setattr(request, name, value)
    caplog.set_level(logging.DEBUG, logger="repoguard.access")
    logs.AccessLogMiddleware(lambda _: HttpResponse(status=status))(request)
    return caplog.records[-1]


def _named(**values):
    return type("Named", (), values)()


def test_a_request_is_one_line_with_route_and_status(caplog):
    match = _named(route="api/v1/webhooks/<uuid:pk>")
    record = _request(caplog, "/api/v1/webhooks/7?secret=1", 404, resolver_match=match, auth=_named(prefix="rg_live_abc"))
    assert record.getMessage() == "request"
    assert (record.method, record.route, record.status, record.key) == ("GET", "api/v1/webhooks/<uuid:pk>", 404, "rg_live_abc")
    assert record.ms >= 0
    assert record.levelno == logging.INFO
    assert "secret" not in logs.JsonFormatter().format(record)


def test_an_unknown_path_is_not_written(caplog):
    record = _request(caplog, "/badge/abcdef.svg", 404)
    assert record.route == "(no such route)"
    assert not hasattr(record, "key")


def test_djangos_own_lines_about_a_request_hold_no_path_either(written):
    request = RequestFactory().get("/badge/Zx9kqWm2pLr8.svg?code=SplxlOBeZQQY")
    request.resolver_match = _named(route="badge/<str:of>.svg")
    line = written("%s: %s", "Internal Server Error", request.path, extra={"request": request, "status_code": 500})
    assert (line["event"], line["request"]) == ("Internal Server Error: badge/<str:of>.svg", "GET badge/<str:of>.svg")
    unknown = written("%s: %s", "Forbidden", "/a\\\\b", extra={"request": RequestFactory().get("/a%5Cb?c=d")})
    assert (unknown["event"], unknown["request"]) == ("Forbidden: (no such route)", "GET (no such route)")


def test_probes_are_quiet_unless_they_fail(caplog):
    assert _request(caplog, "/api/v1/health/", 200).levelno == logging.DEBUG
    assert _request(caplog, "/livez", 200).levelno == logging.DEBUG
    assert _request(caplog, "/metrics", 200).levelno == logging.DEBUG
    assert _request(caplog, "/api/v1/health", 503).levelno == logging.WARNING


def test_the_line_has_the_id_and_the_actor_of_the_request(caplog, settings):
    context_place = settings.MIDDLEWARE.index("core.context.RequestContextMiddleware")
    assert settings.MIDDLEWARE[context_place + 1] == "core.logs.AccessLogMiddleware"
    caplog.set_level(logging.INFO, logger="repoguard.access")
    caplog.handler.addFilter(logs.ContextFilter())

    def view(request):
        context.set_actor(context.Actor("user", "1", "user alice"))
        return HttpResponse()

    stack = context.RequestContextMiddleware(logs.AccessLogMiddleware(view))
    stack(RequestFactory().get("/nowhere", headers={"X-Request-Id": "mine-1"}))
    record = caplog.records[-1]
    assert (record.request_id, record.actor, record.status) == ("mine-1", "user alice", 200)


def test_the_console_writes_json(settings):
    console = settings.LOGGING["handlers"]["console"]
    assert console["formatter"] == "json"
    assert settings.LOGGING["formatters"]["json"]["()"] == "core.logs.JsonFormatter"
    assert logging.getLogger("django").handlers == [], "Django's own handler writes a second line, as it came, where DEBUG is on"


def test_the_web_server_writes_no_path_of_a_request_whatever_level_is_set(settings):
    settings.LOG_LEVEL = "DEBUG"
    configured = importlib.reload(web).logconfig_dict["loggers"]["gunicorn.error"]["level"]
    assert logging.getLevelNamesMapping()[configured] > logging.DEBUG, "gunicorn's DEBUG has a line with each path"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.InvalidRequestLine(f"GET /badge/{KEY}.svg x"), "Invalid HTTP request line:"),
        (errors.InvalidRequestLine(f"GET /'{KEY}\n.svg"), "Invalid HTTP request line:"),
        (errors.InvalidRequestMethod(KEY), "Invalid HTTP method:"),
        (errors.InvalidHTTPVersion(f"HTTP/{KEY}"), "Invalid HTTP Version:"),
        (errors.InvalidHeader(f"Authorization\x00: {KEY}"), "Invalid HTTP Header:"),
        (errors.InvalidHeaderName(f"{KEY}?"), "Invalid HTTP header name:"),
        (errors.ObsoleteFolding(f"X-Api-Key:\n {KEY}"), "Obsolete line folding is unacceptable:"),
        (errors.UnsupportedTransferCoding(KEY), "Unsupported transfer coding:"),
        (errors.ExpectationFailed(KEY), "Unable to comply with expectation:"),
        (errors.InvalidChunkSize(KEY.encode()), "Invalid chunk size:"),
        (errors.InvalidH2CPreface(KEY.encode()), "Expected HTTP/2 connection preface, got"),
    ],
)
def test_the_web_server_says_what_was_wrong_with_a_request_and_quotes_nothing_of_it(error, said):
    with patch.object(redact, "text", str):  # also what does not look like a secret
        line = _said_by_the_web_server(None, error)
    assert line["event"] == f"Invalid request from ip=::1: {said} …"


def test_the_web_server_names_no_address_of_a_request_that_failed_outside_the_portal():
    asked = Mock(method="GET", uri="/badge/token-of-somebody.svg", headers=[], version=(1, 1))
    try:
        raise RuntimeError("broken")
    except RuntimeError as error:
        line = _said_by_the_web_server(asked, error)
    assert line["event"] == "Error handling request … …"
    assert "RuntimeError: broken" in line["exception"]
    assert "token-of-somebody" not in json.dumps(line)


def _said_by_the_web_server(request, error):
    """Return the line that gunicorn's own handler of errors writes."""
    console = logging.StreamHandler(io.StringIO())
    console.setFormatter(logs.JsonFormatter())
    log = logging.Logger("gunicorn.error")  # noqa: LOG001 - apart from the handlers that pytest installs
    log.addHandler(console)
    log.access = lambda *_: None
    near, far = socket.socketpair()
    with near, far:
        Worker.handle_error(SimpleNamespace(log=log, cfg=Config()), request, near, ("::1", 4711), error)
    return json.loads(console.stream.getvalue())


@pytest.mark.parametrize("library", ["azure", "boto3", "botocore", "google", "paramiko", "s3transfer", "urllib3"])
def test_libraries_that_quote_answers_are_cut_off_whatever_level_they_set(caplog, library):
    # pytest's handlers also stand at loggers that hand nothing on; the console's stands at the root
    console = logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(console)
    try:
        for name in (library, f"{library}.connection"):
            with caplog.at_level(logging.DEBUG, logger=name):
                logging.getLogger(name).error("as it came")
    finally:
        logging.getLogger().removeHandler(console)
    assert console.stream.getvalue() == ""
