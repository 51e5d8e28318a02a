"""Pulled scans: whole through limits and kills, closing nothing of others, incremental where that is enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from core import work
from core.errors import OutboundError
from core.http.door import CircuitOpen, Throttled
from core.models import Event
from core.models.work import WorkState
from core.work import LeaseLost
from integrations.contract.reports import ReportedFinding
from integrations.contract.scans import Problem, Section
from integrations.models import Integration, Repository
from integrations.services.integrations import delete_integration
from scans.choices import ScanTrigger
from scans.models import Finding, GateResult, Presence, Scan, ScanPart, Stream, SyncState
from scans.pulling import pages
from scans.pulling.items import items_of, lines_of
from scans.services.requesting import Request, cancel_scan, request_scan
from scans.work import KIND
from tests.access.keys import client_of
from tests.factories import owner_of
from tests.scans.kit import code, ingest, vulnerable
from tests.scans.source_kit import Down, FakeScanner, drain, go_on, install, integration, says, take

pytestmark = pytest.mark.django_db
THEN = datetime.now(UTC).replace(microsecond=0) - timedelta(days=8)
SHA = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def scanner(monkeypatch: pytest.MonkeyPatch) -> type[FakeScanner]:
    return install(monkeypatch)


@pytest.fixture
def shop(alice: User) -> Repository:
    return Repository.objects.create(provider="github", full_name="acme/shop", owner=owner_of(alice))


@pytest.fixture
def by(alice: User, scanner: type[FakeScanner]) -> Integration:
    return integration(owner=owner_of(alice))


def asked(shop: Repository, by: Integration, **values: Any) -> Scan:
    return request_scan(Request(shop, by, **values)).scan


def rules() -> list[str]:
    return sorted(Finding.objects.filter(state="open").values_list("rule", flat=True))


def places(*numbers: int) -> list[ReportedFinding]:
    return [code(f"rule-{number}", mark=f"{number:016d}") for number in numbers]


def test_what_is_stored_comes_back_as_it_was() -> None:
    odd = code(raw={"n": 1 << 70, "half": "\ud800", "when": THEN, 5: "five"}, created_at=THEN, cvss=("CVSS:3.1/AV:N",))
    items = [Section("fake", "1", "x"), odd, vulnerable("CVE-2024-1", manifest="go.mod"), Problem("here", "Odd.", elsewhere=True)]
    back = list(items_of(lines_of(items).splitlines(keepends=True)))
    assert [back[0], *back[2:]] == [items[0], *items[2:]]
    assert isinstance(back[1], ReportedFinding)
    assert back[1].raw == {"n": 1 << 70, "half": "\ud800", "when": THEN.isoformat(), "5": "five"}
    assert (back[1].created_at, back[1].cvss, back[1].locations) == (THEN, odd.cvss, odd.locations)


def test_a_scan_is_whole_through_a_limit_an_outage_and_kills_between_any_two_pages(
    scanner: type[FakeScanner], shop: Repository, by: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(scanner, places(1, 2), places(3, 4), places(5), places(6, 7))
    scanner.stops |= {1: Throttled("The service asks to wait.", retry_after=1800), 2: Down("No answer.")}
    scan = asked(shop, by, commit=SHA)

    found = go_on()
    assert (found.status, found.progress["pages"], found.progress["read"], found.expected) == ("queued", 1, 2, 7)
    assert found.error.startswith("Waits until ")
    assert found.run_after > timezone.now() + timedelta(minutes=29)
    shown = client_of(owner_of_scan(scan)).get(f"/api/v1/scans/{scan.pk}").json()
    assert (shown["pages"], shown["read"], shown["expected"], shown["integration_name"]) == (1, 2, 7, "Scanner")
    assert shown["next_try_at"] is not None

    found = go_on()  # page 2, and then the service is down
    assert (found.error, found.progress["pages"]) == ("No answer.", 2)

    kept = pages.held
    for place in ("before the page is stored", "after"):

        def die(run: Any, place: str = place) -> Any:
            if place == "after":
                monkeypatch.setattr(pages, "held", lambda run: (_ for _ in ()).throw(Killed))
                return kept(run)
            raise Killed

        monkeypatch.setattr(pages, "held", die)
        with pytest.raises(Killed):
            KIND.handler(take())
        monkeypatch.setattr(pages, "held", kept)
        work.sweep(Scan)
    assert Scan.objects.get().progress["pages"] == 3

    found = go_on()
    assert (found.status, found.total, found.new, found.problem_count, found.error) == ("completed", 7, 7, 0, "")
    assert rules() == [f"rule-{number}" for number in range(1, 8)]
    assert not ScanPart.objects.exists()
    assert [cursor and cursor["page"] for _, cursor in scanner.asked] == [None, 1, 2, 2, 3]
    told = Event.objects.filter(type__startswith="scan.").order_by("id")
    assert list(told.values_list("type", flat=True)) == ["scan.started", "scan.completed"]
    done = Event.objects.get(type="scan.completed").payload
    assert (done["trigger"], done["integration"], done["gate"], done["commit"]) == ("api", "Scanner", "failed", SHA)


def owner_of_scan(scan: Scan) -> User:
    owner = scan.repository.owner
    assert owner is not None
    assert owner.user is not None
    return owner.user


def test_a_worker_that_lost_its_scan_stores_nothing(scanner: type[FakeScanner], shop: Repository, by: Integration) -> None:
    says(scanner, places(1), places(2))
    asked(shop, by)
    slow = take()
    work.sweep(Scan)  # its heartbeat is gone
    successor = take()
    with pytest.raises(LeaseLost):
        KIND.handler(slow)
    assert (Scan.objects.get().started_at, ScanPart.objects.count()) == (None, 0)
    assert go_on(successor).status == "completed"
    with pytest.raises(LeaseLost):
        KIND.handler(slow)
    assert (Scan.objects.get().total, ScanPart.objects.count(), Event.objects.filter(type="scan.completed").count()) == (2, 0, 1)


def test_two_integrations_and_an_upload_never_close_each_others_findings(
    scanner: type[FakeScanner], shop: Repository, by: Integration
) -> None:
    other = integration("Other scanner", owner=shop.owner)
    ingest(shop, "fake", places(1))
    for source, numbers in ((by, (1, 2)), (other, (2, 3))):
        says(scanner, places(*numbers))
        asked(shop, source)
        drain()
    says(scanner)  # the first has nothing any more, the upload neither
    asked(shop, by)
    drain()
    ingest(shop, "fake", category=f"integration:{other.id.hex}/")  # and does not speak for the other, whatever it says
    ingest(shop, "fake")
    assert rules() == ["rule-2", "rule-3"]
    finding = Finding.objects.get(rule="rule-3")
    answer = client_of(owner_of_scan(Scan.objects.filter(integration=other).get())).get(f"/api/v1/findings/{finding.pk}").json()
    assert [(one["integration"], one["category"]) for one in answer["presences"]] == [("Other scanner", "")]
    assert other.id.hex not in str(answer)


def test_what_a_source_does_not_name_any_more_is_fixed_unless_part_of_it_could_not_be_read(
    scanner: type[FakeScanner], shop: Repository, by: Integration
) -> None:
    def pull(*more: Any) -> Scan:
        says(scanner, [*places(1), *more])
        asked(shop, by)
        return go_on()

    pull(Section("fake", category="web"), *places(2), Section("other"), *places(3))
    assert rules() == ["rule-1", "rule-2", "rule-3"]
    scan = pull(Problem("other", "It may not be read.", elsewhere=True))
    assert (scan.status, rules()) == ("partial", ["rule-1", "rule-2", "rule-3"])
    scan = pull()
    assert (scan.status, scan.fixed, rules()) == ("completed", 2, ["rule-1"])


def test_a_source_that_has_nothing_about_a_branch_decides_nothing_about_it(
    scanner: type[FakeScanner], shop: Repository, by: Integration
) -> None:
    asked(shop, by, ref="topic", commit=SHA)
    scan = go_on()
    assert (scan.status, scan.total, scan.tools) == ("completed", 0, [])
    assert not GateResult.objects.exists()
    (ended,) = Event.objects.filter(type="scan.completed")
    assert "gate" not in ended.payload
    Stream.objects.create(repository=shop, tool="semgrep", ref="topic")
    asked(shop, by, ref="topic", commit=SHA, full=True)
    assert (go_on().status, GateResult.objects.get().decision) == ("completed", "passed")


def test_what_changed_is_asked_for_between_full_readings(scanner: type[FakeScanner], shop: Repository, by: Integration) -> None:
    def pull(**values: Any) -> Scan:
        asked(shop, by, **values)
        return go_on()

    says(scanner, places(1, 2), synced_to=THEN)
    assert (pull().complete, scanner.asked[-1][0].since) == (True, None)
    says(scanner, places(3), synced_to=THEN + timedelta(hours=1))
    assert (pull().complete, scanner.asked[-1][0].since) == (False, THEN)
    assert rules() == ["rule-1", "rule-2", "rule-3"]  # what did not change is still there
    scanner.pages[:] = []  # nothing changed at all
    assert (pull().status, scanner.asked[-1][0].since) == ("completed", THEN + timedelta(hours=1))
    says(scanner, places(1), synced_to=THEN + timedelta(hours=2))
    assert (pull(full=True).complete, scanner.asked[-1][0].since, rules()) == (True, None, ["rule-1"])
    SyncState.objects.update(full_at=timezone.now() - timedelta(hours=25))
    assert (pull().complete, scanner.asked[-1][0].since) == (True, None)
    says(scanner, [*places(1), Problem("alert 5", "Odd.")], synced_to=THEN + timedelta(hours=3))
    assert (pull().status, SyncState.objects.get().synced_to) == ("partial", THEN + timedelta(hours=2))  # asked for again the next time
    says(scanner, places(1), synced_to=datetime.max.replace(tzinfo=UTC))
    pull()
    assert THEN < SyncState.objects.get().synced_to <= timezone.now()  # whatever the service's clock says


def test_a_cursor_may_hold_any_character_and_has_an_end(
    scanner: type[FakeScanner], shop: Repository, by: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(scanner, places(1))
    scanner.pages[0] = replace(scanner.pages[0], cursor={"page": 1, "token": "a\0\ud800"})
    asked(shop, by)
    assert go_on().status == "completed"
    monkeypatch.setattr(pages, "MOST_CURSOR", 10)
    asked(shop, by)
    scan = go_on()
    assert (scan.status, scan.problems[0]["sentence"][:31]) == ("failed", "What has to be remembered to go")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, "is inactive"),
        (OutboundError("The token was refused: enter a new one."), "enter a new one"),
        (CircuitOpen("Scanner failed too often.", retry_after=60), "Scanner failed too often."),
    ],
)
def test_what_ends_a_scan_and_what_holds_it_up_is_said_in_words(
    error: OutboundError | None, words: str, scanner: type[FakeScanner], shop: Repository, by: Integration
) -> None:
    says(scanner, places(1))
    asked(shop, by)
    if error is None:
        Integration.objects.update(status="inactive")
    else:
        error.permanent = not isinstance(error, CircuitOpen)
        scanner.stops[0] = error
    scan = go_on()
    assert words in scan.error
    ends = not isinstance(error, CircuitOpen)
    assert (scan.status, Event.objects.filter(type="scan.failed").count()) == (("failed", 1) if ends else ("queued", 0))


def test_a_scan_that_never_gets_anywhere_ends(scanner: type[FakeScanner], shop: Repository, by: Integration) -> None:
    says(scanner, places(1))
    asked(shop, by)
    for _ in range(20):
        scanner.stops[0] = Down("No answer.")
        if (scan := go_on()).state != WorkState.QUEUED:
            break
    assert (scan.status, scan.attempts, scan.problems) == ("failed", 10, [{"where": "report", "sentence": "No answer."}])


def test_a_deleted_integration_ends_its_scans(scanner: type[FakeScanner], shop: Repository, by: Integration) -> None:
    asked(shop, by)
    delete_integration(by)
    assert (go_on().status, Scan.objects.get().error) == ("failed", "The integration of this scan was deleted.")


def test_an_upload_does_not_wait_for_a_pull_that_waits(scanner: type[FakeScanner], shop: Repository, by: Integration) -> None:
    says(scanner, places(1), places(2))
    scanner.stops[1] = Throttled("Wait.", retry_after=7200)
    asked(shop, by)
    pulled = go_on()
    body = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "semgrep"}}, "results": []}]}
    client = client_of(owner_of_scan(pulled))
    upload = client.post("/api/v1/scans/upload?repository=acme/shop", body, format="json").json()["id"]
    Scan.objects.exclude(pk=upload).update(run_after=timezone.now() + timedelta(hours=1))
    work.run_due(Scan, KIND.handler)
    assert Scan.objects.get(pk=upload).status == "completed"


def test_it_is_cancelled_while_it_waits(scanner: type[FakeScanner], shop: Repository, by: Integration) -> None:
    says(scanner, places(1), places(2))
    scanner.stops[1] = Throttled("Wait.", retry_after=7200)
    scan = asked(shop, by)
    client = client_of(owner_of_scan(scan))
    run = take()
    assert client.post(f"/api/v1/scans/{scan.pk}/cancel", {}, format="json").json()["code"] == "scan_running"
    go_on(run)
    answer = client.post(f"/api/v1/scans/{scan.pk}/cancel", {}, format="json").json()
    assert (answer["status"], answer["error"].startswith("Cancelled by key")) == ("failed", True)
    assert (ScanPart.objects.count(), Finding.objects.count(), Presence.objects.count()) == (0, 0, 0)
    assert client.post(f"/api/v1/scans/{scan.pk}/cancel", {}, format="json").json()["code"] == "scan_failed"
    assert request_scan(Request(shop, by, trigger=ScanTrigger.MANUAL)).reused == ""
    assert cancel_scan(Scan.objects.latest("id")).status == "failed"
