"""What the delivery client sends, what it keeps of an answer, and what it says about each failure."""

from __future__ import annotations

import asyncio
import errno
import gzip
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest

from core.http import sender as sender_module
from core.http.connector import Marks
from core.http.failures import classify
from core.http.messages import Failure
from core.http.sender import MAX_TARGETS, Sender, retry_after
from tests.core.http_servers import OK, FakeResolver, answering, post, read_request, sending, serving
from webhooks.choices import ErrorClass


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8", "::1"]


async def _one(answer: bytes, **options):
    async with serving(answering(answer)) as receiver, sending() as sender:
        return await sender.send(post(receiver.url, **options))


async def _connected(receiver):
    async with asyncio.timeout(10):
        while receiver.connections == 0:
            await asyncio.sleep(0.01)


def _body(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_every_failure_is_an_error_class_of_attempts():
    assert {failure.value for failure in Failure} <= set(ErrorClass.values)


async def test_it_sends_exactly_the_bytes_and_headers_given():
    headers = {
        "content-type": "application/json",
        "webhook-id": "evt_1",
        "X-Grüße".encode().decode("ascii", "ignore"): "a",
        "x-text": "schön",
    }
    async with serving(answering(OK)) as receiver, sending() as sender:
        answer = await sender.send(post(f"{receiver.url}?a=%2F&b=+", body='{"ü": 1}'.encode(), headers=headers))
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /hook?a=%2F&b=+ HTTP/1.1"
    assert lines.count(f"Host: 127.0.0.1:{receiver.port}") == 1
    assert "webhook-id: evt_1" in lines
    assert "x-text: schön" in lines
    assert "Accept-Encoding: identity" in lines
    assert "User-Agent: RepoGuard-Webhooks/1" in lines
    assert [line for line in lines if line.lower().startswith("content-")] == [
        "content-type: application/json",
        f"Content-Length: {len(body)}",
    ]
    assert body == '{"ü": 1}'.encode()
    assert (answer.status, answer.body, answer.error_class, answer.error, answer.address) == (200, b"ok", "", "", "127.0.0.1")


async def test_a_default_header_gives_way_to_a_given_one():
    async with serving(answering(OK)) as receiver, sending() as sender:
        await sender.send(post(receiver.url, headers={"user-agent": "mine", "ACCEPT": "text/plain"}))
    lines = receiver.requests[0].decode().lower().split("\r\n")
    assert [line for line in lines if line.startswith(("user-agent", "accept:"))] == ["user-agent: mine", "accept: text/plain"]


async def test_framing_headers_are_its_own():
    headers = {"Content-Length": "1", "Transfer-Encoding": "chunked", "Host": "inner", "Connection": "close", "Accept-Encoding": "gzip"}
    async with serving(answering(OK)) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url, headers=headers))
    request = receiver.requests[0].lower()
    assert answer.status == 200
    assert request.count(b"content-length:") == 1
    assert b"transfer-encoding" not in request
    assert b"host: inner" not in request
    assert b"accept-encoding: identity" in request
    assert request.count(b"accept-encoding:") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "1\r\nx-b: 2"},
        {"x-a": "1\nx-b: 2"},
        {"x-a": "1\r"},
        {"x-a": "1\x00"},
        {"x-a\r\nx-b": "1"},
        {"x a": "1"},
        {"x-a:": "1"},
        {"": "1"},
        {"x-\u00e4": "1"},
        {"x-a": "\ud800"},
    ],
)
async def test_a_header_that_breaks_out_is_never_sent(headers):
    async with serving(answering(OK)) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url, headers=headers))
    assert answer.error_class == "protocol"
    assert "header" in answer.error
    assert receiver.connections == 0


async def test_connections_are_kept_and_shared():
    async with serving(answering(OK)) as receiver, sending() as sender:
        answers = [await sender.send(post(receiver.url)) for _ in range(5)]
        assert receiver.connections == 1
    assert [answer.status for answer in answers] == [200] * 5
    assert answers[0].timings.connect_ms is not None
    assert answers[4].timings.connect_ms is None
    assert answers[4].address == "127.0.0.1"


