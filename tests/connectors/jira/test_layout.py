"""What Jira is sent: documents by Atlassian's schema, wiki markup in which nobody's text means anything, both within the limits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from core.errors import InvalidInput
from integrations.connectors.jira import adf, limits, wiki
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.message import message_of
from integrations.messages.tickets import TicketText, body_of, comment_of, title_of
from tests.connectors import told
from tests.connectors.contract import DictMemory
from tests.connectors.jira.kit import DATA_CENTER, options, tell
from tests.connectors.jira.stub import MOST, Jira, adf_problem

pytestmark = pytest.mark.once
FOLDER = Path(__file__).parent
GOLDEN = {
    "gate.failed": told.example("gate.failed"),
    "finding.opened.single": told.example("finding.opened.single"),
    "build.failed": told.example("build.failed"),
    "scan.failed": told.example("scan.failed"),
    "integration.unhealthy": told.example("integration.unhealthy"),
    "gate.huge": told.gate(400, "Prototype pollution in lodash & co. [see *this*]", 60),
}


def texts(event: OutgoingEvent) -> list[TicketText]:
    message = message_of(event)
    return [body_of(message), comment_of(message, ("Severity: high → critical.",))]


def java(text: str) -> int:
    """Return how long a text is in Java."""
    return len(text.encode("utf-16-le")) // 2


def held(event: OutgoingEvent) -> None:
    """Hold what is made of an event against schema and limits."""
    title = limits.summary(title_of(message_of(event), 255))
    assert 0 < java(title) <= 255
    assert title == " ".join(title.split())
    for text in texts(event):
        document = adf.document(text)
        assert adf_problem(document) == ""
        assert java(json.dumps(document, ensure_ascii=False)) < MOST
        assert java(wiki.markup(text)) < MOST


@pytest.mark.parametrize("name", GOLDEN)
def test_what_is_sent_is_as_it_was(name: str, settings: Any) -> None:
    settings.SECRET_KEY = "marks of golden files are made with this one"
    for kind, values in (("cloud", None), ("data-center", DATA_CENTER)):
        jira = Jira()
        tell(jira, GOLDEN[name], DictMemory(), **({"values": values} if values else {}))
        assert jira.refused == []
        sent: Any = jira.only()["fields"]
        told.golden(FOLDER, f"{name}.{kind}.json", sent)


def test_whatever_is_told_keeps_to_the_schema_and_the_limits() -> None:
    for event in [*told.every_type(), *told.monsters(), *GOLDEN.values()]:
        held(event)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(event=told.hostile_events())
def test_whatever_a_sender_may_say_keeps_to_them_too(event: OutgoingEvent) -> None:
    held(event)


def test_a_long_list_is_cut_and_says_so() -> None:
    document = json.dumps(adf.document(texts(told.gate(400, "x" * 400, 60))[0]))
    shown = int(re.search(r"and (\d+) more", document)[1]) if re.search(r"and (\d+) more", document) else 0  # type: ignore[index]
    assert shown
    assert "and 380 more" in document


def test_links_go_to_the_portal_and_to_advisories_by_addresses_made_here() -> None:
    event = told.example(
        "finding.opened.single", findings=[told.finding(1) | {"identifiers": ["CVE-2026-1", "CVE-2026-1001", "CVE-1](x)"]}]
    )
    links = re.findall(r'"href": "([^"]+)"', json.dumps(adf.document(body_of(message_of(event)))))
    assert links == ["https://nvd.nist.gov/vuln/detail/CVE-2026-1001", told.finding(1)["url"]]


def test_nobodys_text_is_wiki_markup() -> None:
    hostile = "h1. {color:red}x{color} [a|javascript:b] [~admin] !http://evil/p.png! *b* _i_ -s- ||h|| {{m}} ??c?? \\\\ \\{noformat} ---- "
    plain = wiki.escaped(f"{hostile}CVE-2026-1 snake_case")
    left = re.sub(r"\\[^A-Za-z0-9\s\\]", "", plain)
    assert not re.search(r"[{}\[\]|!*+^~?#\\]|(?<!\w)[-_]|[-_](?!\w)|://|^h1\.", left), left
    assert plain.endswith("CVE-2026-1 snake_case")
    message = message_of(told.example("finding.opened.single", findings=[told.finding(1, told.HOSTILE)]))
    for line in wiki.markup(body_of(message)).splitlines():
        assert not re.search(r"(?<!\\)\{|(?<!\\)\[(?!CVE|Details)", line), line


def test_a_summary_is_counted_as_java_counts() -> None:
    title = limits.summary(title_of(message_of(told.example("finding.opened.single", findings=[told.finding(1, "🙈" * 300)])), 255))
    assert java(title) in (254, 255)
    assert title.startswith("high: 🙈")
    assert title.endswith("🙈…")


def test_options_that_jira_would_refuse_are_refused_before() -> None:
    with pytest.raises(InvalidInput) as caught:
        options(priorities={"worst": "Highest"}, extra_fields={"summary": "mine"})
    assert set(caught.value.fields) == {"destination.priorities", "destination.extra_fields"}
    with pytest.raises(InvalidInput, match="no name of a priority"):
        options(priorities={"high": ""})
