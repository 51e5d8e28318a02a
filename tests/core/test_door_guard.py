"""The door opens no connection to a forbidden address, whatever leads to it."""

from __future__ import annotations

import socket

import pytest

from core.errors import AddressRefused, InvalidInput
from core.http import connector, wire
from core.http.door import CallFailed
from core.models import RequestLog
from tests.core.door_stub import Token, door, http, serving
from tests.core.http_servers import Authority
from tests.core.test_guard import REFUSED

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(autouse=True)
def _closed(settings):
    settings.EGRESS_ALLOW_CIDRS = []


@pytest.fixture
def opened(monkeypatch):
    """Return the list of addresses that the door makes sockets for."""
    made = []

    def record(info):
        sock = original(info)
        made.append(info[4][0])
        return sock

    original = connector.guarded_socket
    monkeypatch.setattr(connector, "guarded_socket", record)
    return made


@pytest.fixture
def names(monkeypatch):
    """Return what the name server says, in turn, the last for ever: to be filled by the test."""
    answers = []

    def look_up(host, port):
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(addresses, OSError):
            raise addresses
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in zip(families, addresses, strict=True)]

    monkeypatch.setattr(wire, "look_up", look_up)
    return answers


@pytest.fixture
def service():
    with serving() as running:
        yield running


@pytest.mark.parametrize("address", REFUSED)
def test_a_name_that_leads_to_an_inner_address_is_refused(address, opened, names):
    names.append([address])
    with pytest.raises(AddressRefused, match="EGRESS_ALLOW_CIDRS") as refused:
        door().request("GET", "https://rebind.example.com/")
    assert "rebind.example.com" in refused.value.message
    assert refused.value.permanent
    assert opened == []
    row = RequestLog.objects.get()
    assert (row.outcome, row.error_class, row.error, row.address) == ("refused", "address_refused", refused.value.message[:500], "")


@pytest.mark.parametrize("address", REFUSED)
def test_a_literal_inner_address_is_refused(address, opened):
    host = f"[{address}]" if ":" in address else address
    for scheme in ("http", "https"):
        with pytest.raises(AddressRefused):
            door().request("GET", f"{scheme}://{host}/")
    assert opened == []
    assert list(RequestLog.objects.values_list("outcome", "error_class")) == [("refused", "address_refused")] * 2


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "a.localhost",
        "0",
        "１２７.0.0.1",
    ],
)
def test_a_listening_inner_port_sees_nothing(host, opened, service):
    for scheme in ("http", "https"):
        with pytest.raises(AddressRefused):
            door(Token("token-123")).request("GET", f"{scheme}://{host}:{service.port}/")
    assert service.connections == 0
    assert opened == []


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com@127.0.0.1/", "https://127.0.0.1\\@hooks.example.com/", "https://a:b@127.0.0.1/", "//127.0.0.1/"]
)
def test_tricks_with_the_address_are_refused(url, opened):
    with pytest.raises(InvalidInput):
        door().request("GET", url)
    assert opened == []


def test_parameters_and_credentials_cannot_change_the_host(opened, service, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]

    class Elsewhere(Token):
        def apply(self, request):
            request.url = "http://127.0.0.2/"
            request.method = "DELETE"
            super().apply(request)

    door().request("GET", service.url, params={"@127.0.0.2/": "#/../../x", "\\": "//127.0.0.2"})
    assert service.requests[0].startswith(b"GET /?%40127.0.0.2%2F=%23%2F..%2F..%2Fx&%5C=%2F%2F127.0.0.2 HTTP")
    door(Elsewhere("token-123")).request("GET", service.url)
    assert len(service.requests) == 2
    assert set(opened) == {"127.0.0.1"}