async def test_many_requests_run_at_once():
    started = 0
    everyone = asyncio.Event()

    async def handle(receiver, reader, writer):
        nonlocal started
        await read_request(reader)
        started += 1
        if started == 10:
            everyone.set()
        await everyone.wait()
        writer.write(OK)
        await writer.drain()

    async with serving(handle) as receiver, sending(limit=10) as sender:
        answers = await asyncio.gather(*(sender.send(post(receiver.url)) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}


async def test_a_stale_connection_is_replaced_once():
    async def close_after_one(receiver, reader, writer):
        receiver.requests.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()
        await read_request(reader)  # the second one is read and dropped

    async with serving(close_after_one) as receiver, sending() as sender:
        first = await sender.send(post(receiver.url))
        second = await sender.send(post(receiver.url))
    assert (first.status, second.status) == (200, 200)
    assert receiver.connections == 2
    assert second.timings.connect_ms is not None


async def test_a_fresh_connection_that_closes_is_a_failure_at_once():
    async def close(receiver, reader, writer):
        await read_request(reader)

    async with serving(close) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url))
    assert receiver.connections == 1
    assert (answer.status, answer.error_class) == (None, "disconnected")
    assert "closed the connection without an answer" in answer.error


async def test_a_stale_connection_is_replaced_only_once():
    async def flaky(receiver, reader, writer):
        await read_request(reader)
        if receiver.connections == 1:
            writer.write(OK)
            await writer.drain()
            await read_request(reader)

    async with serving(flaky) as receiver, sending() as sender:
        await sender.send(post(receiver.url))
        answer = await sender.send(post(receiver.url))
    assert receiver.connections == 2
    assert answer.error_class == "disconnected"


async def test_the_second_try_does_not_take_another_stale_connection():
    both = asyncio.Event()

    async def flaky(receiver, reader, writer):
        number = receiver.connections
        if number == 2:
            both.set()
        while await read_request(reader):
            await both.wait()
            writer.write(OK)
            await writer.drain()
            if number < 3:
                await read_request(reader)  # read and dropped
                return

    async with serving(flaky) as receiver, sending() as sender:
        await asyncio.gather(*(sender.send(post(receiver.url)) for _ in range(2)))
        assert receiver.connections == 2
        answer = await sender.send(post(receiver.url))
    assert answer.status == 200
    assert receiver.connections == 3


async def test_an_answer_that_breaks_off_in_its_head_is_not_sent_again():
    async def handle(receiver, reader, writer):
        while request := await read_request(reader):
            receiver.requests.append(request)
            if len(receiver.requests) == 2:
                writer.write(b"HTTP/1.1 200 O")
                await writer.drain()
                return
            writer.write(OK)
            await writer.drain()

    async with serving(handle) as receiver, sending() as sender:
        await sender.send(post(receiver.url))
        answer = await sender.send(post(receiver.url))
    assert len(receiver.requests) == 2
    assert (answer.status, answer.error_class) == (None, "disconnected")


async def test_what_arrives_unasked_does_not_answer_the_next_request():
    async def hasty(receiver, reader, writer):
        receiver.requests.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()
        if receiver.connections == 1:
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(30)

    async with serving(hasty) as receiver, sending() as sender:
        await sender.send(post(receiver.url))
        await asyncio.sleep(0.15)
        answer = await sender.send(post(receiver.url))
    assert answer.status == 200
    assert receiver.connections == 2


async def test_an_answer_that_breaks_off_is_not_sent_again():
    async def handle(receiver, reader, writer):
        while request := await read_request(reader):
            receiver.requests.append(request)
            whole = OK if len(receiver.requests) == 1 else b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"
            writer.write(whole)
            await writer.drain()
            if whole is not OK:
                return

    async with serving(handle) as receiver, sending() as sender:
        await sender.send(post(receiver.url))
        answer = await sender.send(post(receiver.url))
    assert len(receiver.requests) == 2
    assert (answer.status, answer.error_class, answer.body) == (200, "disconnected", b"part")
    assert "in the middle of its answer" in answer.error


async def test_the_body_is_capped_and_the_connection_kept_when_little_is_left():
    async with serving(answering(_body(b"x" * 5000))) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url, max_response_body=1000))
        await sender.send(post(receiver.url))
    assert (answer.body, answer.truncated, answer.error_class) == (b"x" * 1000, True, "")
    assert receiver.connections == 1


