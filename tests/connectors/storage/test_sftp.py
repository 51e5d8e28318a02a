"""SFTP against a real server on this machine: the pinned key, both ways to sign in, and files that appear whole."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import paramiko
import pytest

from core.errors import AddressRefused, OutboundError
from core.models import RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import connector_for
from integrations.checking import run_check
from integrations.connectors.storage.connector import Storage
from integrations.contract.schema import validate_values
from integrations.models import Integration
from tests.connectors.contract import DictMemory
from tests.connectors.storage.sftp_server import Server, sftp
from tests.connectors.told import ID, gate

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PASSWORD = "Ju5tAs3cret-0f-m1ne"
KEY = paramiko.ECDSAKey.generate()
NAME = f"in/events/2026/11/20/gate.failed/acme/shop/{ID}.json"


@pytest.fixture
def server(settings: Any, tmp_path: Path) -> Iterator[Server]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with sftp(tmp_path, PASSWORD, KEY) as running:
        yield running


def integration(server: Server, secret: dict[str, str] | None = None, **config: Any) -> Integration:
    values = {
        "place": "sftp",
        "host": "127.0.0.1",
        "port": server.port,
        "username": "me",
        "host_key": server.host_key,
        "sftp_folder": "/in",
    }
    clean, credentials = validate_values(Storage, values | {"sftp_folder": "/in"} | config, secret or {"password": PASSWORD})
    return Integration.objects.create(name="Archive", type="storage", category="storage", config=clean, credentials=credentials)


def test_an_event_is_a_file_whichever_way_one_signs_in(server: Server, tmp_path: Path) -> None:
    written = io.StringIO()
    KEY.write_private_key(written, password="a phrase")
    for secret in ({"password": PASSWORD}, {"private_key": written.getvalue(), "passphrase": "a phrase"}):
        store: Any = connector_for(integration(server, secret), CallPurpose.DESTINATION)
        assert store.send(gate(1), {}, DictMemory()).ok
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [tmp_path / NAME]
    assert files[0].read_bytes() == gate(1).body
    assert run_check(integration(server)).message == "An object was written, read and deleted."
    rows = RequestLog.objects.values_list("method", "url", "outcome", "address")
    assert set(rows) == {("SFTP", f"sftp://127.0.0.1:{server.port}", "success", "127.0.0.1")}


def test_another_host_key_gets_no_password(server: Server, tmp_path: Path) -> None:
    other = paramiko.ECDSAKey.generate()
    store: Any = connector_for(integration(server, host_key=f"{other.get_name()} {other.get_base64()}"), CallPurpose.DESTINATION)
    with pytest.raises(OutboundError, match="shows another host key than the pinned one") as caught:
        store.send(gate(1), {}, DictMemory())
    assert caught.value.permanent
    assert list(tmp_path.rglob("*")) == []


def test_what_is_wrong_is_said(server: Server, tmp_path: Path, settings: Any) -> None:
    refused = run_check(integration(server, {"password": "wrong-passw0rd"}))
    assert "127.0.0.1 refused the sign-in" in refused.message
    (tmp_path / "in").write_text("a file where the folder should be")
    in_the_way = run_check(integration(server))
    assert "127.0.0.1 refused to store the file" in in_the_way.message
    row = integration(server)
    settings.EGRESS_ALLOW_CIDRS = []
    with pytest.raises(AddressRefused):
        connector_for(row, CallPurpose.DESTINATION).send(gate(1), {}, DictMemory())  # type: ignore[attr-defined]
    assert PASSWORD not in str(list(RequestLog.objects.values()))


@pytest.mark.parametrize("seconds_to_read", [0.0, 0.3])
def test_a_file_without_an_end_ends(server: Server, monkeypatch: pytest.MonkeyPatch, seconds_to_read: float) -> None:
    sent: list[int] = []

    def read(handle: Any, offset: int, length: int) -> bytes:
        sleep(seconds_to_read)
        assert len(sent) < 50, "it is read on and on"
        sent.append(length)
        return b"x" * (1 if seconds_to_read else length)

    monkeypatch.setattr(paramiko.SFTPHandle, "read", read)
    store: Any = connector_for(integration(server), CallPurpose.CHECK)
    if seconds_to_read:  # else it must have all the time that a busy machine takes to sign in
        store.door.terms = replace(store.door.terms, timeout=2.0)
    with pytest.raises(OutboundError, match="did not answer within 2 s" if seconds_to_read else "read back as something else"):
        store.check()
    assert sum(sent) <= 1_000_000
