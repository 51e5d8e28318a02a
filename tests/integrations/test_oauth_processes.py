"""Real processes that find the same token run out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from integrations.models import Integration, OAuthGrant
from integrations.oauth import grants
from integrations.oauth.apps import app_of, holder_of
from integrations.oauth.protocol import TokenAnswer
from tests.core.portal import wait_for
from tests.core.processes import line_of, python, say
from tests.integrations.oauth_provider import SECRET, Provider, oauth_config, providing
from tests.integrations.services_kit import make_integration

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
CALL = """
import sys
from django.conf import settings
settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
from core.http.door import Outgoing
from integrations.calls import auth_of
from integrations.models import Integration
integration = Integration.objects.get(pk="{pk}")
auth = auth_of(integration)
print("ready", flush=True)
for line in sys.stdin:
    request = Outgoing("GET", "https://example.com/")
    auth.apply(request)
    print(request.headers["Authorization"], flush=True)
"""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as found:
        yield found


@pytest.fixture
def integration(provider: Provider, alice: User) -> Integration:
    config = oauth_config(provider.url, "oauth2_authorization_code")
    row = make_integration(alice, f"{provider.url}/api", config=config, credentials={"oauth_client_secret": SECRET})
    provider.refresh.add("refresh-0")
    grants.store_connection(holder_of(row, app_of(row)), TokenAnswer("access-0", "refresh-0", 3600, "read"), "alice")  # type: ignore[arg-type]
    return row


def run_out() -> None:
    OAuthGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def test_of_eight_processes_exactly_one_refreshes(integration: Integration, provider: Provider) -> None:
    provider.delay = 0.5
    with ExitStack() as stack:
        processes = [stack.enter_context(python(CALL.format(pk=integration.pk))) for _ in range(8)]
        assert [line_of(process) for process in processes] == ["ready"] * 8
        for turn in (1, 2):
            run_out()
            for process in processes:
                say(process, "go")
            tokens = {line_of(process) for process in processes}
            assert len(tokens) == 1
            assert tokens.pop().removeprefix("Bearer ") in provider.access
            assert len(provider.grants) == turn
    assert OAuthGrant.objects.get().version == 3


def test_a_refresher_that_is_killed_is_followed_by_another(
    integration: Integration, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_out()
    provider.delay = 30.0
    with python(CALL.format(pk=integration.pk)) as victim:
        assert line_of(victim) == "ready"
        say(victim, "go")
        wait_for(lambda: OAuthGrant.objects.get().lease_token is not None, "the lease")
        victim.kill()
        victim.wait(10)
    grant = OAuthGrant.objects.get()
    assert grant.lease_token is not None, "it was killed while it held the lease"
    provider.delay = 0.0
    OAuthGrant.objects.update(lease_until=timezone.now() + timedelta(seconds=0.5))  # instead of waiting for its half minute
    with python(CALL.format(pk=integration.pk)) as heir:
        assert line_of(heir) == "ready"
        say(heir, "go")
        assert line_of(heir).removeprefix("Bearer ") in provider.access
    assert OAuthGrant.objects.get().version == 2
