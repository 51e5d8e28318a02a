"""One call through the door: what is sent, what is read, how it fails, and its row in the log."""

from __future__ import annotations

import gzip
import socket
import time
import zlib

import pytest
from django.db import transaction

from core import context
from core.errors import InvalidInput
from core.http.client import CallInTransaction
from core.http.door import BadAnswer, CallFailed, NoAuth, SignInFailed
from core.models import RequestLog
from core.models.outbound import CallPurpose
from tests.core.door_stub import Token, door, http, serving

# the database only keeps the log here; PostgreSQL has its turn in test_door_processes
pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(autouse=True)
def _open(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]


@pytest.fixture
def service():
    with serving() as running:
        yield running


def rows(*names):
    return list(RequestLog.objects.order_by("id").values_list(*(names or ("outcome", "status_code", "error_class", "attempt"))))


def test_a_call_is_sent_as_asked_and_its_answer_returned(service):
    service.says(http(200, b'{"a": [1]}', x_more="yes"))
    reply = door().request("get", f"{service.url}/a/b?x=1", params={"q": "a b&c", "ü": "ö"}, headers={"X-Mine": "1"})
    assert (reply.status, reply.json(), reply.headers["x-MORE"]) == (200, {"a": [1]}, "yes")
    assert (reply.cached, reply.stale, reply.age) == (False, False, 0.0)
    head = service.requests[0].split(b"\r\n")
    assert head[0] == b"GET /a/b?x=1&q=a+b%26c&%C3%BC=%C3%B6 HTTP/1.1"
    assert {b"X-Mine: 1", b"User-Agent: RepoGuard/1", b"Accept-Encoding: gzip, deflate"} <= set(head)
    assert not any(line.lower().startswith((b"content-length", b"cookie")) for line in head)


def test_json_is_sent_with_its_type_and_length(service):
    door().request("POST", service.url, json={"a": "é"})
    head, _, body = service.requests[0].partition(b"\r\n\r\n")
    assert body == b'{"a":"\\u00e9"}'
    assert b"Content-Type: application/json" in head
    assert b"Content-Length: 14" in head


def test_a_body_goes_out_unchanged(service):
    sent = bytes(range(256)) * 1000
    door().request("PUT", service.url, body=sent, headers={"Content-Type": "application/x-own"})
    head, _, body = service.requests[0].partition(b"\r\n\r\n")
    assert body == sent
    assert b"Content-Type: application/x-own" in head


def test_a_call_leaves_one_row(service):
    service.says(http(200, b"secret answer", x_request_id="r-1", set_cookie="session=1"))
    with context.acting(context.Actor("key", "1", "key ci"), "request-9"):
        door(purpose=CallPurpose.GATEWAY, endpoint="issues", owner_id=None).request("POST", f"{service.url}/x", json={"a": 1})
    row = RequestLog.objects.get()
    assert (row.method, row.url, row.outcome, row.status_code, row.attempt) == ("POST", f"{service.url}/x", "success", 200, 1)
    assert (row.purpose, row.endpoint, row.actor, row.request_id) == ("gateway", "issues", "key ci", "request-9")
    assert (row.request_bytes, row.response_bytes, row.address, row.error) == (7, 13, "127.0.0.1", "")
    assert row.response_body == ""
    assert row.response_headers["X-Request-Id"] == "r-1"
    assert row.response_headers["Set-Cookie"] == "***"
    assert row.duration_ms > 0


def test_answers_of_one_service_set_no_cookies(service):
    service.says(http(200, b"{}", set_cookie="session=1; Path=/"))
    door().request("GET", service.url)
    door().request("GET", service.url)
    assert b"cookie" not in service.requests[1].lower()


def test_repeatable_calls_share_a_connection_and_others_do_not(service):
    for _ in range(3):
        door().request("GET", service.url)
    assert service.connections == 1
    door().request("POST", service.url)
    assert service.connections == 2


def test_a_kept_connection_that_was_closed_is_replaced(service):
    door().request("GET", service.url)
    gone = b""
    service.says(http(), lambda sock, _: sock.sendall(gone), http(200, b'"again"'))
    assert door().request("GET", service.url).json() == "again"
    assert rows() == [("success", 200, "", 1)] * 2