async def test_a_body_of_exactly_the_cap_is_whole():
    answer = await _one(_body(b"x" * 1000), max_response_body=1000)
    assert (len(answer.body), answer.truncated) == (1000, False)


async def test_an_endless_body_is_not_read_on():
    sent = 0

    async def endless(receiver, reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            sent += 0x4000
            await writer.drain()

    async with serving(endless) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url, max_response_body=1000))
        await asyncio.sleep(0)
    assert (answer.status, len(answer.body), answer.truncated, answer.error_class) == (200, 1000, True, "")
    assert sent < 20_000_000  # what the kernel's buffers take


async def test_a_dripping_body_ends_with_the_total_time():
    async def drip(receiver, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await asyncio.sleep(0.02)

    async with serving(drip) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url, total_timeout=1.5))
    assert (answer.status, answer.error_class) == (200, "timeout")
    assert "began to answer, but did not finish within 1.5 s" in answer.error
    assert answer.body.startswith(b"...")


async def test_dripping_headers_end_with_the_total_time():
    async def drip(receiver, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x-a: b\r\n")
            await asyncio.sleep(0.02)

    async with serving(drip) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url, total_timeout=1.5))
    assert (answer.status, answer.error_class) == (None, "timeout")
    assert answer.timings.first_byte_ms is not None


async def test_informational_answers_are_passed_over_but_not_for_ever():
    async def handle(receiver, reader, writer):
        await read_request(reader)
        for _ in range(3 if receiver.connections == 1 else 1000):
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.002)
        writer.write(OK)
        await writer.drain()

    async with serving(handle) as receiver, sending(keepalive_seconds=0) as sender:
        first = await sender.send(post(receiver.url))
        second = await sender.send(post(receiver.url, total_timeout=0.3))
    assert (first.status, first.body) == (200, b"ok")
    assert second.error_class == "timeout"


async def test_silence_is_a_timeout_with_the_advice_to_answer_first():
    async def silent(receiver, reader, writer):
        await asyncio.sleep(30)

    async with serving(silent) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url, total_timeout=0.2))
    assert (answer.status, answer.error_class) == (None, "timeout")
    assert "did not answer within 0.2 s" in answer.error
    assert "202" in answer.error
    assert answer.timings.first_byte_ms is None
    assert answer.timings.connect_ms is not None


async def test_a_compressed_bomb_stays_compressed():
    bomb = gzip.compress(bytes(50_000_000))
    answer = await _one(_body(bomb, "Content-Encoding: gzip"), max_response_body=100_000)
    assert answer.body == f"[{len(bomb)} bytes, gzip; not unpacked]".encode()
    assert (answer.status, answer.error_class) == (200, "")


@pytest.mark.parametrize(
    "headers",
    [b"x-a: " + b"b" * 10_000 + b"\r\n", b"".join(b"x-%d: b\r\n" % number for number in range(200)), b"x" * 10_000 + b": a\r\n"],
    ids=["long value", "many", "long name"],
)
async def test_headers_over_the_cap_are_an_error(headers):
    answer = await _one(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + headers + b"\r\n")
    assert answer.error_class == "answer_too_large"
    assert "headers" in answer.error


async def test_the_kept_headers_are_redacted_and_few():
    lines = [
        "Server: nginx",
        "Set-Cookie: session=abc",
        "X-Auth-Token: abc",
        "Via: a",
        "Via: b",
        *(f"x-{number}: {'v' * 2000}" for number in range(80)),
    ]
    answer = await _one(_body(b"", *lines))
    assert answer.headers["Server"] == "nginx"
    assert answer.headers["Set-Cookie"] == "***"
    assert answer.headers["X-Auth-Token"] == "***"
    assert answer.headers["Via"] == "a, b"
    assert len(answer.headers) == 50


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16" * 10,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 000 Zero\r\n\r\n",
        b"220 mail ESMTP\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_protocol_error(garbage):
    answer = await _one(garbage)
    assert (answer.status, answer.error_class) == (None, "protocol")
    assert "not HTTP" in answer.error


async def test_cookies_are_not_kept():
    async with serving(answering(_body(b"", "Set-Cookie: a=b"))) as receiver, sending() as sender:
        await sender.send(post(receiver.url))
        await sender.send(post(receiver.url))
    assert b"cookie" not in receiver.requests[1].lower()


