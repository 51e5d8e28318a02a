"""Sources that only the platform's own addresses may send to, and how the list of these is renewed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core import housekeeping, signing
from core.http import pauses
from integrations.connectors.github.connector import GitHub
from tests.access.keys import client_of
from tests.connectors.github.stub import Stub, served_stub  # noqa: F401 - a fixture
from tests.factories import statements
from webhooks import secrets
from webhooks.inbound import provider_addresses, receive, storing
from webhooks.models import InboundSource, ProviderAddresses, Receipt

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SECRET = "planted-inbound-7c1d22"
GITHUBS, STRANGER, NEW = "192.30.252.44", "203.0.113.9", "198.51.100.7"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    storing.forget_targets()
    monkeypatch.setattr(receive.waker, "notify", lambda: None)


@pytest.fixture
def meta(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Serve GitHub's list; change it to have another one served."""
    said: dict[str, Any] = {
        "status": 200,
        "body": {"verifiable_password_authentication": False, "hooks": ["198.51.100.0/24", "2001:db8::/32"]},
    }
    monkeypatch.setattr(GitHub, "addresses_url", f"{stub.url}/meta")
    stub.before = lambda path: (said["status"], said["body"], {})
    return said


def make_source(**more: Any) -> InboundSource:
    values = {"name": "GitHub", "provider": "github", "secrets": secrets.initial(SECRET), "provider_addresses": True} | more
    return InboundSource.objects.create(**values)


def send(to: InboundSource, address: str, **headers: str) -> int:
    body = b'{"zen": "Keep it logically awesome."}'
    signed = {"X-Hub-Signature-256": signing.hub_signature_256(SECRET, body), "X-GitHub-Event": "star", **headers}
    path = f"/api/v1/webhook/github/{to.pk}"
    return Client(REMOTE_ADDR=address).post(path, body, content_type="application/json", headers=signed).status_code


def renewed() -> int:
    return provider_addresses.refresh_due(housekeeping.Batch()).rows


def test_only_the_platforms_addresses_and_the_allowed_networks_may_send(settings: Any) -> None:
    source = make_source(allowed_cidrs=["10.1.0.0/16"])
    assert [send(source, address) for address in (GITHUBS, "10.1.2.3", STRANGER, "2606:50c0::17")] == [202, 202, 403, 202]
    assert Receipt.objects.get(verdict="refused").remote_address == STRANGER
    settings.TRUSTED_PROXIES = ["10.9.0.0/24"]
    assert send(source, "10.9.0.1", **{"X-Forwarded-For": f"{GITHUBS}, {STRANGER}"}) == 403
    assert send(source, "10.9.0.1", **{"X-Forwarded-For": f"{STRANGER}, {GITHUBS}"}) == 202
    assert send(make_source(provider_addresses=False), STRANGER) == 202


def test_a_usual_request_takes_one_statement_as_before() -> None:
    source = make_source()
    send(source, GITHUBS)
    with CaptureQueriesContext(connection) as queries:
        assert send(source, GITHUBS) == 202
    assert statements(queries) == 1


def test_a_changed_list_counts_for_the_next_request(meta: dict[str, Any]) -> None:
    source = make_source()
    assert (send(source, GITHUBS), send(source, NEW)) == (202, 403)
    assert renewed() == 1
    assert (send(source, GITHUBS), send(source, NEW)) == (403, 202)
    row = ProviderAddresses.objects.get()
    assert (row.networks, row.error) == (["198.51.100.0/24", "2001:db8::/32"], "")
    assert renewed() == 0  # once a day


def test_an_unchanged_list_leaves_the_sources_remembered(meta: dict[str, Any]) -> None:
    source = make_source()
    meta["body"] = {"hooks": list(GitHub.addresses_snapshot.networks)}
    assert renewed() == 1
    before = source.updated_at
    source.refresh_from_db()
    assert source.updated_at == before


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (500, {}, "500"),
        (200, {"hooks": []}, "it has 0 networks"),
        (200, {"hooks": ["0.0.0.0/0"]}, "0.0.0.0/0 is far too wide"),
        (200, {"hooks": ["nowhere"]}, "is not a network"),
        (200, {"hooks": [7]}, "not GitHub's list"),
        (200, ["hooks"], "not GitHub's list"),
    ],
)
def test_a_failed_refresh_keeps_the_last_list_and_is_seen(
    meta: dict[str, Any], status: int, body: Any, sentence: str, browser: Client
) -> None:
    source = make_source()
    renewed()
    ProviderAddresses.objects.update(read_at="2026-01-01T00:00:00Z")
    meta.update(status=status, body=body)
    pauses.forget(provider_addresses._CALLER)
    assert renewed() == 0
    found = provider_addresses.known("github")
    assert (found.networks, sentence in found.error) == (("198.51.100.0/24", "2001:db8::/32"), True)
    assert (send(source, NEW), send(source, GITHUBS)) == (202, 403)
    page = browser.get(f"/admin/webhooks/inboundsource/{source.pk}/change/").content.decode()
    assert "198.51.100.0/24" in page
    assert "The refresh of" in page
    meta.update(status=200, body={"hooks": [f"{GITHUBS}/32"]})
    assert (renewed(), send(source, GITHUBS), provider_addresses.known("github").error) == (1, 202, "")


def test_nobody_is_asked_while_no_source_goes_by_it(meta: dict[str, Any], stub: Stub) -> None:
    make_source(provider_addresses=False)
    assert (renewed(), stub.asked) == (0, [])


def test_a_list_is_taken_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_source()
    file = tmp_path / "meta.json"
    file.write_text(json.dumps({"hooks": [f"{NEW}/32"]}))
    call_command("refresh_meta", "--file", str(file))
    assert f"{NEW}/32" in capsys.readouterr().out
    assert (send(source, NEW), send(source, GITHUBS)) == (202, 403)
    for text, sentence in (("{", "is not JSON"), ('{"hooks": []}', "0 networks. The former one stays. Kept: 1 networks, read")):
        file.write_text(text)
        with pytest.raises(CommandError, match=sentence):
            call_command("refresh_meta", "--file", str(file))
    with pytest.raises(CommandError, match="can't be read"):
        call_command("refresh_meta", "--file", str(tmp_path / "none"))


def test_the_command_asks_the_platform(meta: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("refresh_meta")
    assert capsys.readouterr().out.startswith("2 networks, read ")


def test_a_provider_that_publishes_none_is_told(alice: User) -> None:
    given = {"name": "j", "provider": "generic", "config": {"mode": "token"}, "provider_addresses": True}
    answer = client_of(alice).post("/api/v1/inbound-sources", given, format="json")
    assert (answer.status_code, "publishes no addresses" in answer.json()["fields"]["provider_addresses"][0]) == (400, True)
    made = client_of(alice).post("/api/v1/inbound-sources", given | {"provider": "github", "config": {}}, format="json")
    assert (made.status_code, made.json()["provider_addresses"]) == (201, True)
