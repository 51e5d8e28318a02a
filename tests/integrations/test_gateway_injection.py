"""Nothing that a caller writes leads elsewhere than below the integration's address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from core.errors import InvalidInput
from core.models import RequestLog
from integrations.gateway import paths
from tests.access.keys import client_of
from tests.core.door_stub import Service, serving
from tests.core.test_guard import REFUSED
from tests.integrations.services_kit import make_endpoint, make_integration

BASE = "https://api.example.com/v1"
CLIMBING = [
    ".", "..", "../admin", "a/../../admin", "%2e%2e", "%2E%2e/admin", "..%2fadmin", "%252e%252e", "%25252e%25252e%25252fadmin", "a/..",
    "..\\admin", "..%5cadmin", "a\\..\\..", "..;/admin", "..;x=y", ".;a/..", "．．", "․․/x", "‥", "%ef%bc%8e%ef%bc%8e", " .. ", "a/ .. /b",
    "%2e", "./x", "x/.", "..%00", "..%0d%0a",
]  # fmt: skip
BREAKING = ["a\r\nHost: evil.example", "a\nb", "a\x00", "\x7f", "\u2028", "\u0085", "\ud800", "a\tb", ""]
# a whole path of the free form
FREE = [
    "https://evil.example/", "//evil.example/x", "http:/evil.example", "issues", "@evil.example", "/@evil.example/../x", ":80/x",
    "/a//b", "/a\\b", "/a?x=1", "/a#b", "/a b", "/ü", "/%", "/%zz", "/%2", "/a%0d%0aX:%20y", "/a%00", "/a%5c..%5cb",
    "/%2f%2fevil", "/a%2f%2fb",
    "/a\r\nX-Evil: 1", "/..", "/../v2", "/a/../../v2", "/%2e%2e/v2", "/.%2e/v2", "/%252e%252e/v2", "/a;/..;/b", "/..;/x", "/./a", "/a/.",
    "\t/a", " /a", "/a\u2028", "/\ud800", "javascript:alert(1)", "file:///etc/passwd", "/x://y", "gopher://127.0.0.1:6379/_",
]  # fmt: skip


@pytest.mark.parametrize("value", [*CLIMBING, *BREAKING])
def test_a_value_of_the_path_that_leads_elsewhere_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        paths.fill("/issues/{id}", {"id": value})
    assert list(refused.value.fields) == ["parameters.id"]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("7", "7"), ("group/project", "group%2Fproject"), ("a b", "a%20b"), ("a?b=c#d", "a%3Fb%3Dc%23d"), ("ü", "%C3%BC"),
        ("100%", "100%25"),
        ("%41", "%2541"), ("v1..v2", "v1..v2"), ("a.b", "a.b"), ("...", "..."), (".git", ".git"), ("user@host", "user%40host"),
        ("https://evil.example/", "https%3A%2F%2Fevil.example%2F"), ("//evil.example", "%2F%2Fevil.example"), ("a;b", "a%3Bb"),
        ("😀", "%F0%9F%98%80"), ("{id}", "%7Bid%7D"),
    ],
)  # fmt: skip
def test_any_other_value_stays_one_segment(value: str, sent: str) -> None:
    path = paths.fill("/issues/{id}/notes", {"id": value})
    assert path == f"/issues/{sent}/notes"
    assert paths.below(BASE, path) == BASE + path


@pytest.mark.parametrize("path", FREE)
def test_a_free_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        paths.check_free(path)
    assert list(refused.value.fields) == ["path"]


@pytest.mark.parametrize("path", ["", "/", "/a", "/a/b.json", "/a%2Fb", "/a%20b", "/a:b@c", "/a;v=1", "/v1..v2", "/a/", "/.well-known/x"])
def test_any_other_free_path_is_taken(path: str) -> None:
    assert paths.check_free(path) == path
    assert paths.below(BASE, path).startswith(BASE)


@pytest.mark.parametrize(
    "template",
    [
        *FREE, "/{}", "/{a b}", "/{a}/{a}", "/{a", "/a}", "/{{a}}", "/{1}", "/a%2Fb", "/{a}?x={b}", "/{a}/..", "/{a}#", "/" + "x" * 1001,
        "{a}", "/{a}://", "/{a\n}",
    ],
)  # fmt: skip
def test_a_template_that_could_lead_elsewhere_is_not_stored(template: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        paths.check_template(template)
    assert list(refused.value.fields) == ["path"]


@pytest.mark.parametrize(
    ("template", "names"), [("", []), ("/", []), ("/a/{id}", ["id"]), ("/{a}-{b}.json", ["a", "b"]), ("/{x_y-z}/", ["x_y-z"])]
)
def test_any_other_template_is(template: str, names: list[str]) -> None:
    assert paths.check_template(template) == names


@pytest.mark.parametrize("path", ["x", ".evil.example/x", "@evil.example/", ":1/x", "/..", "/../v2", "?x=1", "/a/../../.."])
def test_what_got_past_the_first_checks_is_stopped_by_the_last(path: str) -> None:
    with pytest.raises(InvalidInput):
        paths.below(BASE, path)


@settings(max_examples=400, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
@example("..", "..")
@example("%2e%2e%2f", "%5c..")
def test_whatever_is_written_stays_below_the_address(one: str, other: str) -> None:
    try:
        found = paths.below(BASE, paths.fill("/a/{one}/b/{other}", {"one": one, "other": other}))
    except InvalidInput:
        return
    parts = urlsplit(found)
    segments = parts.path.split("/")
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "api.example.com", "", "")
    assert (len(segments), segments[1:3], segments[4]) == (6, ["v1", "a"], "b")
    assert [unquote(segments[3]), unquote(segments[5])] == [one, other]
    assert not {".", ".."} & set(unquote(unquote(parts.path)).replace("\\", "/").split("/"))


@settings(max_examples=400, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.text(alphabet="/.%2eEfF5cC;\\?#@:a0d\r\n ", max_size=25))
def test_whatever_path_is_taken_stays_below_the_address(path: str) -> None:
    try:
        found = paths.below(BASE, paths.check_free("/" + path))
    except InvalidInput:
        return
    parts = urlsplit(found)
    assert (parts.netloc, parts.query) == ("api.example.com", "")
    assert parts.path.startswith("/v1/")
    text = parts.path
    for _ in range(4):
        text = unquote(text)
        assert not {".", ".."} & set(text.replace("\\", "/").split("/"))


# --- through the API: nothing leaves -----------------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as found:
        yield found


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice, unlimited=True)


@pytest.fixture
def endpoint(alice: User, service: Service, settings: Any) -> Any:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    return make_endpoint(make_integration(alice, f"{service.url}/api"))


def post(client: APIClient, path: str, body: Any) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json")


@pytest.mark.django_db
def test_nothing_leaves_for_any_of_these(client: APIClient, endpoint: Any, service: Service) -> None:
    named, free = (f"/api/v1/integrations/{endpoint.integration_id}/{end}" for end in ("endpoints/get-issue", "call"))
    for value in [*CLIMBING, *BREAKING, None, [], {}, True, ["a"], 1e400]:
        answer = post(client, named, {"parameters": {"id": value}})
        assert answer.status_code == 400, (value, answer.content)
        assert set(answer.json()) == {"code", "message", "fields", "request_id"}
    for path in FREE:
        assert post(client, free, {"path": path}).status_code == 400, path
    for address in list(REFUSED)[:20]:
        for path in (f"http://{address}/", f"//{address}/", f"@{address}/", f"\\\\{address}\\"):
            assert post(client, free, {"path": path}).status_code == 400, path
    for body in (
        {"path": "/a", "method": "CONNECT"}, {"path": "/a", "method": "GET\r\nX: y"}, {"path": "/a", "url": "http://evil.example/"},
        {"path": "/a", "query": {"a": "b\r\nX: y"}}, {"path": "/a", "query": {"a\nb": "c"}}, {"path": "/a", "query": {"": "c"}},
        {"path": "/a", "query": {"a": {"b": "c"}}}, {"path": "/a", "query": {"a": [["b"]]}}, {"path": "/a", "query": "a=b"},
        {"path": "/a", "query": {"a": "\ud800"}}, {"path": "/a", "body": {"x": 1}}, {"path": ["/a"]}, {"path": None}, {},
        *({"path": "/a", "headers": {name: "x"}} for name in (
            "Authorization", "authorization", "Host", "Cookie", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Content-Length",
            "Transfer-Encoding", "Connection", "Proxy-Authorization", "X-Api-Key", "X-HTTP-Method-Override", "Accept\r\nX", "",
            "X-Original-URL",
        )),
        {"path": "/a", "headers": {"Accept": "a\r\nAuthorization: x"}}, {"path": "/a", "headers": {"Accept": 5}},
        {"path": "/a", "headers": []},
    ):  # fmt: skip
        answer = post(client, free, body)
        assert answer.status_code == 400, (body, answer.content)
    assert service.requests == []
    assert service.connections == 0
    assert not RequestLog.objects.exists()


@pytest.mark.django_db
def test_parameters_that_nobody_declared_are_refused(client: APIClient, endpoint: Any, service: Service) -> None:
    named = f"/api/v1/integrations/{endpoint.integration_id}/endpoints/get-issue"
    endpoint.fixed_query = {"per_page": 5}
    endpoint.save()
    for parameters in (
        {"id": "1", "per_page": 1000}, {"id": "1", "admin": "1"}, {"id": "1", "state&admin": "1"}, {"id": "1", "": "x"},
        {"id": "1", "ID": "2"}, {},
    ):  # fmt: skip
        assert post(client, named, {"parameters": parameters}).status_code == 400, parameters
    assert post(client, named, {"parameters": {"id": "1"}, "body": {}}).status_code == 400
    assert post(client, named, {"parameters": {"id": "1"}, "method": "DELETE"}).status_code == 400
    assert service.requests == []
    answer = post(client, named, {"parameters": {"id": "1", "state": "open&admin=1#x"}})
    assert answer.status_code == 200
    assert service.requests[0].startswith(b"GET /api/issues/1?per_page=5&state=open%26admin%3D1%23x HTTP/1.1\r\n")


@pytest.mark.django_db
def test_a_key_in_the_query_is_not_joined_by_anothers(alice: User, client: APIClient, service: Service, settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    config = {"auth": "api_key", "api_key_in": "query", "api_key_name": "key"}
    integration = make_integration(alice, service.url, config=config, credentials={"api_key": "portal-key-123"})
    answer = post(client, f"/api/v1/integrations/{integration.pk}/call", {"path": "/a", "query": {"key": "mine", "b": "1"}})
    assert answer.status_code == 200
    assert service.requests[0].startswith(b"GET /a?b=1&key=portal-key-123 HTTP/1.1\r\n")
    assert "portal-key-123" not in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("address", sorted(REFUSED))
def test_an_inner_address_is_refused_also_where_it_is_stored(alice: User, client: APIClient, settings: Any, address: str) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    host = f"[{address}]" if ":" in address else address
    integration = make_integration(alice, f"https://{host}/api")
    make_endpoint(integration)
    for end, body in (("endpoints/get-issue", {"parameters": {"id": "1"}}), ("call", {"path": "/a"})):
        answer = post(client, f"/api/v1/integrations/{integration.pk}/{end}", body)
        assert (answer.status_code, answer.json()["code"]) == (502, "address_refused"), answer.content