async def test_a_large_body_arrives_whole():
    body = bytes(range(256)) * 20_000
    async with serving(answering(OK)) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url, body=body))
    assert answer.status == 200
    assert receiver.requests[0].endswith(b"\r\n\r\n" + body)


async def test_an_answer_before_the_body_is_read_does_not_spoil_the_connection():
    async def early(receiver, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(30)

    async with serving(early) as receiver, sending() as sender:
        first = await sender.send(post(receiver.url, body=bytes(20_000_000)))
        second = await sender.send(post(receiver.url))
    assert (first.status, second.status) == (413, 413)
    assert receiver.connections == 2


async def test_an_empty_answer_and_an_empty_body_are_fine():
    answer = await _one(b"HTTP/1.1 204 No Content\r\n\r\n", body=b"")
    assert (answer.status, answer.body, answer.truncated) == (204, b"", False)


async def test_a_body_without_length_ends_with_the_connection():
    async def old(receiver, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
        await writer.drain()

    async with serving(old) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url))
    assert (answer.status, answer.body, answer.error_class) == (200, b"hello", "")


async def test_the_phases_are_timed():
    async with serving(answering(OK)) as receiver, sending(resolver=FakeResolver(["127.0.0.1"])) as sender:
        answer = await sender.send(post(f"http://inner.example.com:{receiver.port}/"))
    timings = answer.timings
    phases = [timings.dns_ms, timings.connect_ms, timings.first_byte_ms]
    assert all(phase is not None and phase >= 0 for phase in phases)
    assert timings.tls_ms is None
    assert timings.total_ms is not None
    assert timings.total_ms >= sum(phase for phase in phases if phase)
    assert answer.started_at.tzinfo is UTC


async def test_a_refused_connection_names_the_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with sending() as sender:
            answer = await sender.send(post(f"http://127.0.0.1:{port}/"))
    assert answer.error_class == "connect"
    assert f"nothing listens on 127.0.0.1:{port}" in answer.error


async def test_a_full_backlog_is_a_connect_timeout():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            async with sending() as sender:
                answer = await sender.send(post(f"http://127.0.0.1:{listener.getsockname()[1]}/", connect_timeout=0.2))
        finally:
            for filler in fillers:
                filler.close()
    assert answer.error_class == "connect_timeout"
    assert "within 0.2 s" in answer.error


async def test_waiting_for_a_free_connection_is_not_blamed_on_the_receiver():
    async def silent(receiver, reader, writer):
        await asyncio.sleep(30)

    async with serving(silent) as receiver, sending(limit=1) as sender:
        first = asyncio.create_task(sender.send(post(receiver.url, total_timeout=20)))
        await _connected(receiver)
        second = await sender.send(post(receiver.url, connect_timeout=0.1))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert second.error_class == "connect_timeout"
    assert "connections of this portal were busy" in second.error


async def test_closing_ends_what_is_under_way():
    async def silent(receiver, reader, writer):
        await asyncio.sleep(30)

    async with serving(silent) as receiver, sending() as sender:
        task = asyncio.create_task(sender.send(post(receiver.url)))
        await _connected(receiver)
        await sender.close()
        answer = await task
        assert answer.error_class == "disconnected"
        await sender.close()


def _connector_error(error):
    return aiohttp.ClientConnectorError(aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None), error)


def _tls_error(reason):
    error = ssl.SSLError(1, "failed")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "failure", "sentence"),
    [
        (OSError(errno.EHOSTUNREACH, "x"), "connect", "no route to h:443"),
        (OSError(errno.ENETUNREACH, "x"), "connect", "network of h:443"),
        (OSError(errno.EMFILE, "x"), "connect", "too many open files"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "connect", "EADDRNOTAVAIL"),
        (OSError("odd"), "connect", "OSError"),
        (_tls_error("WRONG_VERSION_NUMBER"), "tls", "does not speak TLS"),
        (_tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), "tls", "outdated TLS versions"),
        (_tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), "tls", "sslv3 alert handshake failure"),
        (_tls_error(None), "tls", "no reason given"),
    ],
)
def test_each_connection_error_has_its_sentence(error, failure, sentence):
    verdict = classify(_connector_error(error), Marks(plain=False, literal=False), post("https://h/"), "h", 443)
    assert verdict[0] == failure
    assert sentence in verdict[1]


