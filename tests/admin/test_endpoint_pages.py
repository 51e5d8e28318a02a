from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from access.roles import ensure_roles
from core.models import RequestLog
from integrations.gateway.schemas import check_value
from integrations.models import Endpoint
from tests.core.door_stub import Service, http, serving
from tests.integrations.services_kit import PARAMETERS, TOKEN, make_endpoint, make_integration

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ADD = "/admin/integrations/endpoint/add/"


@pytest.fixture(autouse=True)
def _roles(alice: User, settings: Any) -> None:
    ensure_roles()
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as found:
        found.says(http(200, b'{"title": "<b>Checkout</b>"}', content_type="application/json"))
        yield found


@pytest.fixture
def page(alice: User, log_in: Callable[[User], Client]) -> Client:
    return log_in(alice)


def filled(integration: Any, **more: Any) -> dict[str, Any]:
    values = {
        "integration": str(integration.pk),
        "name": "get-status",
        "method": "GET",
        "path": "/status",
        "cache_seconds": "0",
        "enabled": "on",
    }
    return values | more


def test_an_endpoint_is_made_and_changed_in_words(page: Client, alice: User, service: Service) -> None:
    integration = make_integration(alice, service.url)
    schema = '{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}'
    assert page.post(ADD, filled(integration, path="/issues/{id}", parameters=schema, fixed_query='{"n": 5}')).status_code == 302
    endpoint = Endpoint.objects.get()
    assert (endpoint.integration_id, endpoint.parameters["required"], endpoint.fixed_query) == (integration.pk, ["id"], {"n": 5})
    url = reverse("admin:integrations_endpoint_change", args=[endpoint.pk])
    content = page.get(url).content.decode()
    assert f"/api/v1/integrations/{integration.pk}/endpoints/get-status" in content
    assert TOKEN not in content
    changed = filled(integration, name="get-all", description="All", scope="findings:read")
    del changed["enabled"]
    assert page.post(url, changed).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.name, endpoint.parameters, endpoint.scope, endpoint.enabled) == ("get-all", {}, "findings:read", False)


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"path": "https://evil.example"}, "path", "ust start with /"),
        ({"path": "/{id}"}, "parameters", "not among the properties"),
        ({"parameters": "{"}, "parameters", "Not JSON"),
        ({"parameters": "[]"}, "parameters", "JSON object"),
        ({"name": "Get Status"}, "name", "lower case"),
        ({"cache_seconds": "5", "method": "POST"}, "cache_seconds", "for GET only"),
        ({"body_schema": "{}"}, "body_schema", "not for GET"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    page: Client, alice: User, service: Service, change: dict[str, Any], field: str, said: str
) -> None:
    answer = page.post(ADD, filled(make_integration(alice, service.url), **change))
    assert answer.status_code == 200
    assert said in " ".join(answer.context["adminform"].form.errors[field])
    assert not Endpoint.objects.exists()


def test_a_name_that_is_taken_stands_beside_it(page: Client, alice: User, service: Service) -> None:
    integration = make_integration(alice, service.url)
    make_endpoint(integration, name="get-status")
    answer = page.post(ADD, filled(integration))
    assert "is taken" in " ".join(answer.context["adminform"].form.errors["name"]).lower()


def test_anothers_integration_can_not_be_chosen(page: Client, charlie: User, service: Service) -> None:
    theirs = make_integration(charlie, service.url, name="theirs-only")
    assert "theirs-only" not in page.get(ADD).content.decode()
    assert page.post(ADD, filled(theirs)).status_code == 200
    assert not Endpoint.objects.exists()
    endpoint = make_endpoint(theirs)
    assert page.post(reverse("admin:integrations_endpoint_do", args=[endpoint.pk, "try"]), {"parameters": '{"id": "1"}'}).status_code in (
        302,
        403,
    )
    assert not service.requests


def test_it_is_tried_and_shows_the_answer(page: Client, alice: User, service: Service) -> None:
    endpoint = make_endpoint(make_integration(alice, service.url), parameters=PARAMETERS)
    url = reverse("admin:integrations_endpoint_do", args=[endpoint.pk, "try"])
    content = page.post(url, {"parameters": '{"id": "7"}'}).content.decode()
    assert "&lt;b&gt;Checkout" in content
    assert service.requests[0].startswith(b"GET /issues/7 ")
    assert RequestLog.objects.get().actor == "user alice"
    for wrong in ("", "{", "[]", '{"id": ".."}'):
        answer = page.post(url, {"parameters": wrong}, follow=True)
        assert answer.status_code == 200
        assert "arameters" in answer.content.decode()
    service.says(http(500, TOKEN.encode()))
    assert TOKEN not in page.post(url, {"parameters": '{"id": "7"}'}).content.decode()


def test_what_was_typed_is_kept_and_the_sentence_is_said_once(page: Client, alice: User, service: Service) -> None:
    endpoint = make_endpoint(make_integration(alice, service.url), parameters=PARAMETERS)
    url = reverse("admin:integrations_endpoint_do", args=[endpoint.pk, "try"])
    for typed, said in (('{"id": "kept"', "Not JSON"), ('{"other": "kept"}', "is no parameter of get-issue")):
        content = page.post(url, {"parameters": typed}).content.decode()
        assert f'value="{escape(typed)}"' in content
        assert f'action="{url}"' in content
        assert content.count(said) == 1


def test_the_example_is_taken_as_printed(page: Client, alice: User, service: Service) -> None:
    schema = {
        "type": "object",
        "required": ["title", "kind", "count", "labels", "author"],
        "properties": {
            "title": {"type": "string", "minLength": 3},
            "kind": {"enum": ["it's a bug", "task"]},
            "count": {"type": "integer", "minimum": 5},
            "labels": {"type": "array", "minItems": 1, "items": {"type": "string", "default": "new"}},
            "author": {"type": "object", "required": ["email"], "properties": {"email": {"type": "string", "format": "email"}}},
            "note": {"type": "string"},
        },
    }
    endpoint = make_endpoint(make_integration(alice, service.url), method="POST", parameters=PARAMETERS, body_schema=schema)
    content = page.get(reverse("admin:integrations_endpoint_change", args=[endpoint.pk])).content.decode()
    printed = unescape(content.partition('id="rg-curl">')[2].partition("</pre>")[0]).replace("\\\n", " ")
    words = shlex.split(printed)
    sent = json.loads(words[words.index("-d") + 1])
    assert sent["body"] == {
        "title": "………", "kind": "it's a bug", "count": 5, "labels": ["new"], "author": {"email": "somebody@example.com"},
    }  # fmt: skip
    check_value(schema, sent["body"], "body")


def test_one_that_is_switched_off_has_no_button(page: Client, alice: User, service: Service) -> None:
    endpoint = make_endpoint(make_integration(alice, service.url), enabled=False)
    assert "do/try" not in page.get(reverse("admin:integrations_endpoint_change", args=[endpoint.pk])).content.decode()


def test_an_auditor_looks_and_does_not_call(auditor: User, alice: User, service: Service, log_in: Callable[[User], Client]) -> None:
    endpoint = make_endpoint(make_integration(alice, service.url))
    page = log_in(auditor)
    content = page.get(reverse("admin:integrations_endpoint_change", args=[endpoint.pk])).content.decode()
    assert "/issues/{id}" in content
    assert "do/try" not in content
    assert page.post(reverse("admin:integrations_endpoint_do", args=[endpoint.pk, "try"]), {"parameters": '{"id": "1"}'}).status_code == 403
    assert not service.requests
