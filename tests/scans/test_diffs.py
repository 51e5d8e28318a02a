"""What differs between two scans, or two refs: told from what was there, not from what the last report said."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations.models import Repository
from scans.models import Finding, Scan
from tests.access.keys import client_of
from tests.scans.kit import code, ingest
from tests.scans.test_uploads import shop as shop

pytestmark = pytest.mark.django_db
CHANGES = ("new", "gone", "unchanged", "unscanned")


def scanned(to: Repository, tool: str, *rules: str, **about: Any) -> Scan:
    ingest(to, tool, [code(rule, path=f"{rule}.py") for rule in rules], **about)
    scan = Scan.objects.latest("id")
    Scan.objects.filter(id=scan.id).update(outcome="completed" if about.get("complete", True) else "partial", tools=[tool], state="done")
    return scan


def changed(client: Any, path: str, **query: str) -> dict[str, set[str]]:
    """What the counts say, which must be what the lists hold."""
    counts = client.get(f"/api/v1/{path}/diff", query).json()
    found = {}
    for change in CHANGES:
        listed = client.get(f"/api/v1/{path}/diff/findings", {**query, "change": change}).json()["results"]
        found[change] = {one["rule"] for one in listed}
        assert counts[change]["total"] == counts[change]["by_severity"]["high"] == len(found[change])
        if change in ("new", "gone"):
            assert {one["rule"] for one in counts[change]["top"]} == found[change]
    return found


def test_two_scans_of_a_history_with_partial_ones_and_findings_that_came_back(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    one = scanned(shop, "semgrep", "stays", "goes", "returns")
    two = scanned(shop, "semgrep", "comes", complete=False)
    other = scanned(shop, "gitleaks", "leak")
    three = scanned(shop, "semgrep", "stays", "comes")
    four = scanned(shop, "semgrep", "stays", "returns")
    assert changed(client, f"scans/{two.id}", base=str(one.id)) == said({"comes"}, set(), {"stays", "goes", "returns"})
    assert changed(client, f"scans/{three.id}", base=str(two.id)) == said(set(), {"goes", "returns"}, {"stays", "comes"})
    assert changed(client, f"scans/{four.id}", base=str(one.id)) == said(set(), {"goes"}, {"stays", "returns"})
    assert changed(client, f"scans/{one.id}", base=str(four.id)) == said({"goes"}, set(), {"stays", "returns"})
    assert changed(client, f"scans/{four.id}", base=str(four.id)) == said(set(), set(), {"stays", "returns"})
    assert changed(client, f"scans/{other.id}", base=str(one.id)) == said({"comes", "leak"}, set(), {"stays", "goes", "returns"})


def said(new: set[str], gone: set[str], unchanged: set[str], unscanned: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    return dict(zip(CHANGES, (new, gone, unchanged, unscanned), strict=True))


def test_what_no_tool_looked_for_on_a_branch_is_not_gone(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    main = scanned(shop, "semgrep", "stays", "goes")
    scanned(shop, "gitleaks", "leak")
    topic = scanned(shop, "semgrep", "stays", "comes", ref="topic")
    path = f"repositories/{shop.id}"
    assert changed(client, path, head="topic") == said({"comes"}, {"goes"}, {"stays"}, {"leak"})
    assert changed(client, path, base="topic", head="main") == said({"goes", "leak"}, {"comes"}, {"stays"})
    assert changed(client, f"scans/{topic.id}", base=str(main.id)) == said({"comes"}, {"goes"}, {"stays"})
    Finding.objects.filter(rule="comes").update(triage="accepted")
    assert client.get(f"/api/v1/{path}/diff/findings", {"head": "topic", "triage": "none"}).json()["results"] == []


def test_wrong_ones_are_refused_in_words_and_others_see_nothing(alice: User, charlie: User, shop: Repository) -> None:
    client = client_of(alice)
    scan, running = scanned(shop, "semgrep", "x"), Scan.objects.create(repository=shop, ref="main")
    other = scanned(Repository.objects.create(provider="github", full_name="acme/other", owner=shop.owner), "semgrep", "x")
    hidden = scanned(Repository.objects.create(provider="github", full_name="acme/hidden"), "semgrep", "x")
    path = f"/api/v1/scans/{scan.id}/diff"
    codes = [client.get(path, {"base": str(one.id)}).json()["code"] for one in (other, hidden, running)]
    assert codes == ["unknown_scan", "unknown_scan", "scan_not_completed"]
    assert set(client.get(path).json()["fields"]) == {"base"}
    assert set(client.get(f"{path}/findings", {"base": str(scan.id), "change": "x"}).json()["fields"]) == {"change"}
    refs = f"/api/v1/repositories/{shop.id}/diff"
    assert (client.get(refs).json()["fields"].keys(), client.get(refs, {"head": "none"}).json()["code"]) == ({"head"}, "unknown_ref")
    stranger = client_of(charlie)
    assert {stranger.get(one, {"base": str(scan.id), "head": "main"}).status_code for one in (refs,)} == {404}
    assert stranger.get(path, {"base": str(scan.id)}).status_code == 404
    assert client_of(alice, "scans:read").get(path, {"base": str(scan.id)}).status_code == 403


def test_it_takes_the_same_statements_for_one_finding_as_for_many(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    one = scanned(shop, "semgrep", "a")
    two = scanned(shop, "semgrep", "b")
    many = scanned(shop, "semgrep", *(f"r{number}" for number in range(60)))
    asked = []
    for head in (one, two, many):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/api/v1/scans/{head.id}/diff", {"base": str(one.id)}).status_code == 200
        asked.append(len(queries))
    assert asked[1] == asked[2]  # the first finds what every process remembers of a key


def test_a_branch_is_meant_by_its_name_in_full_as_well(alice: User, shop: Repository) -> None:
    scanned(shop, "semgrep", "old")
    scanned(shop, "semgrep", "old", "new", ref="feature")
    client, full = client_of(alice), "refs/heads/feature"
    mine = f"repositories/{shop.id}"
    assert changed(client, mine, base="refs/heads/main", head=full) == said({"new"}, set(), {"old"})
    assert client.get(f"/api/v1/{mine}/findings/summary", {"ref": full}).json()["total"] == 2
    assert len(client.get("/api/v1/findings", {"repository": str(shop.id), "ref": full}).json()["results"]) == 2
