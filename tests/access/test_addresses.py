"""Where a request comes from."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory
from gunicorn.config import Config
from pytest_django import Settings

from access import addresses
from core.errors import InvalidInput
from core.supervisor import web


@pytest.mark.parametrize(
    ("proxies", "remote", "forwarded", "expected"),
    [
        ([], "203.0.113.7", None, "203.0.113.7"),
        ([], "203.0.113.7", "198.51.100.1", "203.0.113.7"),
        (["10.0.0.0/8"], "203.0.113.7", "198.51.100.1", "203.0.113.7"),
        (["10.0.0.0/8"], "10.1.1.1", "198.51.100.1", "198.51.100.1"),
        (["10.0.0.0/8"], "10.1.1.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        (["10.0.0.0/8"], "10.1.1.1", "1.2.3.4, 198.51.100.1, 10.2.2.2", "198.51.100.1"),
        (["10.0.0.0/8"], "10.1.1.1", "10.3.3.3", "10.3.3.3"),
        (["10.0.0.0/8"], "10.1.1.1", None, "10.1.1.1"),
        (["10.0.0.0/8"], "10.1.1.1", "rubbish", "10.1.1.1"),
        (["10.0.0.0/8"], "10.1.1.1", "198.51.100.1, rubbish", "10.1.1.1"),
        (["10.0.0.0/8"], "::ffff:10.1.1.1", "198.51.100.1:4711", "198.51.100.1"),
        (["::1/128"], "::1", "[2001:db8::1]:443", "2001:db8::1"),
        (["10.0.0.0/8"], "", "198.51.100.1", None),
        (["10.0.0.0/8"], "unix:", "198.51.100.1", None),
    ],
)
def test_only_our_own_proxies_are_believed(
    rf: RequestFactory, settings: Settings, proxies: list[str], remote: str, forwarded: str | None, expected: str | None
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    assert addresses.client_address(rf.get("/", REMOTE_ADDR=remote, **headers)) == expected


@pytest.mark.parametrize(
    ("address", "cidrs", "allowed"),
    [
        ("10.1.2.3", [], True),
        (None, [], True),
        ("10.1.2.3", ["10.1.0.0/16"], True),
        ("10.2.2.3", ["10.1.0.0/16", "10.2.2.3/32"], True),
        ("10.2.2.4", ["10.1.0.0/16"], False),
        ("2001:db8::5", ["10.1.0.0/16", "2001:db8::/32"], True),
        ("::ffff:10.1.2.3", ["10.1.0.0/16"], True),
        (None, ["10.1.0.0/16"], False),
        ("rubbish", ["0.0.0.0/0"], False),
    ],
)
def test_a_list_of_networks_bounds_addresses(address: str | None, cidrs: list[str], allowed: bool) -> None:
    assert addresses.is_allowed(address, cidrs) is allowed


def test_networks_are_stored_in_one_form() -> None:
    assert addresses.parse_cidrs(["10.1.2.3/16", "2001:DB8::1", "10.1.0.0/16"]) == ["10.1.0.0/16", "2001:db8::1/128"]


@pytest.mark.parametrize("bad", ["10.0.0.0/33", "x", "", "10.0.0.0-10.0.0.9"])
def test_a_network_that_cannot_be_read_is_named(bad: str) -> None:
    with pytest.raises(InvalidInput, match="allowed_cidrs"):
        addresses.parse_cidrs([bad])


@pytest.mark.parametrize(("remote", "secure"), [("10.0.0.5", True), ("192.0.2.9", False), ("127.0.0.1", False), ("", False)])
def test_only_a_trusted_proxy_says_that_a_request_came_by_https(client: Client, settings: Settings, remote: str, secure: bool) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT = True
    answer = client.get("/docs", REMOTE_ADDR=remote, HTTP_X_FORWARDED_PROTO="https")
    assert (answer.status_code != 301) is secure


def test_the_web_server_believes_no_peer_by_itself() -> None:
    config = Config()
    config.set("forwarded_allow_ips", web.forwarded_allow_ips)
    assert config.forwarded_allow_ips == []