@pytest.mark.parametrize(
    ("status", "error_class", "code", "permanent", "word"),
    [
        (400, "client_error", "bad_answer", True, "does not accept"),
        (403, "client_error", "bad_answer", True, "credentials"),
        (404, "client_error", "bad_answer", True, "address"),
        (408, "client_error", "bad_answer", False, "not expected"),
        (409, "client_error", "bad_answer", True, "not expected"),
        (302, "redirect", "redirect", True, "not followed"),
        (304, "redirect", "redirect", True, "not followed"),
        (500, "server_error", "bad_answer", False, "problem of its own"),
        (501, "server_error", "bad_answer", True, "problem of its own"),
        (503, "server_error", "bad_answer", False, "problem of its own"),
    ],
)
def test_an_unexpected_status_is_a_bad_answer(service, status, error_class, code, permanent, word):
    service.says(http(status, b'{"message": "why not"}'))
    with pytest.raises(BadAnswer) as bad:
        door().request("GET", service.url)
    assert (bad.value.status_code, bad.value.permanent, bad.value.code) == (status, permanent, code)
    assert word in bad.value.message
    assert "Tracker" in bad.value.message
    assert bad.value.body == (b"" if status == 304 else b'{"message": "why not"}')
    row = RequestLog.objects.get()
    assert (row.outcome, row.status_code, row.error_class, row.error) == ("unexpected", status, error_class, bad.value.message)
    assert row.response_body == bad.value.body.decode()


def test_what_is_expected_is_the_callers_choice(service):
    service.says(http(404))
    assert door().request("GET", service.url, expected={200, 404}).status == 404
    service.says(http(201))
    with pytest.raises(BadAnswer, match="201, which was not expected"):
        door().request("GET", service.url, expected={200})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_and_said_where_it_points(service, status):
    with serving() as other:
        service.says(http(status, b"", location=f"{other.url}/elsewhere?token=abcdefgh"))
        with pytest.raises(BadAnswer) as bad:
            door(Token("t-1234567")).request("GET", service.url)
        assert f"{other.url}/elsewhere?token=***" in bad.value.message
        assert other.connections == 0
    assert len(service.requests) == 1


def test_a_401_renews_the_token_and_repeats_once(service):
    service.says(http(401), http(200))
    token = Token("old-token-1", "new-token-2")
    assert door(token).request("POST", service.url).status == 200
    assert [b"Bearer old-token-1" in service.requests[0], b"Bearer new-token-2" in service.requests[1]] == [True, True]
    assert rows() == [("unexpected", 401, "sign_in_failed", 1), ("success", 200, "", 2)]


def test_a_second_401_is_the_end(service):
    service.says(http(401))
    token = Token("a-token-1", "a-token-2", "a-token-3")
    with pytest.raises(SignInFailed, match="refused the credentials") as failed:
        door(token, attempts=5).request("GET", service.url)
    assert failed.value.permanent
    assert (len(service.requests), token.refusals) == (2, 1)


def test_a_401_that_no_new_token_mends_is_not_repeated(service):
    service.says(http(401))
    for auth in (Token("only-one-1"), NoAuth()):
        with pytest.raises(SignInFailed):
            door(auth).request("GET", service.url)
    assert len(service.requests) == 2


