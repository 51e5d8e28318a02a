"""From a lock file to findings: what OSV says of it, beside what OSV-Scanner reports of the same repository."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import pytest

from core.http.client import Door
from core.http.door import Terms
from integrations.connectors.osv import walk
from integrations.connectors.osv.connector import Osv
from integrations.contract.connector import Context
from integrations.contract.reports import RepositoryRef
from integrations.contract.scans import ScanQuery
from integrations.models import Repository
from scans.formats.osv_scanner import OsvScanner
from scans.formats.source import Source
from scans.ingest.reading import read_report
from scans.ingest.writing import write_report
from scans.inventories.keeping import FileAbout, keep
from scans.inventories.selectors import packages_of
from scans.models import Finding, Scan
from tests.connectors.osv.stub import Stub, record, served_stub  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
GHSA = record("GHSA-aaaa-bbbb-cccc", aliases=["CVE-2031-1"], database_specific={"severity": "HIGH"})
PYSEC = record("PYSEC-2031-1", aliases=["CVE-2031-1", "GHSA-aaaa-bbbb-cccc"])


def write(repository: Repository, items: Any) -> None:
    report = read_report(items, repository.id)
    try:
        write_report(Scan.objects.create(repository=repository, ref="main"), report, lambda written: None)
    finally:
        report.spool.close()


def pulled(stub: Stub, repository: Repository) -> Any:
    door = Door(Terms(uuid.UUID(int=7), "OSV", attempts=1))
    source = Osv(Context(uuid.UUID(int=7), "OSV", {"base_url": stub.url}, {}, door))
    query = ScanQuery(RepositoryRef("github", "acme/shop"), "main", packages=packages_of(repository, "main"))
    return [item for page in source.scan_pages(query) for item in page.items]


def scanned(*records: dict[str, Any]) -> Any:
    package = {"package": {"name": "left", "version": "1.0.0", "ecosystem": "npm"}, "vulnerabilities": records}
    data = json.dumps({"results": [{"source": {"path": "package-lock.json", "type": "lockfile"}, "packages": [package]}]}).encode()
    return OsvScanner().read(Source(io.BytesIO(data), len(data)))


def upload(repository: Repository, version: str) -> None:
    keep(FileAbout(repository), [json.dumps({"lockfileVersion": 3, "packages": {"node_modules/left": {"version": version}}}).encode()])


def shown() -> list[tuple[str, str, str, list[str]]]:
    return [(one.version, one.state, one.severity, one.sources) for one in Finding.objects.order_by("version")]


def test_one_flaw_is_one_finding_of_two_sources_which_close_what_is_theirs(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Repository.objects.create(provider="github", full_name="acme/shop")
    stub.has("left", "1.0.0", PYSEC, GHSA)
    upload(shop, "1.0.0")
    write(shop, pulled(stub, shop))
    assert shown() == [("1.0.0", "open", "high", ["osv"])]
    with monkeypatch.context() as patched:  # read in parts its names meet all the same
        patched.setattr(walk, "_MOST_TOGETHER", 1)
        write(shop, pulled(stub, shop))
    assert shown() == [("1.0.0", "open", "high", ["osv"])]
    write(shop, scanned(PYSEC, GHSA))
    assert shown() == [("1.0.0", "open", "high", ["osv", "osv-scanner"])]
    finding = Finding.objects.get()
    assert (finding.fixed_version, finding.path, finding.purl) == ("2.0.0", "package-lock.json", "pkg:npm/left@1.0.0")
    stub.records = {
        name: one | {"withdrawn": "2031-02-01T00:00:00Z", "modified": "2031-02-01T00:00:00Z"} for name, one in stub.records.items()
    }
    write(shop, pulled(stub, shop))
    assert shown() == [("1.0.0", "open", "high", ["osv-scanner"])]
    upload(shop, "2.0.0")
    write(shop, pulled(stub, shop))
    write(shop, scanned())
    assert Finding.objects.get().state == "fixed"
