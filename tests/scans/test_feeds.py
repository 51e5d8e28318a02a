"""EPSS and CISA's catalogue: read, refused, stored, brought to findings, told of once."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.errors import Conflict, InvalidInput
from core.models import Event, RequestLog
from core.models.work import WorkState
from integrations.models import Integration
from scans.feeds import running, storing
from scans.feeds.starting import refresh_due, start_refresh
from scans.models import FeedRun, FeedState, Finding, KnownExploited, VulnerabilityScore
from tests.scans.feeds_kit import LODASH, LOG4SHELL, OTHER, SCORES, epss, kev, load, take_up_again, work_it_off
from tests.scans.kit import code, ingest, repository, vulnerable
from tests.serving import QuietHandler, serving

pytestmark = pytest.mark.django_db


class KilledError(BaseException):
    pass


def marks(**about: Any) -> tuple[Any, ...]:
    one = Finding.objects.get(**about)
    return one.known_exploited, one.exploited_due, one.epss, one.epss_percentile


def test_a_finding_takes_the_worst_of_all_its_names_and_loses_it_again() -> None:
    shop = repository()
    ingest(shop, "grype", [vulnerable("GHSA-jfh8-c2jp-5v3q", LOG4SHELL, LODASH, package="log4j-core"), vulnerable(OTHER, package="defu")])
    ingest(shop, "semgrep", [code("old-log4j", identifiers=(("CVE", LOG4SHELL),)), code("no-name", mark="f" * 16)])
    load("epss", epss())
    assert load("kev", kev(LOG4SHELL)).findings == 2
    worst = (True, date(2021, 12, 24), 0.94358, pytest.approx(0.99358))
    assert (marks(package="log4j-core"), marks(rule="old-log4j")) == (worst, worst)
    assert marks(package="defu") == (False, None, 0.00042, pytest.approx(0.05042))
    assert marks(rule="no-name") == (False, None, None, None)
    assert (KnownExploited.objects.get().ransomware, VulnerabilityScore.objects.count()) == (True, 3)
    load("kev", kev(OTHER))
    load("epss", epss({LODASH: 0.5, OTHER: 0.00042}))
    assert marks(package="log4j-core") == (False, None, 0.5, 0.55)
    assert marks(rule="old-log4j") == (False, None, None, None)
    assert marks(package="defu")[0]
    assert set(VulnerabilityScore.objects.values_list("cve", flat=True)) == {LODASH, OTHER}


def test_the_same_list_again_writes_nothing_and_a_changed_score_one_row() -> None:
    ingest(repository(), "grype", [vulnerable(LODASH), vulnerable(OTHER, package="defu")])
    load("epss", epss())
    seen = dict(Finding.objects.values_list("package", "updated_at"))
    again = load("epss", epss())
    assert (again.state, again.rows, again.changed, again.findings, again.error) == ("done", 3, 0, 0, "The list is the same as before.")
    later = load("epss", epss(SCORES | {LODASH: 0.2}))
    assert (later.changed, later.findings) == (1, 1)
    assert FeedState.objects.get().applied
    assert dict(Finding.objects.values_list("package", "updated_at")) == seen, "a score that drifts is no change of the finding"


@pytest.mark.parametrize(
    ("feed", "content", "said"),
    [
        ("epss", epss()[:-20], "breaks off"),
        ("epss", gzip.decompress(epss())[:-4], "middle of a line"),
        ("epss", gzip.decompress(epss()).replace(b"0.0313", b"1.313"), "Line 4: '1.313' is no number"),
        ("epss", gzip.decompress(epss()).replace(OTHER.encode(), LODASH.encode()), "names a CVE twice"),
        ("epss", kev(LOG4SHELL), "does not name model version"),
        ("epss", epss({}), "has no rows"),
        ("epss", epss({LODASH: 0.1}), "less than half of the 3"),
        ("epss", epss(day="2026-11-01"), "older than the stored one of 2026-11-27"),
        ("kev", kev(LOG4SHELL)[:-30], "not JSON"),
        ("kev", kev(LOG4SHELL, count=9), "says that it has 9 rows, and has 1"),
        ("kev", epss(), "not JSON"),
        ("kev", b'{"vulnerabilities": []}', "lacks catalogVersion"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,  # gzip writes the time down: the bytes would name a test anew each time
)  # fmt: skip
def test_what_is_not_the_list_or_not_all_of_it_is_refused_and_the_stored_one_stays(feed: str, content: bytes, said: str) -> None:
    load("epss", epss())
    with pytest.raises(InvalidInput, match=said):
        load(feed, content)
    assert (VulnerabilityScore.objects.count(), FeedState.objects.get().rows, FeedRun.objects.count()) == (3, 3, 1)


def test_force_takes_an_older_and_shorter_list() -> None:
    load("epss", epss())
    load("epss", epss({LODASH: 0.1}, day="2026-11-01"), forced=True)
    assert (VulnerabilityScore.objects.count(), FeedState.objects.get().dated) == (1, date(2026, 11, 1))


def test_a_list_may_call_itself_anything() -> None:
    load("epss", gzip.decompress(epss()).replace(b"v2025.03.14", b"v\x00\xff"))
    assert (FeedState.objects.get().version, FeedState.objects.get().failed_at) == ("v\u2400\ufffd", None)


@pytest.mark.parametrize("where", ["stored half", "stored all", "applied half"])
def test_a_worker_that_is_killed_leaves_a_whole_list_behind_and_is_followed_up(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = repository()
    ingest(shop, "grype", [vulnerable(LOG4SHELL, package=name) for name in ("a", "b", "c")])
    ingest(repository("acme/empty"), "grype", [])
    load("kev", kev(OTHER))
    monkeypatch.setattr(storing, "BATCH_ROWS", 1)
    monkeypatch.setattr(running, "_AT_ONCE", 2)
    monkeypatch.setattr(running, "_AT_ONCE_POSTGRES", 2)
    places = {"stored half": (storing, "_plain"), "stored all": (running, "_note"), "applied half": (running, "_step")}
    module, name = places[where]
    if where == "stored half" and connection.vendor == "postgresql":
        module, name = storing, "_names"
    real, calls = getattr(module, name), []

    def dies(*args: Any, **more: Any) -> Any:
        calls.append(args)
        if len(calls) == 2 or (name in ("_note", "_names")):
            raise KilledError
        return real(*args, **more)

    with monkeypatch.context() as patch, mock.patch("core.work._record_abort"):
        patch.setattr(module, name, dies)
        with pytest.raises(KilledError):
            load("kev", kev(LOG4SHELL, OTHER))
    row = FeedRun.objects.latest("id")
    assert row.state == WorkState.RUNNING
    take_up_again(row)
    row.refresh_from_db()
    assert (row.state, FeedState.objects.get().applied) == ("done", True)
    assert all(Finding.objects.values_list("known_exploited", flat=True))
    event = Event.objects.get(type="finding.exploited")
    assert (event.payload["count"], event.payload["repository"], event.payload["known_exploited"]) == (3, "acme/shop", True)


def test_it_is_told_once_for_a_repository_and_only_of_what_counts() -> None:
    for name in ("acme/shop", "acme/web"):
        ingest(repository(name), "grype", [vulnerable(LOG4SHELL), vulnerable(LODASH, package="x"), vulnerable(OTHER, package="y")])
    Finding.objects.filter(package="x").update(triage="accepted")
    load("kev", kev(LOG4SHELL, LODASH))
    load("kev", kev(LOG4SHELL, LODASH))
    events = Event.objects.filter(type="finding.exploited").order_by("id")
    assert [(one.payload["repository"], one.payload["count"]) for one in events] == [("acme/shop", 1), ("acme/web", 1)]


def test_new_findings_have_it_when_they_are_announced_and_a_report_again_updates_none() -> None:
    load("epss", epss())
    load("kev", kev(LOG4SHELL))
    shop = repository()
    report = [vulnerable("GHSA-jfh8-c2jp-5v3q", package="log4j-core"), vulnerable(LODASH)]
    ingest(shop, "grype", report)
    assert (marks(package="lodash")[2], marks(package="log4j-core")[0]) == (0.0313, False)
    with CaptureQueriesContext(connection) as caught:
        ingest(shop, "grype", [*reversed(report)])
    assert not [one for one in caught if "UPDATE" in one["sql"] and "scans_finding" in one["sql"]]
    # another tool knows the CVE of a finding that was there: that is news
    ingest(shop, "trivy", [vulnerable("GHSA-jfh8-c2jp-5v3q", LOG4SHELL, package="log4j-core")])
    assert marks(package="log4j-core")[:3] == (True, date(2021, 12, 24), 0.94358)
    assert Event.objects.filter(type="finding.exploited").count() == 1


def test_many_findings_take_one_statement() -> None:
    load("epss", epss())
    load("kev", kev(LOG4SHELL))
    with CaptureQueriesContext(connection) as few:
        ingest(repository(), "grype", [vulnerable(LODASH)])
    with CaptureQueriesContext(connection) as many:
        ingest(repository("acme/web"), "grype", [vulnerable(LODASH, package=f"p{number}") for number in range(40)])
    assert len(few) == len(many)


# --- Fetching ---


@pytest.fixture
def published(settings: Any) -> Iterator[dict[str, bytes]]:
    """Serve files by their paths, with ETags; `asked` are the requests with their conditions."""
    files: dict[str, bytes] = {}

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            etag = f'"{len(body or b"")}"'
            known = self.headers.get("If-None-Match") == etag
            self.send_response(404 if body is None else 304 if known else 200)
            self.send_header("ETag", etag)
            sent = b"" if known or body is None else body
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with serving(Handler) as base:
        Integration.objects.create(
            name="Scores", type="epss", category="security", config={"url": f"{base}/e/", "file": "epss_scores-{date}.csv.gz"}
        )
        Integration.objects.create(name="KEV", type="kev", category="security", config={"url": f"{base}/kev.json"})
        yield files


@pytest.mark.django_db(transaction=True)
def test_it_is_fetched_daily_from_the_newest_file_and_not_sent_again(published: dict[str, bytes]) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    published[f"/e/epss_scores-{yesterday}.csv.gz"] = epss(day=yesterday)
    assert refresh_due() == 2
    assert refresh_due() == 0, "they are unfinished"
    row = work_it_off(FeedRun.objects.get(feed="epss"))
    state = FeedState.objects.get(feed="epss")
    assert (row.state, state.rows, str(state.dated), state.version) == ("done", 3, yesterday, "v2025.03.14")
    assert state.origin.endswith(f"/e/epss_scores-{yesterday}.csv.gz")
    failed = FeedState.objects.get(feed="kev")
    assert failed.failed_at
    assert "404" in failed.error
    published["/kev.json"] = kev(LOG4SHELL)
    take_up_again(FeedRun.objects.get(feed="kev"))
    assert (FeedState.objects.get(feed="kev").error, KnownExploited.objects.count()) == ("", 1)
    assert refresh_due() == 0, "they are of today"
    work_it_off(start_refresh("epss"))
    assert list(RequestLog.objects.filter(url__contains=yesterday).order_by("id").values_list("status_code", flat=True)) == [200, 304]
    published["/kev.json"] = kev(LOG4SHELL, OTHER)[:-40]
    assert work_it_off(start_refresh("kev")).state == WorkState.FAILED
    assert KnownExploited.objects.count() == 1


def test_without_an_integration_it_says_what_to_do() -> None:
    with pytest.raises(Conflict, match=r"no active integration of the type EPSS .* add one, or load a file"):
        start_refresh("epss")


def test_the_command_loads_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ingest(repository(), "grype", [vulnerable(LOG4SHELL)])
    path = tmp_path / "kev.json"
    path.write_bytes(kev(LOG4SHELL))
    call_command("load_feed", "kev", str(path))
    assert "1 rows, 1 of them changed; 1 findings were brought up to date." in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CommandError, match="not JSON"):
        call_command("load_feed", "kev", str(path))
    with pytest.raises(CommandError, match="can't be read"):
        call_command("load_feed", "kev", str(tmp_path / "none"))
