"""An integration's secrets are nowhere but on the wire: not in the log, not in errors, not in any repr or log line."""

from __future__ import annotations

import base64
import io
import json
import logging
import traceback
from urllib.parse import quote

import pytest
from django.core import serializers

from core.errors import RepoGuardError
from core.http.masking import Mask
from core.logs import JsonFormatter
from core.models import Circuit, MetricCount, RequestLog
from tests.core.door_stub import Token, door, http, serving

# the database only keeps the log here; PostgreSQL has its turn in test_door_processes
pytestmark = [pytest.mark.django_db, pytest.mark.once]
SECRET = 'pl4nted/s+cret "w0rd&'
FORMS = [
    SECRET,
    quote(SECRET, safe=""),
    quote(SECRET),
    json.dumps(SECRET)[1:-1],
    base64.b64encode(SECRET.encode()).decode(),
    SECRET[:14],
]


class InQuery(Token):
    """An API key in the query: the address itself carries the secret."""

    def apply(self, request):
        request.params.append(("k", self.tokens[0]))


@pytest.fixture(autouse=True)
def _open(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]


@pytest.fixture
def service():
    with serving() as running:
        yield running


@pytest.fixture
def logged():
    """Return everything that is logged at any level, as JSON lines and raw."""
    stream = io.StringIO()
    handlers = [logging.StreamHandler(stream), logging.StreamHandler(stream)]
    handlers[0].setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    # as clients of some platforms do when they are loaded
    library = logging.getLogger("urllib3")
    library.setLevel(logging.DEBUG)
    for handler in handlers:
        root.addHandler(handler)
    yield stream
    root.setLevel(level)
    library.setLevel(logging.CRITICAL)
    for handler in handlers:
        root.removeHandler(handler)


def everything(logged):
    rows = serializers.serialize("json", [*RequestLog.objects.all(), *Circuit.objects.all(), *MetricCount.objects.all()])
    return rows + logged.getvalue()


def echo(status, **headers):
    """Answer with all that was asked, in headers and body, in many forms."""

    def answer(sock, request):
        body = "\n".join(FORMS[:-1]).encode() + b"\n" + request
        sock.sendall(http(status, body, x_request_id=SECRET, location=f"https://example.com/?x={quote(SECRET)}", **headers))

    return answer


def broken(sock, request):
    sock.sendall(b"HTTP/1.1 " + SECRET.encode() + b"\r\n\r\n")


def bad_head(sock, request):
    sock.sendall(f"HTTP/1.1 200 OK\r\n: {SECRET}\r\nX {SECRET}\r\nContent-Length: 1,2\r\n\r\nx".encode())


@pytest.mark.parametrize("auth", [Token(SECRET), Token(SECRET, header="X-Api-Key", prefix=""), InQuery(SECRET)])
@pytest.mark.parametrize(
    "answer",
    [echo(200), echo(302), echo(401), echo(403), echo(404), echo(429, retry_after="9"), echo(500), broken, bad_head, lambda sock, _: None],
)
def test_no_form_of_it_is_kept_or_shown(service, logged, auth, answer):
    service.says(answer)
    shown = repr(auth) if type(auth).__repr__ is not object.__repr__ else ""
    try:
        shown += repr(door(auth).request("GET", f"{service.url}/x", params={"page": "2"}, headers={"X-Mine": f"a {SECRET} b"}))
    except RepoGuardError as error:
        shown += "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        logging.getLogger("test").exception("failed")
    assert quote(SECRET, safe="").encode() in service.requests[0] or SECRET.encode() in service.requests[0]
    shown += everything(logged)
    for form in FORMS:
        assert form not in shown
    assert RequestLog.objects.count() == 1


def test_the_rest_of_an_answer_stays_readable(service):
    service.says(http(422, b'{"message": "no such field", "echo": "plain-old-secret-1"}'))
    from core.http.door import BadAnswer

    with pytest.raises(BadAnswer) as bad:
        door(Token("plain-old-secret-1")).request("GET", f"{service.url}/x?k=plain-old-secret-1")
    assert bad.value.body == b'{"message": "no such field", "echo": "***"}'
    row = RequestLog.objects.get()
    assert (row.response_body, row.url) == ('{"message": "no such field", "echo": "***"}', f"{service.url}/x?k=***")


def test_a_secret_that_is_cut_in_two_is_not_half_shown(service):
    secret = "s3cr3t-" * 6
    service.says(http(500, b"a" * (65_536 - 20) + secret.encode()))
    from core.http.door import BadAnswer

    with pytest.raises(BadAnswer):
        door(Token(secret)).request("GET", service.url)
    assert "s3cr3t" not in RequestLog.objects.get().response_body
    mask = Mask([secret])
    assert "s3cr3t" not in mask.text("x " + secret[:20], 100, cut=True)
    assert "***" in mask.text("x " + secret, 100)


@pytest.mark.parametrize("before", ["", "u:", "\0bob\0", "abc"])
def test_it_is_hidden_within_the_base64_of_something_longer(before):
    encoded = base64.b64encode(f"{before}{SECRET}:x".encode()).decode()  # as SMTP's AUTH PLAIN and Basic send user and password
    for sent in (encoded, encoded.replace("+", "-").replace("/", "_")):
        start, _, end = Mask([SECRET]).known(sent).partition("***")
        assert (len(start) <= len(before) * 4 // 3 + 2, len(end) <= 8) == (True, True)


def test_short_secrets_are_hidden_too():
    assert Mask(["ab", ""]).text("xaby", 100) == "x***y"


def test_a_token_fetched_on_the_way_is_hidden(service):
    class Fetching(Token):
        def __init__(self):
            super().__init__("client-secret-9")
            self.fetched = []

        def apply(self, request):
            self.fetched = ["fetched-token-77"]
            request.headers["X-Token"] = self.fetched[0]

        def secrets(self):
            return [*self.tokens, *self.fetched]

    service.says(http(500, b"you sent fetched-token-77"))
    with pytest.raises(RepoGuardError) as failed:
        door(Fetching()).request("GET", service.url)
    assert "fetched-token-77" not in RequestLog.objects.get().response_body
    assert b"fetched-token-77" not in failed.value.body
