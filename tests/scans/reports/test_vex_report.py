"""CycloneDX VEX: valid by the standard, and no state that nobody decided."""

from __future__ import annotations

import io
import json
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from django.contrib.auth.models import User

from integrations.contract.reports import ReportedFinding
from integrations.models import Repository
from scans.formats.cyclonedx import CycloneDX
from scans.formats.source import Source
from scans.models import Finding
from scans.services.triage import Decision, decide
from tests.access.keys import client_of
from tests.scans.kit import code, ingest, vulnerable
from tests.scans.reports.test_reports import HOSTILE, ask
from tests.scans.reports.test_sarif_report import VECTOR
from tests.scans.test_uploads import shop as shop

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def validator() -> Any:
    """The official schema, which the package that writes CycloneDX for pip-audit brings along."""
    folder = resources.files("cyclonedx.schema._res")
    schemas = {name: json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text()) for name in ("bom-1.6", "spdx", "jsf-0.82")}
    others = [(f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", one) for name, one in schemas.items()]
    return jsonschema_rs.validator_for(schemas["bom-1.6"], validate_formats=True, registry=jsonschema_rs.Registry(others))


def test_states_follow_from_decisions_and_it_can_be_read_again(alice: User, shop: Repository) -> None:
    gone = vulnerable("CVE-2020-0005", package="gone", fixed="2")
    ingest(shop, "trivy", [gone])
    names = ("open", "accepted", "false_positive", "ignored")
    found = [vulnerable(f"CVE-2020-000{n}", f"GHSA-aaaa-bbbb-000{n}", package=name, fixed="5.0") for n, name in enumerate(names)]
    more = [vulnerable("X-1", package="no purl", ecosystem="", cvss=(VECTOR,)), vulnerable("CVE-2020-0000", package="open", version="9")]
    ingest(shop, "trivy", [*found, *more])
    ingest(shop, "semgrep", [code("xss")])
    Finding.objects.filter(package="open").update(title=HOSTILE, known_exploited=True, epss=0.5)
    for name in names[1:]:
        decide(Finding.objects.get(package=name), Decision(name, f"because {name}"))
    client = client_of(alice)
    body = ask(client, shop, "vex", state="all").getvalue()
    document = json.loads(body)
    validator().validate(document)
    components = {one["bom-ref"]: one["name"] for one in document["components"]}
    states = {
        (components[one["affects"][0]["ref"]], one["analysis"]["state"], *one["analysis"].get("response", ()))
        for one in document["vulnerabilities"]
    }
    assert states == {
        ("open", "in_triage"), ("no purl", "in_triage"), ("accepted", "exploitable", "will_not_fix"), ("false_positive", "false_positive"),
        ("ignored", "exploitable", "will_not_fix"), ("gone", "resolved", "update"),
    }  # fmt: skip
    assert len(components) == 7
    assert all("justification" not in one["analysis"] for one in document["vulnerabilities"])
    read = [one for one in CycloneDX().read(Source(io.BytesIO(body), len(body))) if isinstance(one, ReportedFinding)]
    assert {(one.package.name, one.state) for one in read if one.package} == {
        ("open", "open"), ("no purl", "open"), ("accepted", "open"), ("ignored", "open"), ("false_positive", "suppressed"),
    }  # fmt: skip
    fixed = {one.package.fixed_version for one in read if one.package and one.package.version == "4.17.15" and one.package.name in names}
    assert fixed == {"5.0"}
    wrong = [ask(client, shop, "vex", kind="code"), ask(client, shop, "sarif", state="fixed")]
    assert [list(one.json()["fields"]) for one in wrong] == [["kind"], ["state"]]
