"""What conditions count: the same in Python on grouped facts as in the database on findings, then and later."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import work
from core.housekeeping import Batch
from core.models import Event
from integrations.models import Repository
from scans.choices import GateCause, Kind, Severity
from scans.gates import facts
from scans.gates.checks import work_off
from scans.gates.conditions import Condition
from scans.gates.deciding import decide, decide_again
from scans.gates.facts import Facts
from scans.gates.plans import read_whole
from scans.gates.policy import in_force
from scans.gates.reading import Findings, Subject
from scans.housekeeping import decide_gates, prune_facts
from scans.models import Finding, GateCheck, GateFacts, GateResult, Policy, Scan
from scans.services.triage import Decision, take_back
from scans.services.triage import decide as triage
from tests.access.keys import client_of
from tests.factories import owner_of
from tests.scans.kit import code, ingest, repository, vulnerable

pytestmark = pytest.mark.django_db
SLA = {"critical": 1, "high": 7, "low": 30}
EPSS = (None, 0.0, 0.1, 0.3, 0.97)
DAYS = (-60, -23, 0, 0, 6)
"""From 2026-11-01: the edges of the SLAs seven days later, and of `since`."""


def some_condition(dice: random.Random) -> Condition:
    among = dice.choice(["new", "all"])
    return Condition(
        among=among, severity=dice.choice(Severity.values), most=dice.randrange(3), only_fixable=dice.random() < 0.3,
        kinds=tuple(sorted(dice.sample(Kind.values, dice.choice([0, 0, 2])))), known_exploited=dice.random() < 0.2,
        min_epss=dice.choice([None, None, 0.1, 0.3]), over_sla=dice.random() < 0.4,
        since=dice.choice([None, "2026-11-01", "2026-11-01"]) if among == "new" else None,
    )  # fmt: skip


def some_scan(shop: Repository, dice: random.Random, number: int) -> Scan:
    """Report by chance, and let time, feeds and people change what is there."""
    reported = [
        code(f"rule-{dice.randrange(12)}", path=f"{n}.py", mark=f"{dice.randrange(40):016x}", severity=dice.choice(Severity.values[:5]))
        for n in range(dice.randrange(8))
    ]
    reported += [vulnerable(f"CVE-2026-{dice.randrange(1, 9):04}", severity="critical", fixed=dice.choice(["", "9"])) for _ in range(3)]
    ref = dice.choice(["main", "main", "topic"])
    ingest(shop, dice.choice(["semgrep", "trivy"]), reported, ref=ref, commit=f"{number // 2:040x}")
    for finding in Finding.objects.all():
        finding.known_exploited, finding.epss = dice.random() < 0.3, dice.choice(EPSS)
        finding.triage, finding.suppressed = ("ignored" if dice.random() < 0.1 else ""), dice.random() < 0.1
        finding.opened_at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=dice.choice(DAYS), microseconds=dice.randrange(3))
        finding.save()
    return Scan.objects.latest("id")


def test_groups_say_what_the_database_says_and_keep_saying_it(monkeypatch: pytest.MonkeyPatch) -> None:
    dice, shop, decided = random.Random(4), repository(), []
    conditions = [some_condition(dice) for _ in range(25)]
    policy = Policy.objects.create(name="p", conditions=[one.stored() for one in conditions], sla_days=SLA)
    for number in range(8):
        scan = some_scan(shop, dice, number)
        at = datetime(2026, 11, 8, 0, 0, 0, number % 3, tzinfo=UTC)
        monkeypatch.setattr(timezone, "now", lambda at=at: at)
        result = decide(scan)
        there = Findings(Subject(shop, scan.ref, scan.commit, scan.id))
        rows = [there.breaking(one, SLA, result.created_at).values_list("id", flat=True) for one in conditions]
        assert [one["found"] for one in result.conditions] == [len(ids) for ids in rows]
        named = {(str(id), n) for n, ids in enumerate(rows) if len(ids) > conditions[n].most for id in ids}
        assert {(one["finding_id"], one["condition"]) for one in result.broken_by} == named
        decided.append(result)
    assert len({tuple(one["found"] for one in result.conditions) for result in decided}) > 5
    policy.refresh_from_db()
    force = in_force(shop.id)
    for result in decided:  # all has changed since, and months may have passed
        kept = Facts.unpack(bytes(GateFacts.objects.get(result=result).data))
        assert facts.found(force.conditions, force.sla_days, kept) == [one["found"] for one in result.conditions]
        assert kept.counts() == result.counts


def test_deciding_takes_as_many_statements_for_many_findings_as_for_few() -> None:
    counts = []
    for name, many in (("acme/few", 1), ("acme/many", 60)):
        shop = repository(name)
        ingest(shop, "semgrep", [code(f"r{n}", path=f"{n}.py") for n in range(many)])
        scan = Scan.objects.select_related("repository").get(repository=shop)
        with CaptureQueriesContext(connection) as queries:
            result = decide(scan)
        assert (result.decision, result.broken_count) == ("failed", many)
        counts.append(len(queries))
    planning = 2 if connection.vendor == "postgresql" else 0
    assert counts == [6 + planning] * 2  # policy, streams, facts, what breaks it; the result, its facts


def test_a_gate_turns_green_with_the_last_decision_and_red_without_it() -> None:
    shop = repository()
    ingest(shop, "semgrep", [code("xss"), code("sqli", path="b.py")], commit="1" * 40)
    first = decide(Scan.objects.get())
    with CaptureQueriesContext(connection) as queries:
        for finding in Finding.objects.all():
            triage(finding, Decision("accepted", "inner tool"))
    asked = [one["sql"] for one in queries if "scans_gatecheck" in one["sql"]]
    assert (len(asked), GateCheck.objects.count()) == (3, 1)  # the second finds the row of the first
    assert work.run_due(GateCheck, work_off) == 1
    second = GateResult.objects.latest("id")
    assert (second.decision, second.cause, second.scan_id, second.commit) == ("passed", "triage", first.scan_id, first.commit)
    take_back(Finding.objects.first())  # type: ignore[arg-type]
    work.run_due(GateCheck, work_off)
    assert (GateResult.objects.latest("id").decision, GateCheck.objects.count()) == ("failed", 0)
    assert decide_again(shop.id, "main", GateCause.TRIAGE) is None  # nothing is written where nothing changed
    told = [(one.type, one.payload["previous"]) for one in Event.objects.filter(type__startswith="gate.").order_by("id")]
    assert told == [("gate.passed", "failed"), ("gate.changed", "failed"), ("gate.failed", "passed"), ("gate.changed", "passed")]
    event = Event.objects.filter(type="gate.changed").latest("id").payload
    assert (event["cause"], event["counts"], len(event["findings"])) == ("triage", {"new": {"high": 1}, "all": {"high": 1}}, 1)


def test_time_and_news_break_a_gate_without_a_scan() -> None:
    shop, lax = repository(), repository("acme/lax")
    conditions = [{"among": "all", "severity": "low", "over_sla": True}, {"among": "all", "severity": "low", "known_exploited": True}]
    Policy.objects.create(name="p", repository=shop, conditions=conditions, sla_days={"high": 7})
    for one in (shop, lax):
        ingest(one, "trivy", [vulnerable("CVE-2026-0001")])
        decide(Scan.objects.get(repository=one))
    assert decide_gates(Batch()).rows == 0
    Finding.objects.update(opened_at=timezone.now() - timedelta(days=7, seconds=1))
    assert (decide_gates(Batch()).rows, decide_gates(Batch()).rows) == (1, 0)
    latest = GateResult.objects.filter(repository=shop).latest("id")
    assert (latest.decision, latest.cause, [one["passed"] for one in latest.conditions]) == ("failed", "time", [False, True])
    Finding.objects.update(known_exploited=True)
    assert decide_gates(Batch()).rows == 1
    told = list(Event.objects.filter(type__startswith="gate.").values_list("type", flat=True).order_by("id"))
    assert told == ["gate.failed", "gate.changed"]  # once: the second time it had failed already
    assert GateResult.objects.filter(repository=lax).count() == 1


@pytest.mark.once
def test_facts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = repository()
    for _ in range(3):
        ingest(shop, "semgrep", [code(severity="high"), code("b", path="b.py", severity="low")])
        decide(Scan.objects.latest("id"))
    monkeypatch.setattr("scans.housekeeping.KEPT_FACTS", 1)
    newest = GateResult.objects.latest("id")
    while prune_facts(Batch(limit=1)).cursor:
        pass
    assert [one.result_id for one in GateFacts.objects.all()] == [newest.id]
    monkeypatch.setattr("scans.gates.deciding.MOST_GROUPS", 1)
    ingest(shop, "semgrep", [code(severity="high"), code("b", path="b.py", severity="low")])
    decide(Scan.objects.latest("id"))
    assert (GateFacts.objects.count(), GateResult.objects.count()) == (1, 4)


def sentence(**values: Any) -> str:
    return Condition(**values).sentence()


@pytest.mark.once
def test_conditions_read_well() -> None:
    assert sentence() == "no new findings of severity high or worse"
    assert sentence(only_fixable=True, kinds=("code",)) == "no new findings of severity high or worse with a known fix (code)"
    assert sentence(among="all", severity="critical", over_sla=True, most=2) == "at most 2 critical findings past their days to fix"
    everything = sentence(severity="unknown", since="2026-11-01", known_exploited=True, min_epss=0.1, only_fixable=True)
    assert (
        everything == "no findings that appeared since 2026-11-01, known to be exploited, with an EPSS of 0.1 or more and with a known fix"
    )


def test_a_policy_that_is_tried_says_what_would_have_been(alice: User, charlie: User) -> None:
    shop = repository(owner=owner_of(alice))
    for number, levels in enumerate((["low"], ["low", "high"], [])):
        ingest(shop, "semgrep", [code(f"r{n}", path=f"{n}.py", severity=level) for n, level in enumerate(levels)], commit=f"{number}" * 40)
        decide(Scan.objects.latest("id"))
    client, url = client_of(alice), "/api/v1/policies/dry-run"
    body = {"conditions": [{"among": "all", "severity": "low"}], "repository": str(shop.id)}
    said = client.post(url, body, format="json").json()
    assert [(one["then"], one["now"], one["differs"]) for one in said["results"]] == [
        ("passed", "passed", False), ("failed", "failed", False), ("passed", "failed", True),
    ]  # fmt: skip
    assert said["counts"] == {"scans": 3, "passed_then": 2, "passed_now": 1, "now_passing": 0, "now_failing": 1}
    assert said["summary"] == "Of the last 3 scans, 1 would have passed; 2 did. 1 that passed would have failed."
    assert (said["results"][1]["broken_then"], said["results"][1]["broken_now"]) == (
        ["no new findings of severity high or worse: found 1"], ["no findings of severity low or worse: found 2"],
    )  # fmt: skip
    policy = client.post("/api/v1/policies", {"name": "p", **body, "conditions": [{"severity": "critical"}]}, format="json").json()
    counts = []
    for last in (1, 1, 3):
        with CaptureQueriesContext(connection) as queries:
            said = client.post(f"/api/v1/policies/{policy['id']}/dry-run", {"last": last}, format="json").json()
        counts.append(len(queries))
        assert (said["counts"]["scans"], said["counts"]["now_passing"]) == (last, last // 2)
    assert counts[1] == counts[2]  # the first notes the use of the key
    assert client.post(url, body | {"last": 201}, format="json").json()["fields"] == {
        "last": ["Ensure this value is less than or equal to 200."]
    }
    assert client_of(charlie).post(url, body, format="json").json()["code"] == "unknown_repository"
    assert client_of(charlie).post(url, {"conditions": []}, format="json").json()["results"] == []
    assert client_of(charlie).post(f"/api/v1/policies/{policy['id']}/dry-run", {}, format="json").status_code == 404


def test_a_finding_says_until_when_it_has_to_be_fixed(alice: User) -> None:
    shop, client = repository(owner=owner_of(alice)), client_of(alice)
    ingest(shop, "semgrep", [code("a", path="a.py"), code("b", path="b.py", severity="low"), code("c", path="c.py")])
    Policy.objects.create(name="default", sla_days={"high": 1, "low": 1})
    opened = timezone.now() - timedelta(days=8)
    Finding.objects.update(opened_at=opened)
    Finding.objects.filter(rule="c").update(triage="ignored")
    made = client.post(
        "/api/v1/policies", {"name": "own", "repository": str(shop.id), "conditions": [], "sla_days": {"high": 7}}, format="json"
    )
    assert made.status_code == 201
    url = f"/api/v1/findings?repository={shop.id}"
    with CaptureQueriesContext(connection) as queries:
        listed = {one["rule"]: (one["due_at"], one["overdue"]) for one in client.get(url).json()["results"]}
    assert len([one for one in queries if "scans_policy" in one["sql"]]) == 1
    due = (opened + timedelta(days=7)).isoformat().replace("+00:00", "Z")
    assert listed == {"a": (due, True), "b": (None, False), "c": (None, False)}
    assert [one["rule"] for one in client.get(f"{url}&overdue=true").json()["results"]] == ["a"]
    assert {one["rule"] for one in client.get(f"{url}&overdue=false").json()["results"]} == {"b", "c"}
    assert list(client.get("/api/v1/findings?overdue=true").json()["fields"]) == ["overdue"]
    id = Finding.objects.get(rule="a").id
    body = {"triage": "ignored", "reason": "x"}
    assert client.post(f"/api/v1/findings/{id}/triage", body, format="json").json()["due_at"] is None
    assert client.post(f"/api/v1/findings/{id}/reopen", {}, format="json").json()["due_at"] == due


def test_no_finding_has_all_presences_looked_through_for_it_however_few_are_expected() -> None:
    repo = repository()
    for ref in ("main", "topic"):
        ingest(repo, "semgrep", [code(f"r{number}", mark=f"{number:016x}") for number in range(300)], ref=ref, commit="a" * 40)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # as it is where these rows are few among very many: one is expected
            cursor.execute("UPDATE pg_class SET reltuples = 0, relpages = 0 WHERE relname IN ('scans_finding', 'scans_presence')")
    scan = Scan.objects.get(ref="topic")
    with CaptureQueriesContext(connection) as queries:
        assert decide(scan).decision == "passed"
    (grouped,) = [query["sql"] for query in queries if "GROUP BY" in query["sql"]]
    if connection.vendor == "postgresql":
        with transaction.atomic(), read_whole(), connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {grouped}")
            assert "Nested Loop" not in str(cursor.fetchall())
        with connection.cursor() as cursor:
            cursor.execute("SHOW enable_nestloop")
            assert cursor.fetchone() == ("on",)
