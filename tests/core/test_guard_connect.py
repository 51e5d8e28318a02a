"""No TCP connection is opened to a forbidden address, whatever leads to it."""

from __future__ import annotations

import socket

import pytest

from core.http import connector
from tests.core.http_servers import OK, FakeResolver, answering, post, sending, serving
from tests.core.test_guard import REFUSED


@pytest.fixture(autouse=True)
def _closed(settings):
    settings.EGRESS_ALLOW_CIDRS = []


@pytest.fixture
def opened(monkeypatch):
    """Return the list of addresses that the client makes sockets for."""
    made = []

    def record(info):
        sock = original(info)
        made.append(info[4][0])
        return sock

    original = connector.guarded_socket
    monkeypatch.setattr(connector, "guarded_socket", record)
    return made


@pytest.mark.parametrize("address", REFUSED)
async def test_a_name_that_leads_to_an_inner_address_is_refused(address, opened):
    async with sending(resolver=FakeResolver([address])) as sender:
        answer = await sender.send(post("https://rebind.example.com/"))
    assert answer.error_class == "address_refused"
    assert "rebind.example.com" in answer.error
    assert "EGRESS_ALLOW_CIDRS" in answer.error
    assert answer.status is None
    assert opened == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0", "１２７.0.0.1"],
)
async def test_a_listening_inner_port_sees_nothing(host, opened):
    async with serving(answering(OK)) as receiver, sending() as sender:
        for scheme in ("http", "https"):
            answer = await sender.send(post(f"{scheme}://{host}:{receiver.port}/"))
            assert answer.error_class == "address_refused"
    assert receiver.connections == 0
    assert opened == []


async def test_the_check_at_the_socket_stands_alone(opened, monkeypatch, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    async with serving(answering(OK)) as receiver, sending() as sender:
        sender._new_target(receiver.url)  # as if the check of the URL had a hole
        settings.EGRESS_ALLOW_CIDRS = []
        answer = await sender.send(post(receiver.url))
    assert answer.error_class == "address_refused"
    assert receiver.connections == 0
    assert opened == []


async def test_a_name_that_changes_its_address_gains_nothing(opened, monkeypatch, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    monkeypatch.setattr(connector, "DNS_CACHE_SECONDS", 0)
    resolver = FakeResolver(["127.0.0.1"], ["127.0.0.2"])
    async with (
        serving(answering(OK.replace(b"200 OK\r\n", b"200 OK\r\nConnection: close\r\n"))) as receiver,
        sending(resolver=resolver) as sender,
    ):
        url = f"http://rebind.example.com:{receiver.port}/"
        first = await sender.send(post(url))
        second = await sender.send(post(url))
    assert (first.status, first.address) == (200, "127.0.0.1")
    assert (second.status, second.error_class) == (None, "address_refused")
    assert "127.0.0.2 is a loopback address" in second.error
    assert opened == ["127.0.0.1"]
    assert len(resolver.asked) == 2


async def test_of_several_addresses_only_the_allowed_are_tried(opened, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    resolver = FakeResolver(["127.0.0.2", "::1", "127.0.0.1"])
    async with serving(answering(OK)) as receiver, sending(resolver=resolver) as sender:
        answer = await sender.send(post(f"http://mixed.example.com:{receiver.port}/"))
    assert (answer.status, answer.address) == (200, "127.0.0.1")
    assert set(opened) == {"127.0.0.1"}


async def test_several_refused_addresses_are_a_refusal(opened):
    async with sending(resolver=FakeResolver(["10.0.0.1", "fd00::1", "127.0.0.1"])) as sender:
        answer = await sender.send(post("https://inner.example.com/"))
    assert answer.error_class == "address_refused"
    assert opened == []


async def test_plain_http_to_a_public_address_is_refused_at_the_socket(opened, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    async with sending(resolver=FakeResolver(["8.8.8.8"])) as sender:
        answer = await sender.send(post("http://public.example.com/"))
    assert answer.error_class == "address_refused"
    assert "http:// is accepted only for hosts inside EGRESS_ALLOW_CIDRS" in answer.error
    assert opened == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status, opened, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    moved = f"HTTP/1.1 {status} Moved\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n".encode()
    async with serving(answering(moved)) as receiver, sending() as sender:
        answer = await sender.send(post(receiver.url))
    assert (answer.status, answer.error_class) == (status, "")
    assert answer.headers["Location"] == "http://169.254.169.254/latest"
    assert len(receiver.requests) == 1
    assert opened == ["127.0.0.1"]


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com@127.0.0.1/", "https://127.0.0.1\\@hooks.example.com/", "https://a:b@127.0.0.1/"]
)
async def test_userinfo_tricks_are_refused(url, opened):
    async with sending(resolver=FakeResolver(["127.0.0.1"])) as sender:
        answer = await sender.send(post(url))
    assert answer.error_class == "invalid_url"
    assert opened == []


async def test_the_environments_proxy_is_not_used(opened, monkeypatch, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    async with serving(answering(OK)) as proxy, serving(answering(OK)) as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with sending() as sender:
            answer = await sender.send(post(receiver.url))
    assert answer.status == 200
    assert (proxy.connections, receiver.connections) == (0, 1)


def test_a_socket_needs_a_request(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with pytest.raises(LookupError):
        connector.guarded_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1)))
