"""Static credentials on requests, and what the sign-in fields say about OAuth2."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.http.door import NoAuth, Outgoing
from integrations.auth import WithHeaders, configured_auth, dressed, static_auth
from integrations.connectors.http.connector import HttpConnector
from integrations.contract.connector import ExtraHeaders
from integrations.contract.schema import validate_values
from integrations.contract.signin import ClientAuth, OAuthApp, OAuthFlow
from integrations.oauth.grants import mark_of

BASE = {"base_url": "https://api.example.com/"}
OAUTH = {"oauth_token_url": "https://login.example.com/token", "oauth_client_id": "me"}


def checked(config: dict[str, Any], credentials: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return validate_values(HttpConnector, BASE | config, credentials)


def refused(config: dict[str, Any], credentials: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        checked(config, credentials)
    return sorted(caught.value.fields)


@pytest.mark.parametrize(
    ("config", "credentials", "headers", "params"),
    [
        ({}, {}, {}, []),
        ({"auth": "basic", "username": "me"}, {"password": "pä:ss"}, {"Authorization": "Basic bWU6cMOkOnNz"}, []),
        ({"auth": "basic", "username": "key"}, {}, {"Authorization": "Basic a2V5Og=="}, []),
        ({"auth": "bearer"}, {"token": "t"}, {"Authorization": "Bearer t"}, []),
        ({"auth": "api_key"}, {"api_key": "k"}, {"X-API-Key": "k"}, []),
        (
            {"auth": "api_key", "api_key_name": "Authorization", "api_key_prefix": "token"},
            {"api_key": "k"},
            {"Authorization": "token k"},
            [],
        ),
        ({"auth": "api_key", "api_key_in": "query", "api_key_name": "q"}, {"api_key": "k"}, {}, [("a", "1"), ("q", "k")]),
    ],
)
def test_credentials_are_put_where_they_belong(config: Any, credentials: Any, headers: Any, params: Any) -> None:
    auth = static_auth(*checked(config, credentials))
    request = Outgoing("GET", "https://x.example/", params=[("a", "1"), ("q", "old")] if params else [])
    auth.apply(request)
    assert (request.headers, request.params) == (headers, params)
    for secret in credentials.values():
        assert secret in auth.secrets()
        assert secret not in repr(auth) or len(secret) == 1
    assert not auth.refused()


def test_a_configured_header_takes_the_place_of_the_same_one() -> None:
    request = Outgoing("GET", "https://x.example/", headers={"accept": "*/*", "x-secret": "old"})
    auth = dressed(static_auth({"auth": "bearer"}, {"token": "t"}), ExtraHeaders({"Accept": "text/plain"}, {"X-Secret": "s3"}))
    auth.apply(request)
    assert request.headers == {"Accept": "text/plain", "X-Secret": "s3", "Authorization": "Bearer t"}
    assert auth.secrets() == ["t", "s3"]
    assert "s3" not in repr(auth)
    assert isinstance(dressed(NoAuth(), ExtraHeaders()), NoAuth)


def test_other_credentials_or_headers_have_another_fingerprint() -> None:
    bearer = static_auth({"auth": "bearer"}, {"token": "t"})
    prints = [
        auth.fingerprint()
        for auth in (
            NoAuth(),
            bearer,
            static_auth({"auth": "bearer"}, {"token": "u"}),
            static_auth({"auth": "basic", "username": "t"}, {}),
            static_auth({"auth": "basic", "username": "u"}, {"password": "p"}),
            static_auth({"auth": "basic", "username": "v"}, {"password": "p"}),
            static_auth({"auth": "api_key", "api_key_name": "A"}, {"api_key": "t"}),
            static_auth({"auth": "api_key", "api_key_name": "B"}, {"api_key": "t"}),
            WithHeaders(bearer, ExtraHeaders({"A": "1"})),
            WithHeaders(bearer, ExtraHeaders({"A": "2"})),
            WithHeaders(bearer, ExtraHeaders({}, {"A": "2"})),
        )
    ]
    assert len(set(prints)) == len(prints) - 1  # whether a header is secret makes no difference to the service
    assert bearer.fingerprint() == static_auth({"auth": "bearer"}, {"token": "t"}).fingerprint()


def test_oauth2_is_described_and_left_to_the_portal() -> None:
    config = OAUTH | {"auth": "oauth2_client_credentials", "oauth_scopes": ["a", "b"], "oauth_audience": "x"}
    values = checked(config, {"oauth_client_secret": "s3cret"})
    app = configured_auth(*values, "https://API.example.com/v1/x")
    assert app == OAuthApp(
        OAuthFlow.CLIENT_CREDENTIALS,
        "https://login.example.com/token",
        "me",
        "s3cret",
        scopes=("a", "b"),
        audience="x",
        place="https://API.example.com",
    )
    assert "s3cret" not in repr(app)
    assert isinstance(static_auth(*values), NoAuth)


def test_a_person_connects_the_authorization_code_flow_also_as_a_public_client() -> None:
    config = OAUTH | {
        "auth": "oauth2_authorization_code",
        "oauth_authorize_url": "https://login.example.com/auth",
        "oauth_client_auth": "client_secret_post",
    }
    app = configured_auth(*checked(config, {}), BASE["base_url"])
    assert isinstance(app, OAuthApp)
    assert (app.flow, app.authorize_url) == (OAuthFlow.AUTHORIZATION_CODE, "https://login.example.com/auth")
    assert (app.client_secret, app.client_auth) == ("", ClientAuth.POST)


def test_what_each_way_needs_is_required() -> None:
    assert refused({"auth": "basic"}, {}) == ["config.username"]
    assert refused({"auth": "bearer"}, {}) == ["credentials.token"]
    assert refused({"auth": "api_key"}, {}) == ["credentials.api_key"]
    assert refused(OAUTH | {"auth": "oauth2_client_credentials"}, {}) == ["credentials.oauth_client_secret"]
    assert refused({"auth": "oauth2_authorization_code"}, {}) == [
        "config.oauth_authorize_url",
        "config.oauth_client_id",
        "config.oauth_token_url",
    ]


@pytest.mark.parametrize(
    ("config", "credentials", "field"),
    [
        ({"auth": "bearer"}, {"token": "a b"}, "credentials.token"),
        ({"auth": "bearer"}, {"token": "ü"}, "credentials.token"),
        ({"auth": "api_key"}, {"api_key": "a\r\nX-Evil: 1"}, "credentials.api_key"),
        ({"auth": "api_key", "api_key_name": "Host"}, {"api_key": "k"}, "config.api_key_name"),
        ({"auth": "api_key", "api_key_name": "a b"}, {"api_key": "k"}, "config.api_key_name"),
        ({"auth": "basic", "username": "a:b"}, {}, "config.username"),
        (OAUTH | {"auth": "oauth2_client_credentials", "oauth_token_url": "http://x.example/"}, {"oauth_client_secret": "s"},
         "config.oauth_token_url"),
    ],
)  # fmt: skip
def test_what_would_break_a_request_is_refused(config: Any, credentials: Any, field: str) -> None:
    assert refused(config, credentials) == [field]


def test_tokens_of_a_public_client_stay_with_the_host_they_were_issued_for() -> None:
    config = OAUTH | {"auth": "oauth2_authorization_code", "oauth_authorize_url": "https://login.example.com/auth"}

    def mark(base_url: str) -> str:
        app = HttpConnector.auth(*validate_values(HttpConnector, config | {"base_url": base_url}, {}))
        assert isinstance(app, OAuthApp)
        return mark_of(app)

    assert mark("https://api.example.com/v1") == mark("https://api.example.com/v2")
    assert mark("https://api.example.com/v1") != mark("https://evil.example.com/v1")
