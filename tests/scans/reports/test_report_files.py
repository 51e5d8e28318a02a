"""Reports that go with events into a storage."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integrations.connectors.storage import connector as storage
from integrations.contract.connector import Context
from integrations.contract.schema import validate_options, validate_values
from integrations.models import Repository
from scans.models import Scan
from tests.connectors.contract import DictMemory
from tests.connectors.door import FakeDoor
from tests.connectors.told import example
from tests.scans.kit import code, ingest
from tests.scans.test_uploads import shop as shop

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def kept(settings: Any, tmp_path: Path) -> storage.Storage:
    settings.STORAGE_LOCAL_ROOT = str(tmp_path)
    config, credentials = validate_values(storage.Storage, {"place": "local", "folder": "archive"}, {})
    return storage.Storage(Context(uuid.UUID(int=1), "Mine", config, credentials, FakeDoor()))


def send(kept: storage.Storage, type: str, scan_id: str, format: str = "sarif") -> dict[str, Any]:
    options = validate_options(storage.Storage, {"key": "{id}.json", "report": format}, config=kept.config)
    return dict(kept.send(example(type, scan_id=scan_id), options, DictMemory()).details)


def test_a_gates_report_stands_beside_it(kept: storage.Storage, shop: Repository, tmp_path: Path) -> None:
    ingest(shop, "semgrep", [code("xss", path="a.py")])
    scan = Scan.objects.get()
    for type in ("gate.failed", "scan.completed"):
        details = send(kept, type, str(scan.id))
        assert details["report"] == details["object"].replace(".json", ".report.sarif")
        found = json.loads((tmp_path / "archive" / details["report"]).read_bytes())
        assert [result["ruleId"] for run in found["runs"] for result in run["results"]] == ["xss"]


def test_no_report_of_what_the_event_does_not_speak_of(
    kept: storage.Storage, shop: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(shop, "semgrep", [code("xss", path="a.py")])
    scan_id = str(Scan.objects.get().id)
    # the example that test events are made of names a repository that somebody may have
    assert "report" not in send(kept, "gate.failed", "0192f0c1-2b3c-7d4e-8f50-61728394a5b6")
    assert "report" not in send(kept, "scan.started", scan_id)
    assert "report" not in send(kept, "gate.failed", scan_id, "none")
    options = validate_options(storage.Storage, {"key": "{id}.json", "report": "json"}, config=kept.config)
    for about in ("", "github:acme/other"):  # somebody else's event, which names this scan
        forged = replace(example("gate.failed", scan_id=scan_id), about=about)
        assert "report" not in kept.send(forged, options, DictMemory()).details
    monkeypatch.setattr(storage, "MOST_REPORT_BYTES", 10)
    assert send(kept, "gate.failed", scan_id)["report_left_out"] == "The report is larger than 10 bytes."
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
