"""TLS: certificates are verified, and each kind of trouble has its own sentence."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from core.http.connector import tls_context
from tests.core.http_servers import OK, Authority, FakeResolver, answering, post, sending, serving


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


async def _send(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "127.0.0.1"):
    async with serving(answering(OK), server) as receiver, sending(context=client, resolver=FakeResolver(["127.0.0.1"])) as sender:
        answer = await sender.send(post(f"https://{host}:{receiver.port}/"))
    return answer, receiver


async def test_a_trusted_certificate_is_taken_and_the_handshake_timed(authority):
    answer, receiver = await _send(authority.server("hooks.example.com"), authority.client(), "hooks.example.com")
    assert (answer.status, answer.error) == (200, "")
    assert None not in {answer.timings.dns_ms, answer.timings.connect_ms, answer.timings.tls_ms, answer.timings.first_byte_ms}
    assert len(receiver.requests) == 1


async def test_a_kept_tls_connection_has_no_second_handshake(authority):
    async with serving(answering(OK), authority.server()) as receiver, sending(context=authority.client()) as sender:
        await sender.send(post(receiver.url))
        answer = await sender.send(post(receiver.url))
    assert receiver.connections == 1
    assert answer.timings.tls_ms is None


@pytest.mark.parametrize(
    ("host", "options", "sentence"),
    [
        ("hooks.example.com", {"days": (-2, -1)}, "has expired"),
        ("hooks.example.com", {"days": (1, 2)}, "is not valid yet"),
        ("hooks.example.com", {"self_signed": True}, "is self-signed"),
        ("other.example.com", {}, "is not for hooks.example.com"),
    ],
)
async def test_a_bad_certificate_is_refused_with_its_reason(authority, host, options, sentence):
    answer, receiver = await _send(authority.server(host, **options), authority.client(), "hooks.example.com")
    assert (answer.status, answer.error_class) == (None, "tls")
    assert sentence in answer.error
    assert "hooks.example.com" in answer.error
    assert receiver.requests == []


async def test_a_certificate_for_another_address_is_refused(authority):
    answer, _ = await _send(authority.server("127.0.0.2"), authority.client())
    assert (answer.error_class, answer.error.split(".")[0]) == ("tls", "The certificate is not for the address 127")


async def test_an_unknown_authority_is_refused_by_default(authority):
    answer, receiver = await _send(authority.server(), tls_context())
    assert answer.error_class == "tls"
    assert "unknown issuer" in answer.error
    assert receiver.requests == []


async def test_a_plain_port_is_named(authority):
    async with serving(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as receiver:

        async def greet(receiver, reader, writer):
            writer.write(b"220 mail.example.com ESMTP\r\n")
            await writer.drain()
            await asyncio.sleep(30)

        async with serving(greet) as greeter, sending(context=authority.client()) as sender:
            greeted = await sender.send(post(greeter.url.replace("http:", "https:")))
            silent = await sender.send(post(receiver.url.replace("http:", "https:"), connect_timeout=0.3))
    assert greeted.error_class == "tls"
    assert "does not speak TLS" in greeted.error
    assert silent.error_class == "tls"
    assert "handshake did not end in time" in silent.error


async def test_a_connection_closed_in_the_handshake_is_a_tls_error(authority):
    async def close(receiver, reader, writer):
        await reader.read(1)

    async with serving(close) as receiver, sending(context=authority.client()) as sender:
        answer = await sender.send(post(receiver.url.replace("http:", "https:")))
    assert answer.error_class == "tls"
    assert "handshake" in answer.error


async def test_outdated_tls_is_named(authority):
    old = authority.server()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    answer, _ = await _send(old, authority.client())
    assert answer.error_class == "tls"
    assert "TLS" in answer.error


def test_the_default_context_verifies():
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509_ca"] > 50
