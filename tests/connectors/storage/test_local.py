"""A folder on this machine: only below the operator's root, whole files only, and no way out by a link."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from core.errors import OutboundError
from integrations.connectors.storage.connector import Storage
from integrations.contract.connector import Context
from integrations.contract.schema import validate_values
from tests.connectors.contract import DictMemory
from tests.connectors.door import FakeDoor
from tests.connectors.told import ID, gate

pytestmark = pytest.mark.once
NAME = f"events/2026/11/20/gate.failed/acme/shop/{ID}.json"


def made(folder: str = "archive") -> Storage:
    config, credentials = validate_values(Storage, {"place": "local", "folder": folder}, {})
    return Storage(Context(uuid.UUID(int=1), "Mine", config, credentials, FakeDoor()))


def test_without_a_root_nothing_is_written(settings: Any) -> None:
    assert settings.STORAGE_LOCAL_ROOT == ""
    with pytest.raises(OutboundError, match="Set STORAGE_LOCAL_ROOT") as caught:
        made().check()
    assert caught.value.permanent


def test_an_event_is_a_file(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_LOCAL_ROOT = str(tmp_path)
    assert made().check().message == "An object was written, read and deleted."
    for _ in range(2):
        assert made().send(gate(1), {}, DictMemory()).ok
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [tmp_path / "archive" / NAME]
    assert files[0].read_bytes() == gate(1).body
    assert files[0].stat().st_mode & 0o777 == 0o640


def test_a_preview_names_the_object_and_writes_none(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_LOCAL_ROOT = str(tmp_path)
    (shown,) = made().rehearse(gate(1), {})
    assert (shown.method, shown.url, shown.body) == ("PUT", f"local://archive/{NAME}", gate(1).body)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STORAGE_LOCAL_ROOT = str(tmp_path)
    made().send(gate(1), {}, DictMemory())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutboundError, match="No space left on device"):
        made().send(gate(2), {}, DictMemory())
    assert (tmp_path / "archive" / NAME).read_bytes() == gate(1).body
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize("place", ["archive", "archive/events/2026"])
def test_no_link_leads_out_of_the_root(settings: Any, tmp_path: Path, place: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    (root / place).parent.mkdir(parents=True)
    (root / place).symlink_to(outside)
    settings.STORAGE_LOCAL_ROOT = str(root)
    with pytest.raises(OutboundError, match="A link leads out of STORAGE_LOCAL_ROOT"):
        made().send(gate(1), {}, DictMemory())
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("folder", ["../etc", "/etc", "a/../b", ".", "a//b", "~root"])
def test_a_folder_that_climbs_is_refused(folder: str) -> None:
    from core.errors import InvalidInput

    with pytest.raises(InvalidInput):
        made(folder)
