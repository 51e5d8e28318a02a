"""Reports of findings as files: who may have them, what they hold, and that no title gets out of its place."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from reportlab.pdfgen.canvas import Canvas

from integrations.models import Integration, Repository
from scans.categories import prefix_of
from scans.models import Finding, Policy, Stream
from scans.reports import answering, html, pdf
from scans.services.triage import Decision, decide
from tests.access.keys import client_of
from tests.scans.kit import code, ingest, vulnerable
from tests.scans.test_uploads import run, sarif, upload
from tests.scans.test_uploads import shop as shop

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def ask(client: Any, repository: Repository, format: str, **query: str) -> Any:
    return client.get(f"/api/v1/repositories/{repository.id}/report", {"report_format": format, **query})


def table(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))


def many(repository: Repository, number: int) -> None:
    ingest(repository, "semgrep", [code(f"r{one}", path=f"src/{one}.py", mark=f"{one:016x}ab") for one in range(number)])


def test_it_holds_what_is_there_with_what_was_decided_and_counts_the_rest(alice: User, shop: Repository) -> None:
    ingest(shop, "trivy", [vulnerable("CVE-2020-8203", fixed="4.17.20"), vulnerable("CVE-2020-1", package="a", severity="low")])
    ingest(shop, "semgrep", [code("gone")])
    ingest(shop, "semgrep", [code("xss")], commit="a" * 40)
    ingest(shop, "semgrep", [code("later", path="b.py")], ref="topic")
    decide(Finding.objects.get(rule="xss"), Decision("accepted", "an inner tool", timezone.now() + timedelta(days=3)))
    client = client_of(alice)
    answer = ask(client, shop, "json")
    assert answer["Content-Disposition"].startswith('attachment; filename="acme-shop-main-findings-2')
    said = json.loads(answer.getvalue())
    assert [one["rule"] for one in said["findings"]] == ["xss", "CVE-2020-8203", "CVE-2020-1"]
    assert said["findings"][0]["decision"]["reason"] == "an inner tool"
    about = said["report"]
    assert {one["tool"]: one["commit"] for one in about["scans"]} == {"semgrep": "a" * 40, "trivy": ""}
    assert about["by_severity"]["high"] == {"open": 1, "new": 1, "accepted": 1, "other": 0, "suppressed": 0, "fixed": 1}
    assert (about["total"], about["gate"]) == (3, None)
    rules = {
        query: {one["rule"] for one in table(ask(client, shop, "csv", **dict(pair.split("=") for pair in query.split("&"))))}
        for query in ("state=fixed", "ref=topic", "min_severity=high&triage=none", "state=all&kind=code", "since=2999-01-01&state=fixed")
    }
    assert list(rules.values()) == [{"gone"}, {"later"}, {"CVE-2020-8203"}, {"xss", "gone"}, set()]
    ingest(shop, "semgrep", [], ref="topic")
    fixed = json.loads(ask(client, shop, "json", ref="topic", state="fixed").getvalue())
    assert [(one["rule"], one["state"]) for one in fixed["findings"]] == [("later", "fixed")]


def test_what_an_integration_read_goes_by_its_name(alice: User, shop: Repository) -> None:
    by = Integration.objects.create(name="Our Snyk", type="snyk")
    ingest(shop, "snyk", [code("xss")], category="org")
    Stream.objects.update(category=f"{prefix_of(by.id)}org")  # as a pulled scan writes it
    ingest(shop, "semgrep", [code("sqli")], category="nightly")
    client = client_of(alice)
    scans = json.loads(ask(client, shop, "json").getvalue())["report"]["scans"]
    assert [(one["category"], one["integration"]) for one in scans] == [("nightly", None), ("org", "Our Snyk")]
    page = ask(client, shop, "html").getvalue().decode()
    assert "snyk org by Our Snyk:" in page
    assert by.id.hex not in page


def test_only_who_sees_the_repository_gets_it_and_wrong_words_are_named(alice: User, charlie: User, shop: Repository) -> None:
    assert ask(client_of(charlie), shop, "csv").status_code == 404
    assert ask(client_of(alice, "scans:read"), shop, "csv").status_code == 403
    client = client_of(alice)
    assert set(ask(client, shop, "csv", state="x", since="x", suppressed="x").json()["fields"]) == {"state", "since", "suppressed"}
    assert "must be one of" in ask(client, shop, "docx").json()["fields"]["report_format"][0]
    assert ask(client, shop, "csv", severity="high").json()["code"] == "unknown_parameter"


def test_no_cell_is_a_formula(alice: User, shop: Repository) -> None:
    titles = ["=1+1", "@SUM(A1)", "-2", "+3", "\"=cmd|' /C calc'!A0", " =4", "\uff1d5"]
    ingest(shop, "semgrep", [code(f"r{n}", path=f"{n}.py", title=title, mark=f"{n:016x}") for n, title in enumerate(titles)])
    Finding.objects.filter(rule="r2").update(title="\t=1", package="\r=2")
    found = {row["rule"]: row for row in table(ask(client_of(alice), shop, "csv"))}
    assert {row["title"][0] for row in found.values()} == {"'"}
    assert (found["r2"]["title"], found["r2"]["package"]) == ("'\t=1", "'\r=2")


def test_many_findings_are_read_by_the_batch_and_sent_in_pieces(alice: User, shop: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scans.reports.rows.BATCH", 50)
    monkeypatch.setattr("scans.reports.answering._PIECE", 2048)
    many(shop, 501)
    client = client_of(alice)
    with CaptureQueriesContext(connection) as asked:
        pieces = [len(piece) for piece in ask(client, shop, "csv").streaming_content]
    read = [one["sql"] for one in asked if 'ORDER BY "scans_finding"."id" DESC' in one["sql"]]
    assert (len(read), all("LIMIT 50" in sql for sql in read)) == (11, True)
    assert (len(pieces) > 50, max(pieces) < 4096) == (True, True)
    assert len(table(ask(client, shop, "csv"))) == 501


def test_few_are_made_at_a_time_and_each_gives_its_place_back(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    held = [ask(client, shop, "csv") for _ in range(answering._places.most)]
    busy = ask(client, shop, "csv")
    assert (busy.status_code, busy.json()["code"], busy["Retry-After"]) == (503, "reports_busy", "5")
    for answer in held:
        answer.getvalue()
    assert ask(client, shop, "csv").getvalue().startswith(b"id,severity,title")


HOSTILE = "</td></table><script>alert(1)</script><para><b>漢字</b>&amp;\u202eevil"


class Page(HTMLParser):
    """The tags of a page, the texts of its links, and where these lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.linked = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.linked += data if self.get_starttag_text() and "title" in str(self.get_starttag_text()) else ""