def test_a_name_that_changes_its_address_gains_nothing(opened, names, service, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    service.says(http(200, b"{}", connection="close"))
    names += [["127.0.0.1"], ["127.0.0.2"]]
    url = f"http://rebind.example.com:{service.port}/"
    assert door().request("GET", url).status == 200
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.2 is a loopback address"):
        door().request("GET", url)
    assert opened == ["127.0.0.1"]
    assert list(RequestLog.objects.order_by("id").values_list("address", flat=True)) == ["127.0.0.1", ""]


def test_of_several_addresses_only_the_allowed_are_tried(opened, names, service, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    names.append(["127.0.0.2", "::1", "127.0.0.1"])
    assert door().request("GET", f"http://mixed.example.com:{service.port}/").status == 200
    assert set(opened) == {"127.0.0.1"}


def test_a_kept_connection_is_checked_again(opened, service, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    door().request("GET", service.url)
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.2/32"]
    with pytest.raises(AddressRefused):
        door().request("GET", service.url)
    assert len(service.requests) == 1


def test_the_check_at_the_socket_stands_alone(opened, service, monkeypatch):
    from core.http import exchange
    from core.http.guard import ParsedTarget

    monkeypatch.setattr(exchange, "check_url", lambda url: ParsedTarget(url, "http", "127.0.0.1", service.port, None))
    monkeypatch.setattr("core.http.prepare.check_url", exchange.check_url)
    with pytest.raises(AddressRefused):
        door().request("GET", service.url)
    assert service.connections == 0
    assert opened == []


def test_plain_http_to_a_public_address_is_refused_at_the_socket(opened, names, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    names.append(["8.8.8.8"])
    with pytest.raises(AddressRefused, match="http:// is accepted only for hosts inside EGRESS_ALLOW_CIDRS"):
        door().request("GET", "http://public.example.com/")
    assert opened == []


def test_the_environments_proxy_is_not_used(service, monkeypatch, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert door().request("GET", service.url).status == 200
        assert proxy.connections == 0


def test_netrc_is_not_read(service, monkeypatch, settings, tmp_path):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(file))
    door().request("GET", service.url)
    assert b"authorization" not in service.requests[0].lower()


@pytest.mark.parametrize(
    ("answer", "word"),
    [(socket.gaierror(socket.EAI_NONAME, "no"), "was not found"), (socket.gaierror(socket.EAI_AGAIN, "no"), "name server")],
)
def test_a_name_that_does_not_resolve_is_named(names, answer, word):
    names.append(answer)
    with pytest.raises(CallFailed, match=word) as failed:
        door().request("GET", "https://nowhere.example.com/")
    assert failed.value.code == "dns"


def test_a_name_server_that_hangs_is_given_up(monkeypatch):
    import threading

    end = threading.Event()
    monkeypatch.setattr(wire, "look_up", lambda host, port: end.wait(10) and [])
    try:
        with pytest.raises(CallFailed, match="not resolved in time") as failed:
            door(connect_timeout=0.2).request("GET", "https://slow.example.com/")
    finally:
        end.set()
    assert failed.value.code == "dns"


@pytest.fixture
def authority(tmp_path, monkeypatch):
    """Return the only authority that the door trusts."""
    from core.http import exchange

    made = Authority(tmp_path)
    monkeypatch.setattr(exchange, "tls_context", made.client)
    monkeypatch.setattr(exchange._Pools, "adapter", None)
    yield made
    exchange._Pools.adapter = None


def test_tls_is_checked_for_the_name_that_was_asked_for(authority, names, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    names.append(["127.0.0.1"])
    with serving(authority.server("right.example.com")) as service:
        assert door().request("GET", f"https://right.example.com:{service.port}/").status == 200
        assert b"Host: right.example.com" in service.requests[0]
        for url in (f"https://wrong.example.com:{service.port}/", service.url):
            with pytest.raises(CallFailed, match="certificate is not for") as failed:
                door().request("GET", url)
            assert failed.value.code == "tls"
        assert len(service.requests) == 1


def test_a_certificate_of_an_unknown_authority_is_refused(authority, settings, tmp_path):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with serving(Authority(tmp_path).server()) as service, pytest.raises(CallFailed, match="certificate") as failed:
        door().request("GET", service.url)
    assert failed.value.code == "tls"
    assert service.requests == []


def test_a_port_that_speaks_no_tls_is_named(service, settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(CallFailed, match="TLS") as failed:
        door(connect_timeout=0.3).request("GET", f"https://127.0.0.1:{silent.getsockname()[1]}/")
    assert failed.value.code == "tls"
