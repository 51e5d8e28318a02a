"""The message that every platform shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from integrations.contract.message import Message, Standing, Tone
from integrations.messages.cutting import and_more, clean, cut, cut_bytes, cut_escaped, fitting
from integrations.messages.message import message_of
from tests.connectors.told import HOSTILE, digest, every_type, example, finding, gate, hostile_events, monsters, outgoing

pytestmark = pytest.mark.once


def _texts(message: Message) -> list[str]:
    lines = [text for one in message.findings for text in (one.title, one.severity, one.where, one.rule, one.path, *one.identifiers)]
    return [message.title, message.text, message.repository, message.branch, message.commit, *message.reasons, *message.items, *lines,
            *(text for pair in message.facts for text in pair)]  # fmt: skip


def _holds(message: Message) -> None:
    assert message.title
    assert "\n" not in message.title
    for text in _texts(message):
        text.encode()
        assert not set("\x00\x07\u202e\u2028\r\t") & set(text)
    for link in (message.link, *(one.url for one in message.findings)):
        assert link == "" or link.startswith(("https://", "http://"))
    assert not message.standing or message.subject
    assert message.more_findings >= 0
    assert message.more_items >= 0


def test_every_declared_event_is_told() -> None:
    titles = {one.type: message_of(one).title for one in every_type()}
    assert titles["gate.failed"] == "Gate failed: acme/shop"
    assert titles["finding.opened"] == "New: high – Prototype pollution in lodash in acme/shop"
    assert titles["scan.completed"] == "Scan completed: acme/shop"
    assert titles["build.recovered"] == "Build recovered: acme/shop · test"
    assert titles["repository.pushed"] == "1 commit pushed to acme/shop"
    assert titles["pull_request.updated"] == "Pull request #42 synchronize: acme/shop"
    assert titles["integration.unhealthy"] == "Integration unhealthy: Snyk production"
    assert titles["webhook.failing"] == "Webhook failing: Deploy bot"
    for one in every_type():
        _holds(message_of(one))


def test_a_failed_gate_says_what_where_how_many_and_why() -> None:
    told = message_of(gate(7))
    assert (told.repository, told.branch, told.short_commit) == ("acme/shop", "main", "59b20b8d5c6f")
    assert [count.words() for count in told.counts] == ["10 new: 7 critical, 3 high", "1,507 in all: 7 critical, 300 high, 1,200 medium"]
    assert (told.tone, told.standing, told.subject) == (Tone.CRITICAL, Standing.OPEN, "gate:github/acme/shop:main")
    assert told.text.startswith("7 findings break the policy, decided after a scan.")
    assert len(told.reasons) == 2
    assert told.findings[0].where == "pkg-0 1.0"
    assert told.link.endswith("/change/")
    passed = message_of(example("gate.passed", previous="failed"))
    assert (passed.tone, passed.standing, passed.subject) == (Tone.GOOD, Standing.RESOLVED, told.subject)
    assert passed.text == "Nothing breaks the policy, decided after a scan. It was failed before."


@pytest.mark.parametrize(
    ("opened", "settled"),
    [
        (example("finding.opened.single"), example("finding.fixed.single")),
        (example("build.failed"), example("build.recovered")),
        (example("integration.unhealthy"), example("integration.recovered")),
        (example("scan.failed"), example("scan.completed")),
        (example("webhook.failing"), example("webhook.recovered")),
    ],
    ids=lambda one: one.type,
)
def test_what_is_settled_has_the_subject_of_what_was_opened(opened: Any, settled: Any) -> None:
    first, last = message_of(opened), message_of(settled)
    assert (first.standing, last.standing) == (Standing.OPEN, Standing.RESOLVED)
    assert first.subject == last.subject != ""


def test_an_event_that_only_names_a_repository_settles_no_alert_about_it() -> None:
    failed, forged = message_of(example("build.failed")), message_of(replace(example("build.recovered"), about=""))
    assert message_of(example("build.recovered")).subject == failed.subject
    assert forged.subject == f"claimed:{failed.subject}"
    assert message_of(replace(example("build.recovered"), about="github:acme/other")).subject == forged.subject
    assert message_of(replace(example("integration.recovered"), about="")).subject.startswith("integration:")


def test_an_alert_about_a_finding_is_of_its_branch() -> None:
    on_main, on_dev = (message_of(example("finding.fixed.single", ref=ref)) for ref in ("main", "dev"))
    assert on_main.subject == on_dev.subject
    assert on_main.alert_key != on_dev.alert_key
    assert message_of(gate(1)).alert_key == message_of(gate(1)).subject


def test_many_findings_are_one_message_and_no_alert() -> None:
    told = message_of(example("finding.opened", count=400, by_severity={"high": 100, "odd": 300}, findings=[finding(n) for n in range(5)]))
    assert told.title == "New: high – 400 findings in acme/shop"
    assert (told.standing, told.more_findings) == (Standing.NONE, 395)
    assert told.counts[0].words() == "400 new: 100 high, 300 unknown"


def test_a_digest_tells_every_event_and_the_worst_findings() -> None:
    told = message_of(digest([gate(3), example("build.failed"), example("scan.failed")]))
    assert told.title == "3 events: acme/shop"
    assert list(told.items) == ["Gate failed: acme/shop", "Build failed: acme/shop · test", "Scan failed: acme/shop"]
    assert [one.severity for one in told.findings] == ["critical", "critical", "high"]
    assert told.tone is Tone.CRITICAL
    assert message_of(digest([example("build.failed")] * 300)).more_items == 100
    assert message_of(digest([digest([gate(1)])])).items == ()


def test_monsters_are_told_too() -> None:
    for event in monsters():
        assert len(event.body) <= 5 * 1024 * 1024
        _holds(message_of(event))


@settings(max_examples=60, deadline=None)
@given(event=hostile_events())
def test_whatever_an_event_holds_it_is_told(event: Any) -> None:
    _holds(message_of(event))


def test_no_address_but_of_the_web_becomes_a_link() -> None:
    for bad in (
        "javascript:alert(1)",
        "https://",
        "https://a b",
        "https://u:p@example.com/",
        "https://x/|y>",
        "ftp://x/y",
        7,
        "https://[x",
    ):
        assert message_of(outgoing("custom.x", {"url": bad}, link="")).link == "", bad
    assert message_of(outgoing("custom.x", {"url": "https://example.com/a?b=c#d"})).link == "https://example.com/a?b=c#d"


def test_texts_are_cut_where_no_character_and_no_escape_is_cut_in_two() -> None:
    assert (cut("abc", 3), cut("abcd", 3), cut("abcd", 1), cut("a", 0)) == ("abc", "ab…", "…", "")
    assert cut_bytes("üüüü", 7) == "üü…"
    assert cut_bytes("üüüü", 8) == "üüüü"
    assert cut_bytes("ab", 1) == ""
    escaped = cut_escaped("&&&&", 12, lambda text: text.replace("&", "&amp;"))
    assert escaped == "&amp;&amp;…"
    assert cut_escaped("ab", 2, str.upper) == "AB"
    assert fitting(["aa", "bb", "cc"], 6, len) == (["aa", "bb", "cc"], 0)
    assert fitting(["aa", "bb", "cc"], 5, len, reserve=1) == (["aa", "bb"], 1)
    assert fitting(["aa", "bb", "cc"], 5, len, reserve=2) == (["aa"], 2)
    assert (and_more(0), and_more(1234)) == ("", "and 1,234 more")
    assert clean("a\x00b\r\nc\td\u202ee\ud800") == "ab\nc de?"
    assert "\n" in clean(HOSTILE)
