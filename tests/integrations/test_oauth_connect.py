"""Signing in by hand: the button, the provider, the way back."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from access.models import AuditEntry
from core import housekeeping
from core.models import RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import door_for
from integrations.choices import GrantStatus
from integrations.models import Integration, OAuthGrant, OAuthRequest
from integrations.oauth import connect, grants
from integrations.oauth.apps import app_of, holder_of
from integrations.oauth.protocol import TokenAnswer
from integrations.services.integrations import delete_integration
from tests.integrations.oauth_provider import SECRET, Provider, oauth_config, providing
from tests.integrations.services_kit import make_integration

pytestmark = [pytest.mark.django_db, pytest.mark.once]
BY_HAND = "oauth2_authorization_code"
BACK = "/oauth/callback"


@pytest.fixture(autouse=True)
def _open(settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32", "::1/128"]
    settings.PUBLIC_URL = "https://portal.example.com/"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as found:
        yield found


@pytest.fixture
def integration(provider: Provider, alice: User) -> Integration:
    return make(alice, provider.url)


def make(who: User | Group, url: str, **config: Any) -> Integration:
    row = make_integration(who, f"{url}/api", config=oauth_config(url, BY_HAND, **config), credentials={"oauth_client_secret": SECRET})
    return Integration.objects.get(pk=row.pk)


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def press(client: Client, integration: Integration, button: str = "connect") -> Any:
    return client.post(f"/admin/integrations/integration/{integration.pk}/do/{button}/")


def begin(client: Client, integration: Integration) -> str:
    """Press Connect; return the provider's address that the page leads to."""
    page = press(client, integration)
    assert page.status_code == 200, page
    address = re.search(r'<a class="rg-button rg-primary" href="([^"]+)"', page.content.decode())
    assert address is not None
    return html.unescape(address[1])


def come_back(client: Client, address: str) -> tuple[str, str]:
    """Follow the provider's redirect; return where it leads and what is said there."""
    parts = urlsplit(address)
    answer = client.get(f"{parts.path}?{parts.query}")
    assert answer.status_code == 302
    return answer["Location"], " ".join(str(message) for message in get_messages(answer.wsgi_request))


@pytest.fixture
def client(alice: User, roles: None) -> Client:
    return browser_of(alice)


@pytest.fixture
def roles(alice: User) -> None:
    from access.roles import ensure_roles

    ensure_roles()


def page_of(integration: Integration) -> str:
    return f"/admin/integrations/integration/{integration.pk}/change/"


# --- the good way -----------------------------------------------------------------------------------------------------


def test_a_person_connects_an_integration(client: Client, integration: Integration, provider: Provider) -> None:
    address = begin(client, integration)
    asked = dict(parse_qsl(urlsplit(address).query))
    assert address.startswith(f"{provider.url}/authorize?")
    assert (asked["redirect_uri"], asked["scope"], asked["client_id"]) == ("https://portal.example.com/oauth/callback", "read", "repoguard")
    location, said = come_back(client, provider.sign_in(address))
    assert location == page_of(integration)
    assert "is connected" in said
    grant = OAuthGrant.objects.get()
    assert (grant.status, grant.connected_by, grant.access_token in provider.access) == (GrantStatus.CONNECTED, "alice", True)
    assert door_for(integration, CallPurpose.GATEWAY).request("GET", f"{provider.url}/api").json() == {"who": "portal"}
    entry = AuditEntry.objects.get(action="connect")
    assert (entry.actor, entry.object_id) == ("user alice", str(integration.pk))


def test_the_state_is_stored_hashed_and_the_verifier_encrypted(client: Client, integration: Integration) -> None:
    from django.db import connection

    asked = dict(parse_qsl(urlsplit(begin(client, integration)).query))
    row = OAuthRequest.objects.get()
    assert row.state_hash == connect.hash_of(asked["state"])
    assert len(asked["state"]) >= 40
    with connection.cursor() as cursor:
        cursor.execute("SELECT state_hash, code_verifier FROM integrations_oauthrequest")
        stored = str(cursor.fetchall())
    assert asked["state"] not in stored
    assert row.code_verifier not in stored
    assert row.code_verifier not in str(asked)
    assert (row.expires_at - timezone.now()).total_seconds() <= 600


