"""Where calls go to, and with what."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from core.errors import InvalidInput
from core.http.door import BadAnswer
from integrations.connectors.snyk.connector import Snyk
from integrations.connectors.snyk.fields import place
from integrations.contract.connector import Context
from integrations.contract.schema import validate_values
from integrations.contract.signin import ClientAuth, OAuthApp
from tests.connectors.door import Answer, FakeDoor, answer

pytestmark = pytest.mark.once
API = "https://api.snyk.io/rest"


def made(*answers: Answer | Exception, **config: Any) -> Snyk:
    config, credentials = validate_values(Snyk, {"org": "acme"} | config, {"token": "a-token"})
    door = FakeDoor(*answers, auth=Snyk.auth(config, credentials))  # type: ignore[arg-type]
    return Snyk(Context(uuid.UUID(int=1), "Mine", config, credentials, door))


def calls(snyk: Snyk) -> list[Any]:
    return snyk.door.calls  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("config", "rest", "app"),
    [
        ({}, API, "https://app.snyk.io"),
        ({"region": "us-02"}, "https://api.us.snyk.io/rest", "https://app.us.snyk.io"),
        ({"region": "eu-01"}, "https://api.eu.snyk.io/rest", "https://app.eu.snyk.io"),
        ({"region": "au-01"}, "https://api.au.snyk.io/rest", "https://app.au.snyk.io"),
        ({"region": "own", "base_url": "https://api.acme.snyk.io/rest/"}, "https://api.acme.snyk.io/rest", "https://app.acme.snyk.io"),
        ({"region": "own", "base_url": "https://proxy.acme.example/snyk"}, "https://proxy.acme.example/snyk/rest", ""),
    ],
)
def test_each_region_has_its_addresses(config: dict[str, Any], rest: str, app: str) -> None:
    snyk = made(answer({"data": [], "links": {}}), auth="bearer", api_version="2025-01-01~beta", **config)
    snyk.client().page("/orgs", {}, what="x")
    assert calls(snyk)[0].url == f"{rest}/orgs?version=2025-01-01~beta&limit=100"
    assert calls(snyk)[0].headers["Authorization"] == "bearer a-token"
    assert place(snyk.config).app == app


@pytest.mark.parametrize(
    ("config", "field", "sentence"),
    [
        ({"region": "own", "base_url": "https://app.snyk.io"}, "config.base_url", "has api. in place of app."),
        ({"region": "own", "base_url": "https://api.snyk.io/?x=1"}, "config.base_url", "plain address"),
        ({"base_url": "https://api.snyk.io"}, "config.base_url", "only used if region is own"),
        ({"targets": {"shop": "Web"}}, "config.targets", "no owner/name"),
        ({"api_version": "newest"}, "config.api_version", "form"),
        ({"org": "acme/../x"}, "config.org", "form"),
    ],
)
def test_what_cannot_work_is_refused(config: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        made(**config)
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize("there", ["https://evil.example/rest/x", "http://api.snyk.io/rest/x", "//evil.example/x", "https://[x/"])
def test_a_link_to_another_place_is_not_followed_and_the_token_stays(there: str) -> None:
    snyk = made(answer({"data": [1], "links": {"next": there}}), answer({"data": [], "links": {}}))
    following = snyk.client().page("/orgs", {}, what="x").next
    with pytest.raises(BadAnswer, match="another host") as caught:
        snyk.client().page("/orgs", {}, following, what="x")
    assert caught.value.permanent
    assert len(calls(snyk)) == 1


def test_a_link_without_the_version_gets_it() -> None:
    snyk = made(answer({"data": [], "links": {}}))
    snyk.client().page("/orgs", {}, f"{API}/orgs?starting_after=v1.x&limit=100", what="x")
    assert calls(snyk)[0].url == f"{API}/orgs?starting_after=v1.x&limit=100&version=2024-10-15"


def test_a_service_account_signs_in_at_its_own_region() -> None:
    values = {"org": "acme", "auth": "oauth", "client_id": "portal", "region": "eu-01"}
    config, credentials = validate_values(Snyk, values, {"client_secret": "a-secret"})
    app = Snyk.auth(config, credentials)
    assert isinstance(app, OAuthApp)
    assert (app.token_url, app.place, app.client_auth) == ("https://api.eu.snyk.io/oauth2/token", "https://api.eu.snyk.io", ClientAuth.POST)