def test_a_hostile_title_stays_a_title_in_a_page_that_needs_no_other_host(alice: User, shop: Repository) -> None:
    ingest(shop, "semgrep", [code("xss", title=HOSTILE)])
    decide(Finding.objects.get(), Decision("accepted", "<img src=//evil.example>"))
    answer = ask(client_of(alice), shop, "html")
    text = answer.getvalue().decode()
    page = Page(text)
    assert page.tags.isdisjoint({"script", "img", "b", "para", "link"})
    assert HOSTILE.replace("\u202e", "\ufffd") in page.linked
    assert {urlsplit(link).netloc for link in page.links} == {urlsplit(settings.PUBLIC_URL).netloc}
    assert (text.count("<table"), text.count("</table>")) == (3, 3)
    assert "default-src &#x27;none&#x27;" in text
    assert answer["Content-Disposition"].startswith("attachment;")


def test_a_pdf_sets_every_letter_of_hostile_texts_and_says_what_it_leaves_out(
    alice: User, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(shop, "semgrep", [code("xss", title=HOSTILE, path="y" * 240 + ".py"), *(code(f"r{n}", path=f"{n}.py") for n in range(3))])
    Finding.objects.update(title=HOSTILE)
    drawn: list[tuple[str, str]] = []
    draw = Canvas.drawString

    def drawing(canvas: Canvas, x: float, y: float, text: str, *args: Any, **kwargs: Any) -> None:
        drawn.append((canvas._fontname, text))
        draw(canvas, x, y, text, *args, **kwargs)

    monkeypatch.setattr(Canvas, "drawString", drawing)
    monkeypatch.setattr(pdf, "MOST", 3)
    answer = ask(client_of(alice), shop, "pdf")
    assert (answer["Content-Type"], answer.getvalue()[:5]) == ("application/pdf", b"%PDF-")
    said = "".join(text for _, text in drawn)
    assert HOSTILE.replace("\u202e", "\ufffd").replace(" ", "") in said.replace(" ", "")
    assert ("STSong-Light", "漢字") in drawn
    assert "And 1 more: the 3 worst are above." in said


def test_a_pdf_is_bounded_by_its_letters(alice: User, shop: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    many(shop, 30)
    Finding.objects.update(title="漢" * 400)
    monkeypatch.setattr(pdf, "MOST_LETTERS", 5_000)
    said: list[str] = []
    monkeypatch.setattr(pdf, "more_sentence", lambda over, most: said.append(f"{most} of {over.total}") or "")
    assert ask(client_of(alice), shop, "pdf").getvalue().startswith(b"%PDF-")
    assert said == ["11 of 30"]


def test_documents_say_the_gate_what_is_overdue_and_what_they_leave_out(
    alice: User, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(alice)
    upload(client, sarif("xss", "sql-injection", "eval"), commit="a" * 40)
    run()
    Policy.objects.create(name="days", repository=shop, conditions=[], sla_days={"high": 7})
    known = {"known_exploited": True, "exploited_due": "2026-12-01", "epss": 0.931}
    Finding.objects.update(opened_at=timezone.now() - timedelta(days=12), package="log4j", version="1", fixed_version="2", **known)
    for finding in Finding.objects.exclude(rule="eval"):
        decide(finding, Decision("ignored", "nobody calls it"))
    for module, most in ((html, 2), (pdf, 2)):
        monkeypatch.setattr(module, "MOST", most)
        monkeypatch.setattr(module, "MOST_DECIDED", 1)
    page = ask(client, shop, "html").getvalue().decode()
    for text in (
        "By the policy “built-in default” of commit aaaa", ">broken</td><td>no new findings of severity high or worse: 3 found",
        "overdue since",
        "known exploited, due 2026-12-01, EPSS 93.1%", "log4j@1 → 2", "ignored by system: nobody", "And 1 more: the 2 worst are above",
        "These are the first 1; the CSV has all.",
    ):  # fmt: skip
        assert text in page, text
    assert ask(client, shop, "pdf").getvalue().startswith(b"%PDF-")
    Finding.objects.all().update(state="fixed", fixed_at=timezone.now())
    for format in ("html", "pdf"):
        assert len(ask(client, shop, format).getvalue()) > 1000
    assert "There are none." in ask(client, shop, "html").getvalue().decode()
    assert "fixed 20" in ask(client, shop, "html", state="fixed", kind="code", triage="ignored", suppressed="false").getvalue().decode()
