"""What goes with a repository."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from integrations.models import Repository
from scans.models import Finding, FindingIdentifier, GateResult, Presence, Scan, Stream
from tests.access.keys import client_of
from tests.scans.kit import code, ingest, vulnerable
from tests.scans.test_uploads import run, sarif, upload
from tests.scans.test_uploads import shop as shop

pytestmark = pytest.mark.django_db


def test_a_repository_is_deleted_with_its_scans_and_findings_and_no_others(alice: User, shop: Repository) -> None:
    other = Repository.objects.create(provider="github", full_name="acme/other")
    ingest(other, "semgrep", [code()])
    ingest(shop, "trivy", [vulnerable("CVE-2024-0001", "GHSA-aaaa-bbbb-cccc")])
    upload(client_of(alice), sarif("xss"))
    run()
    upload(client_of(alice), sarif("xss"))  # still waiting
    assert client_of(alice).delete(f"/api/v1/repositories/{shop.id}").status_code == 204
    assert [model.objects.count() for model in (Finding, Presence, Stream, Scan)] == [1, 1, 1, 1]
    assert [model.objects.count() for model in (FindingIdentifier, GateResult)] == [0, 0]
