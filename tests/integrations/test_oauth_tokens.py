"""Tokens: fetched on demand, shared, renewed by one, dropped when refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from core.http.door import Outgoing, SignInFailed
from core.models import Circuit, RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import auth_of, door_for, open_door
from integrations.choices import GrantStatus
from integrations.contract.signin import OAuthApp, OAuthFlow
from integrations.models import Integration, OAuthGrant
from integrations.oauth import grants
from integrations.oauth.apps import app_of, holder_of
from integrations.oauth.protocol import TokenAnswer
from tests.integrations.oauth_provider import SECRET, Provider, oauth_config, providing
from tests.integrations.services_kit import make_integration

pytestmark = pytest.mark.django_db
CLIENT_CREDENTIALS, BY_HAND = "oauth2_client_credentials", "oauth2_authorization_code"


@pytest.fixture(autouse=True)
def _open(settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as found:
        yield found


def make(provider: Provider, who: User | None, flow: str = CLIENT_CREDENTIALS, **config: Any) -> Integration:
    found = make_integration(
        who, f"{provider.url}/api", config=oauth_config(provider.url, flow, **config), credentials={"oauth_client_secret": SECRET}
    )
    return Integration.objects.get(pk=found.pk)


@pytest.fixture
def integration(provider: Provider, alice: User) -> Integration:
    return make(provider, alice)


def connected(integration: Integration, provider: Provider, **values: Any) -> Integration:
    """Return the integration as it is after somebody signed in; `values` change the stored grant."""
    holder = holder_of(integration, app_of(integration))  # type: ignore[arg-type]
    with provider.lock:
        provider.access.add("access-0")
        provider.refresh.add("refresh-0")
    grants.store_connection(holder, TokenAnswer("access-0", "refresh-0", 3600, "read"), "alice")
    OAuthGrant.objects.filter(pk=integration.pk).update(**values)
    return integration


@pytest.fixture
def signed_in(provider: Provider, alice: User) -> Integration:
    return connected(make(provider, alice, BY_HAND), provider)


def run_out(integration: Integration) -> None:
    OAuthGrant.objects.filter(pk=integration.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def ask(integration: Integration) -> Any:
    return door_for(integration, CallPurpose.GATEWAY).request("GET", integration.config["base_url"])


def kinds(provider: Provider) -> list[str]:
    return [form["grant_type"] for form in provider.grants]


# --- client credentials -----------------------------------------------------------------------------------------------


def test_a_token_is_fetched_once_and_used_by_all(integration: Integration, provider: Provider) -> None:
    for _ in range(3):
        assert ask(integration).json() == {"who": "portal"}
    assert kinds(provider) == ["client_credentials"]
    grant = OAuthGrant.objects.get()
    assert (grant.status, grant.access_token, grant.version) == (GrantStatus.CONNECTED, provider.served[0], 1)
    left = (grant.expires_at - timezone.now()).total_seconds()
    assert 3600 - 2 * grants.MARGIN_SECONDS < left <= 3600 - grants.MARGIN_SECONDS


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_the_client_shows_its_secret_as_configured(provider: Provider, alice: User, method: str) -> None:
    assert ask(make(provider, alice, oauth_client_auth=method)).status == 200
    assert ("client_secret" in provider.grants[0]) == (method == "client_secret_post")


def test_scopes_and_audience_are_asked_for(provider: Provider, alice: User) -> None:
    ask(make(provider, alice, oauth_scopes=["read", "write"], oauth_audience="https://api.example.com"))
    assert provider.grants[0] == {"grant_type": "client_credentials", "scope": "read write", "audience": "https://api.example.com"}


def test_a_token_that_has_run_out_is_fetched_anew(integration: Integration, provider: Provider) -> None:
    ask(integration)
    run_out(integration)
    ask(integration)
    assert kinds(provider) == ["client_credentials"] * 2
    assert OAuthGrant.objects.get().version == 2


def test_short_lives_are_used_for_four_fifths(provider: Provider) -> None:
    assert grants.usable_seconds(10) == 8
    assert grants.usable_seconds(3600) == 3600 - grants.MARGIN_SECONDS


def test_a_token_without_an_end_is_used_until_it_is_refused(
    integration: Integration, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.lifetime = None
    ask(integration)
    assert OAuthGrant.objects.get().expires_at is None
    OAuthGrant.objects.update(updated_at=timezone.now() - timedelta(hours=1))
    provider.revoke_everything()
    assert ask(integration).json() == {"who": "portal"}
    assert kinds(provider) == ["client_credentials"] * 2


def test_a_fresh_token_that_is_refused_is_not_fetched_again_and_again(integration: Integration, provider: Provider) -> None:
    ask(integration)
    provider.revoke_everything()
    for _ in range(3):
        with pytest.raises(SignInFailed):
            ask(integration)
    assert len(provider.grants) == 1


def test_a_changed_client_gets_no_token_of_another(integration: Integration, provider: Provider) -> None:
    ask(integration)
    integration.config["oauth_scopes"] = ["write"]
    integration.save()
    ask(integration)
    assert [form["scope"] for form in provider.grants] == ["read", "write"]


def test_a_refused_client_is_told_in_words_and_not_hammered(integration: Integration, provider: Provider) -> None:
    integration.credentials = {"oauth_client_secret": "wrong"}
    integration.save()
    for _ in range(4):
        with pytest.raises(SignInFailed, match="refused the client") as failed:
            ask(integration)
    assert len(provider.grants) == 1
    assert failed.value.retry_after is not None
    assert OAuthGrant.objects.get().status == GrantStatus.REVOKED
    integration.credentials = {"oauth_client_secret": SECRET}
    integration.save()
    assert ask(integration).status == 200, "corrected credentials work at once"
    assert OAuthGrant.objects.get().status == GrantStatus.CONNECTED


def test_after_the_hold_it_is_tried_again(integration: Integration, provider: Provider) -> None:
    provider.refuse = {"status": 400, "error": "invalid_scope", "error_description": "No such scope: read."}
    with pytest.raises(SignInFailed, match=r"invalid_scope: No such scope: read"):
        ask(integration)
    provider.refuse = None
    OAuthGrant.objects.update(hold_until=timezone.now() - timedelta(seconds=1))
    assert ask(integration).status == 200


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 200, "token_type": "Bearer"}, "access_token is missing"),
        ({"status": 200, "access_token": "a b"}, "can't be sent"),
        ({"status": 200, "access_token": "a\r\nX: y"}, "can't be sent"),
        ({"status": 200, "access_token": 5}, "access_token is missing"),
        ({"status": 200, "access_token": "x", "token_type": "DPoP"}, "not Bearer"),
        ({"status": 200, "error": "incorrect_client_credentials"}, "refused the client"),
        ({"status": 400, "error": "unsupported_grant_type"}, "does not offer"),
        ({"status": 418}, "status 418"),
    ],
)
def test_a_strange_answer_is_told_in_words(integration: Integration, provider: Provider, answer: dict[str, Any], said: str) -> None:
    provider.refuse = answer
    with pytest.raises(SignInFailed, match=said):
        ask(integration)
    assert len(provider.served) == 0


def test_a_provider_in_trouble_is_left_alone_for_moments_and_blamed_not_on_the_service(
    integration: Integration, provider: Provider
) -> None:
    provider.refuse = {"status": 503, "error": "temporarily_unavailable"}
    errors = []
    for _ in range(3):
        with pytest.raises(Exception, match=r"127\.0\.0\.1") as failed:
            ask(integration)
        errors.append(failed.value)
    assert len(provider.grants) == 1
    assert not any(error.permanent for error in errors)
    assert not Circuit.objects.exists()


def test_a_trial_leaves_no_mark(integration: Integration, provider: Provider) -> None:
    open_door(integration, CallPurpose.CHECK, trial=True).request("GET", integration.config["base_url"])
    draft = Integration(type="http", name="new", config=integration.config, credentials={"oauth_client_secret": SECRET})
    open_door(draft, CallPurpose.CHECK, trial=True).request("GET", integration.config["base_url"])
    draft.credentials = {"oauth_client_secret": "wrong"}
    with pytest.raises(SignInFailed):
        open_door(draft, CallPurpose.CHECK, trial=True).request("GET", integration.config["base_url"])
    assert not OAuthGrant.objects.exists()


# --- authorization code -----------------------------------------------------------------------------------------------


def test_a_token_is_refreshed_and_the_new_refresh_token_kept(signed_in: Integration, provider: Provider) -> None:
    for number in range(1, 4):
        run_out(signed_in)
        assert ask(signed_in).status == 200
        grant = OAuthGrant.objects.get()
        assert grant.refresh_token in provider.refresh
        assert grant.version == number + 1
    assert kinds(provider) == ["refresh_token"] * 3


def test_a_provider_that_does_not_rotate_keeps_its_refresh_token(signed_in: Integration, provider: Provider) -> None:
    provider.rotates = False
    for _ in range(2):
        run_out(signed_in)
        assert ask(signed_in).status == 200
    assert OAuthGrant.objects.get().refresh_token == "refresh-0"


def test_a_refused_access_token_is_renewed_in_the_same_call(signed_in: Integration, provider: Provider) -> None:
    OAuthGrant.objects.update(updated_at=timezone.now() - timedelta(hours=1))
    provider.access.clear()
    assert ask(signed_in).status == 200
    assert kinds(provider) == ["refresh_token"]
    assert provider.served[0] == "access-0" != provider.served[1]


def test_a_withdrawn_consent_ends_it_until_somebody_connects_again(signed_in: Integration, provider: Provider) -> None:
    provider.revoke_everything()
    run_out(signed_in)
    for _ in range(3):
        with pytest.raises(SignInFailed, match="Connect the integration again") as failed:
            ask(signed_in)
        assert "The consent was withdrawn" in failed.value.message
        assert failed.value.permanent
    assert len(provider.grants) == 1
    grant = OAuthGrant.objects.get()
    assert (grant.status, grant.access_token, grant.refresh_token) == (GrantStatus.REVOKED, None, None)
    assert "withdrawn" in grant.error
    connected(signed_in, provider)
    assert ask(signed_in).status == 200


def test_without_a_refresh_token_it_ends_with_its_token(signed_in: Integration, provider: Provider) -> None:
    OAuthGrant.objects.update(refresh_token=None)
    assert ask(signed_in).status == 200
    run_out(signed_in)
    with pytest.raises(SignInFailed, match="no refresh token"):
        ask(signed_in)
    assert not provider.grants
    assert OAuthGrant.objects.get().status == GrantStatus.REVOKED


def test_what_is_not_connected_says_what_to_do(provider: Provider, alice: User) -> None:
    with pytest.raises(SignInFailed, match="press Connect") as failed:
        ask(make(provider, alice, BY_HAND))
    assert failed.value.code == "not_connected"
    assert not provider.grants


def test_another_client_does_not_get_the_tokens_of_the_first(signed_in: Integration, provider: Provider) -> None:
    signed_in.config["oauth_client_id"] = "another"
    signed_in.save()
    with pytest.raises(SignInFailed, match="since its client was changed"):
        ask(signed_in)
    assert not provider.grants
    assert not provider.served


# --- leases -----------------------------------------------------------------------------------------------------------


def test_the_lease_of_a_killed_one_lapses(signed_in: Integration, provider: Provider) -> None:
    run_out(signed_in)
    OAuthGrant.objects.update(lease_token="0192f0c1-2b3c-7d4e-8f50-61728394a5b6", lease_until=timezone.now() + timedelta(seconds=0.3))
    assert ask(signed_in).status == 200
    assert kinds(provider) == ["refresh_token"]


def test_whoever_waits_too_long_is_told_to_try_again(signed_in: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "WAIT_SECONDS", 0.1)
    run_out(signed_in)
    OAuthGrant.objects.update(lease_token="0192f0c1-2b3c-7d4e-8f50-61728394a5b6", lease_until=timezone.now() + timedelta(minutes=1))
    with pytest.raises(SignInFailed, match="Another process") as failed:
        ask(signed_in)
    assert not failed.value.permanent


def test_a_late_failure_does_not_end_what_somebody_renewed_meanwhile(
    signed_in: Integration, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_out(signed_in)
    original = grants.ask

    def late(holder: Any, request: Any) -> Any:
        connected(signed_in, provider)
        provider.refuse = {"status": 400, "error": "invalid_grant"}
        return original(holder, request)

    monkeypatch.setattr(grants, "ask", late)
    assert ask(signed_in).status == 200
    assert OAuthGrant.objects.get().status == GrantStatus.CONNECTED


def test_an_unforeseen_fault_gives_the_lease_back(signed_in: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    run_out(signed_in)

    def fault(*args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(grants, "ask", fault)
    with pytest.raises(KeyboardInterrupt):
        ask(signed_in)
    assert OAuthGrant.objects.get().lease_token is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("flow", [CLIENT_CREDENTIALS, BY_HAND])
def test_eight_threads_renew_once(provider: Provider, alice: User, flow: str) -> None:
    integration = make(provider, alice, flow)
    if flow == BY_HAND:
        run_out(connected(integration, provider))
    provider.delay = 0.3
    found: list[str] = []

    def run() -> None:
        try:
            request = Outgoing("GET", "https://example.com/")
            auth_of(integration).apply(request)
            found.append(request.headers["Authorization"])
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(provider.grants) == 1
    assert len(found) == 8
    assert len(set(found)) == 1


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_nothing_secret_is_shown_or_logged(signed_in: Integration, provider: Provider) -> None:
    run_out(signed_in)
    ask(signed_in)
    provider.refuse = {
        "status": 400,
        "error": "invalid_request",
        "error_description": f"client_secret={SECRET} {next(iter(provider.refresh))}",
    }
    run_out(signed_in)
    with pytest.raises(SignInFailed) as failed:
        ask(signed_in)
    grant = OAuthGrant.objects.get()
    secret_texts = [SECRET, "refresh-0", "access-0", *provider.access, *provider.refresh]
    rows = list(RequestLog.objects.values())
    assert {row["purpose"] for row in rows} == {"sign_in", "gateway"}
    auth = auth_of(signed_in)
    auth_texts = [repr(auth), repr(app_of(signed_in)), repr(grant), str(grant), failed.value.message, grant.error, auth.fingerprint()]
    everything = json.dumps([rows, auth_texts], default=str)
    assert [text for text in secret_texts if text in everything] == []


def test_an_account_has_a_fingerprint_that_outlives_its_tokens(signed_in: Integration, provider: Provider) -> None:
    before = auth_of(signed_in).fingerprint()
    run_out(signed_in)
    ask(signed_in)
    assert auth_of(signed_in).fingerprint() == before
    connected(signed_in, provider)  # it may be another account
    assert auth_of(signed_in).fingerprint() != before


def test_a_mark_says_nothing_about_the_secret() -> None:
    one = OAuthApp(OAuthFlow.CLIENT_CREDENTIALS, "https://a/", "id", "s3cret")
    assert grants.mark_of(one) != grants.mark_of(OAuthApp(OAuthFlow.CLIENT_CREDENTIALS, "https://a/", "id", "other"))
    assert "s3cret" not in grants.mark_of(one)