def test_an_unusual_certificate_error_shows_its_reason():
    error = ssl.SSLCertVerificationError(1, "failed")
    error.verify_code, error.verify_message = 26, "unsupported certificate purpose"
    key = aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)
    exc = aiohttp.ClientConnectorCertificateError(key, error)
    verdict = classify(exc, Marks(plain=False, literal=False), post("https://h/"), "h", 443)
    assert verdict == (Failure.TLS, "The certificate of h was not accepted: unsupported certificate purpose.")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "was not found"),
        (socket.gaierror(socket.EAI_AGAIN, "later"), "name server could not be asked"),
    ],
)
async def test_a_name_without_address_is_a_dns_error(error, sentence):
    async with sending(resolver=FakeResolver(error)) as sender:
        answer = await sender.send(post("https://missing.example.com/"))
    assert answer.error_class == "dns"
    assert "missing.example.com" in answer.error
    assert sentence in answer.error


async def test_a_slow_name_server_is_a_dns_error():
    class Slow(FakeResolver):
        async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
            await asyncio.sleep(30)
            return []

    async with sending(resolver=Slow([])) as sender:
        answer = await sender.send(post("https://slow.example.com/", connect_timeout=0.1))
    assert answer.error_class == "dns"
    assert "slow.example.com was not resolved in time" in answer.error


async def test_the_systems_resolver_is_asked_in_threads():
    async with serving(answering(OK)) as receiver, sending() as sender:
        answer = await sender.send(post(f"http://localhost:{receiver.port}/"))
    assert answer.status == 200
    assert answer.timings.dns_ms is not None


async def test_a_name_that_cannot_be_encoded_is_a_dns_error():
    class Strict(FakeResolver):
        async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
            raise UnicodeError("label too long")  # as getaddrinfo does

    async with sending(resolver=Strict([])) as sender:
        answer = await sender.send(post("https://example.com/"))
    assert (answer.status, answer.error_class) == (None, "dns")


async def test_an_unexpected_error_is_an_answer_without_its_text(caplog):
    class Broken(FakeResolver):
        async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
            raise RuntimeError("whsec_not_for_the_log_of_attempts")

    async with sending(resolver=Broken([])) as sender:
        answer = await sender.send(post("https://example.com/"))
    assert answer.error_class == "internal"
    assert "RuntimeError" in answer.error
    assert "whsec_" not in answer.error
    assert "RuntimeError" in caplog.text
    assert "whsec_not" not in caplog.text


async def test_a_sender_that_was_not_started_says_so():
    answer = await Sender(limit=1).send(post("https://8.8.8.8/"))
    assert answer.error_class == "internal"


async def test_cancelling_gives_the_slot_back():
    async def silent(receiver, reader, writer):
        if receiver.connections > 1:
            await answering(OK)(receiver, reader, writer)
        await asyncio.sleep(30)

    async with serving(silent) as receiver, sending(limit=1) as sender:
        task = asyncio.create_task(sender.send(post(receiver.url)))
        await _connected(receiver)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        answer = await sender.send(post(receiver.url))
    assert answer.status == 200


async def test_known_urls_are_forgotten_when_they_are_many(monkeypatch):
    monkeypatch.setattr(sender_module, "MAX_TARGETS", 2)
    async with serving(answering(OK)) as receiver, sending() as sender:
        for number in range(5):
            await sender.send(post(f"{receiver.url}/{number}"))
        assert len(sender._targets) <= 2
    assert MAX_TARGETS > 2


NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("-5", None),
        ("1e9", None),
        ("nan", None),
        ("9" * 400, None),
        ("soon", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Sat, 21 Nov 2026 12:01:00 -0000", 60.0),
        ("Sat, 99 Nov 2026 12:00:00 GMT", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value, seconds):
    assert retry_after(value, NOW) == seconds


async def test_retry_after_reaches_the_answer():
    answer = await _one(b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
    assert (answer.status, answer.retry_after) == (429, 7.0)


def test_a_request_shows_neither_headers_nor_body():
    shown = repr(post("https://example.com/", headers={"authorization": "Bearer abc"}, body=b"secret"))
    assert "abc" not in shown
    assert "secret" not in shown
