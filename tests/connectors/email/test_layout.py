"""What mails look like: golden files, and a reader of HTML that trusts nothing over every event there is."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings

from integrations.connectors.email import layout
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.message import message_of
from tests.connectors.told import GOLDEN_TYPES, digest, every_type, example, gate, golden, hostile_events, monsters

pytestmark = pytest.mark.once
HERE = Path(__file__).parent
TAGS = {"html", "head", "meta", "title", "body", "div", "h1", "h2", "p", "table", "tr", "td", "strong", "ul", "li", "a", "br", "span"}
ATTRIBUTES = {"style", "href", "role", "lang", "charset"}
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Fails on whatever a mail of ours never holds."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.items = 0
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        assert {name for name, _ in attrs} <= ATTRIBUTES, attrs
        for name, value in attrs:
            if name == "href":
                assert (value or "").startswith(("https://", "http://")), value
                self.links.append(value or "")
            assert name != "style" or ("url(" not in (value or "") and "expression" not in (value or ""))
        self.items += tag == "li"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")


def check(event: OutgoingEvent) -> None:
    message = message_of(event)
    subject = layout.subject(message, "[RepoGuard]")
    assert len(subject) <= 180
    assert not set(subject) & set("\r\n\0\u2028\u2029\u202e")
    made = layout.html(message)
    reader = Reader()
    reader.feed(made)
    reader.close()
    assert reader.open == []
    assert reader.items <= 5 + 11 + 51
    text = layout.text(message)
    # Gmail cuts mails off at 102 KB
    assert len(made.encode()) < 102_000
    assert len(text.encode()) < 102_000
    assert "\r" not in text + made


@pytest.mark.parametrize("name", GOLDEN_TYPES)
def test_each_event_is_told_like_this(name: str) -> None:
    message = message_of(example(name))
    golden(HERE, f"{name}.txt", f"{layout.subject(message, '[RepoGuard]')}\n\n{layout.text(message)}")
    golden(HERE, f"{name}.html", layout.html(message))


def test_a_digest_and_a_huge_gate_are_told_like_this() -> None:
    for name, event in (
        ("digest", digest([gate(2), *(example(name) for name in GOLDEN_TYPES)] * 4, count=300)),
        ("huge", gate(1_000_000, reasons=60)),
    ):
        message = message_of(event)
        golden(HERE, f"{name}.txt", layout.text(message))
        golden(HERE, f"{name}.html", layout.html(message))
    assert "and 999,995 more" in layout.text(message)


def test_no_event_breaks_out_of_its_place() -> None:
    for event in [*every_type(), *monsters()]:
        check(event)


@settings(max_examples=40, deadline=None)
@given(event=hostile_events())
def test_no_hostile_event_breaks_out_of_its_place(event: OutgoingEvent) -> None:
    check(event)
