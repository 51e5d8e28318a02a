"""Which URLs and addresses the guard takes, and what it says about the others."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from core.errors import AddressRefused, InvalidInput
from core.http.guard import check_address, check_url, clean_url

REFUSED = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "this network",
    "10.1.2.3": "private",
    "100.64.0.1": "carrier-grade NAT",
    "100.127.255.255": "carrier-grade NAT",
    "100.100.100.200": "metadata",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "metadata",
    "169.254.0.1": "link-local",
    "169.254.169.254": "metadata",
    "169.254.170.2": "metadata",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.8": "IETF protocol",
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4 relay",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "127.0.0.1",
    "::8.8.8.8": "IPv4-compatible",
    "::ffff:127.0.0.1": "127.0.0.1",
    "::ffff:10.0.0.1": "10.0.0.1",
    "::ffff:169.254.169.254": "169.254.169.254",
    "::ffff:0:127.0.0.1": "not a public address",
    "64:ff9b::10.0.0.1": "10.0.0.1",
    "64:ff9b::169.254.169.254": "169.254.169.254",
    "64:ff9b:1::1": "local NAT64",
    "64:ff9b:1:a00:0:100::": "10.0.0.1",
    "100::1": "discard",
    "2001::1": "Teredo",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe": "10.0.0.1",
    "2001:2::1": "benchmarking",
    "2001:db8::1": "documentation",
    "2001:20::1": "IETF protocol",
    "2002:7f00:1::": "127.0.0.1",
    "2002:a00:1::": "10.0.0.1",
    "2002:808:808::": "6to4",
    "3fff::1": "documentation",
    "4000::1": "not a public address",
    "5f00::1": "segment routing",
    "fc00::1": "private",
    "fd00:ec2::254": "metadata",
    "fd12:3456::1": "private",
    "fe80::1": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.fixture(autouse=True)
def _closed(settings):
    settings.EGRESS_ALLOW_CIDRS = []


@pytest.mark.parametrize(("address", "rule"), REFUSED.items())
def test_it_refuses_an_inner_address_and_names_the_rule(address, rule):
    with pytest.raises(AddressRefused, match="EGRESS_ALLOW_CIDRS") as refused:
        check_address(address)
    assert rule in str(refused.value)


@pytest.mark.parametrize("address", PUBLIC)
def test_it_takes_a_public_address(address):
    check_address(address)


@pytest.mark.parametrize("address", ["fe80::1%eth0", "fe80::1%1", "::1%lo", "not an address", "127.0.0.1/8", ""])
def test_it_refuses_what_is_no_plain_address(address, settings):
    settings.EGRESS_ALLOW_CIDRS = ["::/0", "0.0.0.0/0"]
    with pytest.raises(AddressRefused):
        check_address(address)


@pytest.mark.parametrize(
    "form",
    [
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1:a00:0:100::",
        "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
@pytest.mark.parametrize("network", ["10.0.0.0/8", "10.0.0.1", " 10.0.0.1/24 ", "::ffff:10.0.0.0/104"])
def test_an_allowed_network_is_open_in_every_form(form, network, settings):
    settings.EGRESS_ALLOW_CIDRS = [network]
    check_address(form, plain=True)


def test_an_allowed_network_opens_no_other(settings):
    settings.EGRESS_ALLOW_CIDRS = ["10.0.0.0/8", "fd00::/8"]
    check_address("fd00::1")
    for address in ("11.0.0.1", "127.0.0.1", "0.0.0.0", "fc00::1", "::1"):
        with pytest.raises(AddressRefused) if address != "11.0.0.1" else pytest.raises(AddressRefused, match="http://"):
            check_address(address, plain=True)


def test_the_advice_names_what_to_add():
    with pytest.raises(AddressRefused, match=r"add 127\.0\.0\.1/32 to EGRESS_ALLOW_CIDRS"):
        check_address("127.0.0.1")
    with pytest.raises(AddressRefused, match=r"add 10\.0\.0\.1/32 to EGRESS_ALLOW_CIDRS"):
        check_address("::ffff:10.0.0.1")
    with pytest.raises(AddressRefused, match="add fd00::1/128 to EGRESS_ALLOW_CIDRS"):
        check_address("fd00::1")


def test_plain_http_needs_an_allowed_address_even_when_it_is_public(settings):
    settings.EGRESS_ALLOW_CIDRS = ["10.0.0.0/8"]
    check_address("8.8.8.8")
    with pytest.raises(AddressRefused, match="http:// is accepted only"):
        check_address("8.8.8.8", plain=True)


def test_a_wrong_setting_is_named(settings):
    settings.EGRESS_ALLOW_CIDRS = ["10.0.0.0/8", "intranet"]
    with pytest.raises(ImproperlyConfigured, match="'intranet' is not a network"):
        check_address("127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://127.0.0.1:8443/x",
        "https://127.1/",
        "https://127.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0X7F.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.1./",
        "https://0/",
        "https://0x/",
        "https://１２７.0.0.1/",
        "https://127。0。0。1/",
        "https://①②⑦.0.0.1/",
        "https://[::1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://app.localhost/",
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "https://0251.0376.0251.0376/",
        "https://169.254.43518/",
        "http://hooks.example.com/",
        "http://8.8.8.8/",
    ],
)
def test_it_refuses_an_inner_host_in_every_spelling(url):
    with pytest.raises(AddressRefused, match="EGRESS_ALLOW_CIDRS"):
        check_url(url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "must start with https://"),
        ("hooks.example.com/x", "must start with https://"),
        ("ftp://example.com/", "must start with https://"),
        ("file:///etc/passwd", "must start with https://"),
        ("gopher://127.0.0.1/", "must start with https://"),
        ("javascript:alert(1)", "must start with https://"),
        ("https:example.com", "has no host"),
        ("https:/example.com", "has no host"),
        ("https:///path", "has no host"),
        ("https://:443/", "has no host"),
        ("https://?x", "has no host"),
        ("https://user@example.com/", "user name or password"),
        ("https://user:secret@example.com/", "user name or password"),
        ("https://@example.com/", "user name or password"),
        ("https://127.0.0.1@example.com/", "user name or password"),
        ("https://example.com#@127.0.0.1/", "fragment"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://example.com\\@127.0.0.1/", "backslash"),
        ("https://example.com /", "space"),
        (" https://example.com/", "space"),
        ("https://exam\tple.com/", "space"),
        ("https://example.com/\r\nHost: inner", "space"),
        ("https://example.com/\x00", "space"),
        ("https://exam\u200bple.com/", "invisible"),
        ("https://example.com/\u202egpj", "invisible"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:-1/", "port"),
        ("https://example.com:8_0/", "port"),
        ("https://example.com:４４３/", "port"),
        ("https://example.com:80:443/", "port"),
        ("https://[::1%25eth0]/", "zone id"),
        ("https://[::1%eth0]/", "zone id"),
        ("https://[v1.fe80]/", "not an IPv6 address"),
        ("https://[::1/", "not a valid URL"),
        ("https://[:::]/", "not"),
        ("https://[127.0.0.1]/", "not"),
        ("https://%31%32%37.0.0.1/", "looks like an IPv4 address"),
        ("https://ex%61mple.com/", "host is not a valid name"),
        ("https://exa mple.com/", "space"),
        ("https://-example.com/", "host is not a valid name"),
        ("https://example..com/", "host is not a valid name"),
        ("https://256.0.0.1/", "looks like an IPv4 address"),
        ("https://1.2.3.4.5/", "looks like an IPv4 address"),
        ("https://4294967296/", "looks like an IPv4 address"),
        ("https://08.0.0.1/", "looks like an IPv4 address"),
        ("https://1_0.0.0.1/", "looks like an IPv4 address"),
        ("https://example.1/", "looks like an IPv4 address"),
        ("https://exa‥mple.com/", "host is not a valid"),
        ("https://" + "a" * 64 + ".com/", "host is not a valid name"),
        ("https://" + "a." * 130 + "com/", "host is not a valid name"),
        ("https://example.com/" + "a" * 2000, "longer than 2000"),
        ("https://example.com/" + "ä" * 700, "longer than 2000"),
    ],
)
def test_it_refuses_an_unusable_url_and_says_why(url, sentence):
    with pytest.raises(InvalidInput, match=sentence) as invalid:
        check_url(url, field="target")
    assert list(invalid.value.fields) == ["target"]


@pytest.mark.parametrize(
    ("url", "cleaned"),
    [
        ("https://example.com", "https://example.com/"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
        ("HTTPS://Example.COM:443/Path", "https://example.com/Path"),
        ("https://example.com:8443/a%2Fb?sig=%2B%3D&x=a+b", "https://example.com:8443/a%2Fb?sig=%2B%3D&x=a+b"),
        ("https://bücher.example/ä?ö=ü", "https://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC"),
        ("https://faß.de/", "https://xn--fa-hia.de/"),
        ("https://my_host.example.com/", "https://my_host.example.com/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://0x08080808/", "https://8.8.8.8/"),
        ("https://[2606:4700:0:0::1111]:444/", "https://[2606:4700::1111]:444/"),
        ("https://example.com./", "https://example.com./"),
        ("https://example.com/@user:x", "https://example.com/@user:x"),
        ('https://example.com/{"a"}', "https://example.com/%7B%22a%22%7D"),
    ],
)
def test_it_returns_the_url_as_it_will_be_requested(url, cleaned):
    assert check_url(url).url == cleaned


def test_an_inner_host_can_be_allowed_also_without_tls(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    target = check_url("http://127.1:8080/x")
    assert (target.url, target.scheme, target.host, target.port, str(target.address)) == (
        "http://127.0.0.1:8080/x",
        "http",
        "127.0.0.1",
        8080,
        "127.0.0.1",
    )
    assert check_url("http://localhost:9000/").host == "localhost"
    assert check_url("http://inner.example.com/").port == 80  # judged by the address it leads to


def test_a_refusal_is_a_field_error_where_urls_are_saved():
    with pytest.raises(InvalidInput) as invalid:
        clean_url("https://127.0.0.1/", "url")
    assert invalid.value.code == "address_refused"
    assert invalid.value.fields["url"] == [
        "127.0.0.1 is a loopback address, and outbound calls may not reach it. To allow it, add 127.0.0.1/32 to EGRESS_ALLOW_CIDRS."
    ]


@pytest.mark.parametrize("address", ["::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::127.0.0.1"])
def test_an_open_ipv6_opens_no_ipv4_address_in_its_clothing(settings, address) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["::/0"]
    with pytest.raises(AddressRefused):
        check_address(address)