def test_a_sign_in_that_fails_sends_nothing(service):
    class Broken(Token):
        def apply(self, request):
            raise SignInFailed("The provider gave no token.")

    with pytest.raises(SignInFailed, match="gave no token"):
        door(Broken("x")).request("GET", service.url)
    assert service.requests == []
    assert rows("outcome", "error_class", "error") == [("refused", "sign_in_failed", "The provider gave no token.")]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"method": "TRACE"}, "method"),
        ({"method": "CONNECT"}, "method"),
        ({"method": "GET\r\nX: 1"}, "method"),
        ({"method": "G\0T"}, "method"),
        ({"url": "https://[::1"}, "url"),
        ({"url": "https://[a]/"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "/relative"}, "url"),
        ({"url": "https://example.com/a\r\nX-Injected: 1"}, "url"),
        ({"url": "https://example.com/a b"}, "url"),
        ({"url": "https://example.com/\0"}, "url"),
        ({"url": "https://user:word@example.com/"}, "url"),
        ({"url": "https://example.com\\@127.0.0.1/"}, "url"),
        ({"url": "https://example.com/#part"}, "url"),
        ({"url": "https://example.com/a/../b"}, "url"),
        ({"url": "https://example.com/a/./b"}, "url"),
        ({"url": "https://example.com/a/%2e%2E/b"}, "url"),
        ({"url": "https://example.com/a/..%2Fb"}, "url"),
        ({"url": "https://example.com/a/%252e%252e/b"}, "url"),
        ({"url": "https://example.com/a/..%5cb"}, "url"),
        ({"url": "https://example.com/" + "a" * 3000}, "url"),
        ({"params": {"q": "a\r\nX: 1"}}, "params"),
        ({"params": [("q\0", "a")]}, "params"),
        ({"params": {"q": "\ud800"}}, "params"),
        ({"params": {"q": "a" * 3000}}, "url"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "headers"),
        ({"headers": {"X-A": "1\n"}}, "headers"),
        ({"headers": {"X-A": "1\0"}}, "headers"),
        ({"headers": {"X-A: 1\r\nX-B": "2"}}, "headers"),
        ({"headers": {"X A": "1"}}, "headers"),
        ({"headers": {"": "1"}}, "headers"),
        ({"headers": {"X-A": "\u4e00"}}, "headers"),
        ({"json": {"a": float("nan")}}, "json"),
        ({"json": {"a": object()}}, "json"),
        ({"json": {}, "body": b""}, "json"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_the_field(arguments, field, service):
    full = {"method": "GET", "url": service.url, **arguments}
    with pytest.raises(InvalidInput) as invalid:
        door().request(full.pop("method"), full.pop("url"), **full)
    assert list(invalid.value.fields) == [field]
    assert service.connections == 0
    assert rows("outcome", "error_class") == [("refused", "invalid")]


def test_credentials_that_would_break_out_are_refused_too(service):
    with pytest.raises(InvalidInput, match="Authorization contains a line break"):
        door(Token("a\r\nX-Injected: 1")).request("GET", service.url)
    assert service.connections == 0


def test_framing_headers_are_the_doors_own(service):
    mine = {"Host": "evil.example", "Content-Length": "0", "Transfer-Encoding": "chunked", "Connection": "upgrade", "accept-encoding": "br"}
    door().request("POST", service.url, body=b"abc", headers=mine)
    head, _, body = service.requests[0].partition(b"\r\n\r\n")
    assert body == b"abc"
    assert b"evil" not in head
    assert b"chunked" not in head
    assert head.count(b"Accept-Encoding: gzip, deflate") == 1


def test_no_call_is_made_inside_a_transaction(service):
    with transaction.atomic(), pytest.raises(CallInTransaction, match="Commit first"):
        door().request("GET", service.url)
    assert service.connections == 0


def dripping(begin, piece, rest=b""):
    """Send `begin`, then `piece` every 20 ms for ten seconds, then an end that would make it a good answer."""

    def answer(sock, request):
        sock.sendall(begin)
        for _ in range(500):
            sock.sendall(piece)
            time.sleep(0.02)
        sock.sendall(rest)

    return answer


def hanging(begin=b""):
    def answer(sock, request):
        sock.sendall(begin)
        sock.settimeout(10)
        sock.recv(1)

    return answer


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (hanging(), "did not answer within 0.3 s"),
        (hanging(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"), "did not finish within 1 s"),
        (dripping(b"HTTP/1.1 200 OK\r\nX: ", b"a", b"\r\nContent-Length: 0\r\n\r\n"), "did not finish"),
        (dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"a"), "did not finish"),
        (dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", b"0\r\n\r\n"), "did not finish"),
        (dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n", http()), "did not finish"),
    ],
)
def test_a_slow_answer_ends_at_the_timeout(service, answer, word):
    service.says(answer)
    with pytest.raises(CallFailed, match=word) as failed:
        # long enough for a busy machine to have read the beginning
        door(timeout=1.0 if word.endswith("1 s") else 0.3).request("GET", service.url)
    assert (failed.value.code, failed.value.permanent, failed.value.retry_after) == ("timeout", False, None)
    assert rows("outcome", "error_class", "error") == [("failed", "timeout", failed.value.message)]


def test_a_service_that_reads_slowly_is_given_up(service):
    def deaf():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"

    for url in deaf():
        with pytest.raises(CallFailed) as failed:
            door(timeout=0.3).request("POST", url, body=b"a" * 20_000_000)
    assert failed.value.code == "timeout"


def sending(data):
    return lambda sock, request: sock.sendall(data)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (sending(b""), "disconnected"),
        (sending(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "disconnected"),
        (sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), "disconnected"),
        (sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"), "protocol"),
        (sending(b"HTTP/1.1 200 OK\r\nX"), "disconnected"),
        (sending(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "protocol"),
        (sending(b"HTTP/1.1 abc OK\r\n\r\n"), "protocol"),
        (sending(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "protocol"),
        (sending(b"HTTP/1.1 99 OK\r\n\r\n"), "protocol"),
        (sending(b"HTTP/1.1 1000 OK\r\n\r\n"), "protocol"),
        (sending(b"\xff\xfe\x00garbage\n\n"), "protocol"),
        (sending(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"), "protocol"),
        (sending(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 200 + b"\r\n"), "answer_too_large"),
        (sending(b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 70_000 + b"\r\n\r\n"), "answer_too_large"),
        (sending(b"HTTP/1.1 200 OK\r\n" + (b"X-A: " + b"b" * 60_000 + b"\r\n") * 50 + b"\r\n"), "answer_too_large"),
    ],
)
def test_a_broken_answer_is_named(service, answer, code):
    service.says(answer)
    with pytest.raises((CallFailed, BadAnswer)) as failed:
        door().request("GET", service.url)
    assert failed.value.code == code
    assert rows("outcome", "error_class") == [("failed", code)]


def test_early_hints_come_before_the_answer(service):
    service.says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + http(200, b'"real"', x_a="1"))
    reply = door().request("GET", service.url)
    assert (reply.status, reply.json(), reply.headers["X-A"]) == (200, "real", "1")
    assert "Link" not in reply.headers


def test_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(CallFailed, match="nothing listens") as failed:
        door().request("GET", f"http://127.0.0.1:{port}/")
    assert failed.value.code == "connect"


@pytest.mark.parametrize("body", [b"a" * 2001, gzip.compress(b"a" * 50_000_000), zlib.compress(b"a" * 50_000_000)])
def test_a_body_over_the_cap_is_not_read(service, body):
    encoding = {} if body[:1] == b"a" else {"content_encoding": "gzip" if body[:2] == b"\x1f\x8b" else "deflate"}
    service.says(http(200, body, **encoding))
    with pytest.raises(BadAnswer, match="larger than 2000 bytes") as bad:
        door(max_body=2000).request("GET", service.url)
    assert (bad.value.code, bad.value.permanent, bad.value.status_code) == ("answer_too_large", True, 200)
    row = RequestLog.objects.get()
    assert (row.outcome, row.error_class, row.response_body) == ("failed", "answer_too_large", "")
    assert row.response_bytes <= 2000


def test_an_endless_answer_is_cut(service):
    service.says(dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"a" * 1024 + b"\r\n"))
    with pytest.raises(BadAnswer) as bad:
        door(max_body=5000).request("GET", service.url)
    assert bad.value.code == "answer_too_large"


def test_packed_answers_are_unpacked(service):
    service.says(http(200, gzip.compress(b'{"a": 1}'), content_encoding="gzip"))
    assert door().request("GET", service.url).json() == {"a": 1}


def test_head_has_no_body(service):
    service.says(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    assert door().request("HEAD", service.url).body == b""


def test_text_and_json_of_odd_bodies(service):
    service.says(http(200, b"\xff{", content_type="text/html"))
    reply = door().request("GET", service.url)
    assert reply.text() == "\ufffd{"
    with pytest.raises(BadAnswer, match="text/html, which is not valid JSON"):
        reply.json()


def test_odd_bytes_of_an_answer_can_be_logged(service):
    service.says(http(500, b"\0\xff\0", x_request_id="a\x01b\xffc"))
    with pytest.raises(BadAnswer):
        door().request("GET", service.url)
    row = RequestLog.objects.get()
    assert "\0" not in row.response_body
    assert len(row.response_body) == 3