def test_parameters_that_the_provider_wants_go_along(client: Client, alice: User, provider: Provider) -> None:
    asked = dict(parse_qsl(urlsplit(begin(client, make(alice, provider.url, oauth_audience="https://api.example.com"))).query))
    assert asked["audience"] == "https://api.example.com"


def test_an_integration_that_was_deleted_meanwhile_keeps_no_token(
    client: Client, integration: Integration, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    back, ask = provider.sign_in(begin(client, integration)), connect.ask

    def slow(*given: Any, **more: Any) -> Any:
        answer = ask(*given, **more)
        delete_integration(integration)
        return answer

    monkeypatch.setattr(connect, "ask", slow)
    _location, said = come_back(client, back)
    assert "was deleted while you signed in" in said
    assert not OAuthGrant._base_manager.exists()
    assert not AuditEntry.objects.filter(action="connect").exists()


# --- what was changed meanwhile ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["oauth_client_id", "oauth_authorize_url", "oauth_token_url"])
def test_a_client_that_was_changed_meanwhile_gets_no_token(name: str, client: Client, integration: Integration, provider: Provider) -> None:
    back = provider.sign_in(begin(client, integration))
    other = "another" if name == "oauth_client_id" else f"{provider.url}/other/{name}"
    Integration.objects.filter(pk=integration.pk).update(config={**integration.config, name: other})
    location, said = come_back(client, back)
    assert location == page_of(integration)
    assert "was changed after you pressed Connect" in said
    assert "Press Connect" in said
    assert not provider.grants, "the code goes to nobody"
    assert not OAuthGrant.objects.filter(status=GrantStatus.CONNECTED).exists()
    assert not OAuthRequest.objects.exists()


def test_what_is_not_the_clients_may_change_meanwhile(client: Client, integration: Integration, provider: Provider) -> None:
    back = provider.sign_in(begin(client, integration))
    Integration.objects.filter(pk=integration.pk).update(name="renamed", timeout_seconds=7)
    assert "is connected" in come_back(client, back)[1]


def test_the_mark_of_a_sign_in_is_keyed(client: Client, integration: Integration, settings: Any) -> None:
    begin(client, integration)
    app = app_of(integration)
    assert app is not None
    assert OAuthRequest.objects.get().app_mark == grants.flow_mark_of(app)
    before = grants.flow_mark_of(app)
    settings.SECRET_KEY = "another key of the portal, of a good length"
    assert grants.flow_mark_of(app) != before


def test_a_secret_that_cant_be_decrypted_is_said_on_the_way_back(client: Client, integration: Integration, provider: Provider) -> None:
    from django.db import connection

    back = provider.sign_in(begin(client, integration))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_integration SET credentials = %s", [b"nokey:rubbish"])
    location, said = come_back(client, back)
    assert location == page_of(integration)
    assert "FERNET_KEYS" in said


# --- the wrong ways ---------------------------------------------------------------------------------------------------


def test_a_denied_consent_is_told_in_words(client: Client, integration: Integration, provider: Provider) -> None:
    address = begin(client, integration)
    back = provider.sign_in(address, code="", error="access_denied", error_description="<b>You said no</b>")
    location, said = come_back(client, back)
    assert location == page_of(integration)
    assert "access was denied" in said
    assert "<b>You said no</b>" not in client.get(location).content.decode()
    assert not OAuthGrant.objects.exists()
    assert not provider.grants


def test_a_state_counts_once(client: Client, integration: Integration, provider: Provider) -> None:
    address = begin(client, integration)
    come_back(client, provider.sign_in(address))
    _location, said = come_back(client, provider.sign_in(address))
    assert "used already" in said
    assert len(provider.grants) == 1
    assert OAuthGrant.objects.get().version == 1


@pytest.mark.parametrize("state", ["", "wrong", "%00", "x" * 5000, "\ud83d"])
def test_a_state_of_nobody_is_refused(client: Client, integration: Integration, provider: Provider, state: str) -> None:
    begin(client, integration)
    answer = client.get(f"{BACK}?{urlencode({'code': 'c', 'state': state}, errors='replace')}")
    assert answer.status_code == 302
    assert answer["Location"] == "/admin/integrations/integration/"
    assert not provider.grants


def test_another_user_cannot_end_it(client: Client, bob: User, team: Group, provider: Provider) -> None:
    integration = make(team, provider.url)
    back = provider.sign_in(begin(client, integration))
    _, said = come_back(browser_of(bob), back)
    assert "began in another browser" in said
    assert not provider.grants
    _, said = come_back(client, back)
    assert "is connected" in said, "the one who began it still can"


def test_another_session_of_the_same_user_cannot_end_it(client: Client, alice: User, integration: Integration, provider: Provider) -> None:
    back = provider.sign_in(begin(client, integration))
    _, said = come_back(browser_of(alice), back)
    assert "began in another browser" in said
    assert not OAuthGrant.objects.exists()


def test_it_must_come_back_within_minutes(client: Client, integration: Integration, provider: Provider) -> None:
    back = provider.sign_in(begin(client, integration))
    OAuthRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    location, said = come_back(client, back)
    assert "longer than 10 minutes" in said
    assert location == page_of(integration)
    assert not provider.grants
    assert not OAuthRequest.objects.exists()


def test_whoever_is_not_logged_in_is_sent_to_log_in(client: Client, integration: Integration, provider: Provider) -> None:
    location, _ = come_back(Client(), provider.sign_in(begin(client, integration)))
    assert location == "/admin/login/"
    assert OAuthRequest.objects.count() == 1


def test_a_right_that_has_gone_meanwhile_is_gone(client: Client, integration: Integration, provider: Provider, charlie: User) -> None:
    from tests.factories import owner_of

    back = provider.sign_in(begin(client, integration))
    Integration.objects.update(owner=owner_of(charlie))
    _, said = come_back(client, back)
    assert "may not change" in said
    assert not provider.grants


def test_a_code_that_the_provider_refuses_is_told(client: Client, integration: Integration, provider: Provider) -> None:
    back = provider.sign_in(begin(client, integration), code="forged")
    _, said = come_back(client, back)
    assert "invalid_grant" in said
    assert not OAuthGrant.objects.exists()


def test_a_code_of_another_sign_in_fails_by_its_verifier(client: Client, integration: Integration, provider: Provider) -> None:
    first, second = provider.sign_in(begin(client, integration)), provider.sign_in(begin(client, integration))
    stolen = dict(parse_qsl(urlsplit(first).query))["code"]
    own = dict(parse_qsl(urlsplit(second).query))["state"]
    _, said = come_back(client, f"{BACK}?{urlencode({'code': stolen, 'state': own})}")
    assert "invalid_grant" in said


@pytest.mark.parametrize(
    "extra", ["next=https://evil.example/", "redirect_uri=https://evil.example/", "state=x&state=y", "iss=https://evil.example"]
)
def test_nothing_that_comes_back_decides_where_to(client: Client, integration: Integration, provider: Provider, extra: str) -> None:
    answer = client.get(f"{BACK}?{extra}&code=x")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/integrations/integration/")


def test_the_way_back_takes_get_only(client: Client) -> None:
    assert {method: client.generic(method, BACK).status_code for method in ("POST", "PUT", "HEAD", "DELETE")} == {
        "POST": 405, "PUT": 405, "HEAD": 405, "DELETE": 405
    }  # fmt: skip


def test_a_stranger_and_an_auditor_have_no_button(integration: Integration, charlie: User, auditor: User, roles: None) -> None:
    assert press(browser_of(charlie), integration).status_code in (302, 403)
    assert press(browser_of(auditor), integration).status_code == 403
    assert not OAuthRequest.objects.exists()


def test_other_kinds_of_sign_in_have_no_button(client: Client, alice: User, provider: Provider) -> None:
    integration = make_integration(alice, provider.url)
    assert press(client, integration).status_code == 302
    assert not OAuthRequest.objects.exists()


# --- ending it --------------------------------------------------------------------------------------------------------


def connected(integration: Integration, provider: Provider) -> None:
    provider.access.add("access-0")
    grants.store_connection(holder_of(integration, app_of(integration)), TokenAnswer("access-0", "refresh-0", 3600), "alice")  # type: ignore[arg-type]


def test_disconnecting_forgets_the_tokens(client: Client, integration: Integration, provider: Provider) -> None:
    begin(client, integration)
    connected(integration, provider)
    assert "is renewed by itself" in client.get(page_of(integration)).content.decode()
    assert press(client, integration, "reconnect").status_code == 200
    assert press(client, integration, "connect").status_code == 302, "there is another button then"
    assert press(client, integration, "disconnect").status_code == 302
    grant = OAuthGrant.objects.get()
    assert (grant.status, grant.access_token, grant.refresh_token) == (GrantStatus.NOT_CONNECTED, None, None)
    assert not OAuthRequest.objects.exists(), "a sign-in under way ends as well"
    assert AuditEntry.objects.filter(action="disconnect").exists()


def test_disconnecting_tells_the_provider_where_it_can(
    client: Client, integration: Integration, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    connected(integration, provider)
    monkeypatch.setattr(connect, "app_of", lambda row: replace(app_of(row), revoke_url=f"{provider.url}/revoke"))  # type: ignore[type-var]
    press(client, integration, "disconnect")
    assert provider.revoked == ["refresh-0", "access-0"]


def test_sign_ins_that_nobody_finished_are_removed(client: Client, integration: Integration) -> None:
    begin(client, integration)
    housekeeping.run_now(housekeeping.find("integrations.sign_ins"))
    assert OAuthRequest.objects.count() == 1
    OAuthRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    housekeeping.run_now(housekeeping.find("integrations.sign_ins"))
    assert not OAuthRequest.objects.exists()


# --- a provider that others wrote -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::Warning")
def test_it_works_with_the_oidc_provider_mock(client: Client, alice: User) -> None:
    import requests
    from oidc_provider_mock import run_server_in_thread

    with run_server_in_thread() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        config = oauth_config(url, BY_HAND, oauth_scopes=["openid", "email"])
        config |= {"oauth_authorize_url": f"{url}/oauth2/authorize", "oauth_token_url": f"{url}/oauth2/token"}
        row = make_integration(alice, url, config=config, credentials={"oauth_client_secret": SECRET})
        integration = Integration.objects.get(pk=row.pk)
        denied = requests.post(begin(client, integration), data={"action": "deny"}, allow_redirects=False, timeout=10)
        _, said = come_back(client, denied.headers["Location"])
        if "access was denied" not in said:  # this mock leaves the state out when it denies
            assert "not known here" in said
        agreed = requests.post(begin(client, integration), data={"sub": "alice@example.com"}, allow_redirects=False, timeout=10)
        _, said = come_back(client, agreed.headers["Location"])
        assert "is connected" in said
        door = door_for(integration, CallPurpose.GATEWAY)
        assert door.request("GET", f"{url}/userinfo").json()["email"] == "alice@example.com"
        first = OAuthGrant.objects.get()
        OAuthGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert door.request("GET", f"{url}/userinfo").status == 200
        assert OAuthGrant.objects.get().access_token != first.access_token
        requests.post(f"{url}/users/alice@example.com/revoke-tokens", timeout=10)
        OAuthGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        with pytest.raises(Exception, match="Connect the integration again"):
            door.request("GET", f"{url}/userinfo")
        assert OAuthGrant.objects.get().status == GrantStatus.REVOKED
    assert SECRET not in str(list(RequestLog.objects.values()))
