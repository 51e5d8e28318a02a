"""The texts of tickets: one ticket for a subject, its title, its parts, and what is said when something changes. Platforms lay them out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.utils.crypto import salted_hmac

from integrations.contract.message import FindingLine, Message, Standing
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.cutting import cut, line
from integrations.messages.message import message_of
from integrations.messages.reading import listed, mapping, plural

MOST_LISTED = 20
_MARK_LENGTH = 20
_LONG = 300
_LONGEST_KEY = 160
"""Some way below what a memory keeps (200), as words are put behind it."""
_CVE = re.compile(r"CVE-\d{4}-\d{4,19}")
_GHSA = re.compile(r"GHSA(-[23456789cfghjmpqrvwx]{4}){3}")
_SPLIT = ("finding.accepted", "finding.expired", "finding.exploited")


@dataclass(frozen=True)
class Words:
    """A piece of a line; with an address it is a link."""

    text: str
    url: str = ""


Line = tuple[Words, ...]


@dataclass(frozen=True)
class Section:
    """A list under a heading."""

    heading: str
    lines: tuple[Line, ...]
    more: int = 0
    """How many were left out."""


@dataclass(frozen=True)
class TicketText:
    """The body of a ticket or of a comment. Every text is one line, clean, never empty, and not escaped."""

    paragraphs: tuple[str, ...] = ()
    facts: tuple[tuple[str, Line], ...] = ()
    sections: tuple[Section, ...] = ()
    links: Line = ()
    footer: str = ""

    def shorter(self) -> TicketText | None:
        """Return the same with half as many lines in its lists, None where there are none left."""
        if not any(section.lines for section in self.sections):
            return None
        return replace(self, sections=tuple(_halved(section) for section in self.sections))


def ticket_messages(event: OutgoingEvent) -> list[Message]:
    """Return what an event tells of subjects that tickets are about, one message each; none for what is no ticket's business."""
    message = message_of(event)
    if message.standing is not Standing.NONE:
        return [message]
    if event.type not in _SPLIT:
        return []
    return [told for one in listed(event.data.get("findings")) if (told := _of_one(event, mapping(one))).standing is not Standing.NONE]


def key_of(subject: str) -> str:
    """Return what a subject's ticket is remembered by: a long subject by its beginning and a hash."""
    return subject if len(subject) <= _LONGEST_KEY else f"{subject[:100]}:{hashlib.sha256(_bytes(subject)).hexdigest()[:_MARK_LENGTH]}"


def mark_of(subject: str, generation: int) -> str:
    """Return what a ticket is found by at the platform; of a subject's second ticket it is another.

    It is made with the portal's SECRET_KEY: who may write in the tracker, but knows no mark, can't put a ticket in the place of ours.
    """
    text = subject if generation == 1 else f"{subject}\n{generation}"
    return salted_hmac("repoguard.tickets", _bytes(text), algorithm="sha256").hexdigest()[:_MARK_LENGTH]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def severity_of(message: Message) -> str:
    """Return the severity of the one finding that a message is about, "" for anything else."""
    return message.findings[0].severity if _is_about_one(message) else ""


def title_of(message: Message, limit: int) -> str:
    """Return a ticket's title: what is wrong and where, without what just happened to it."""
    if not _is_about_one(message):
        return cut(line(message.title), limit)
    found = message.findings[0]
    where = f" in {message.repository}" if message.repository else ""
    place = f" ({found.where})" if found.where else ""
    start = f"{found.severity}: "
    room = limit - len(start) - len(where)
    told = cut(f"{found.title}{place}", room) if room >= limit // 2 else f"{found.title}{place}"
    return cut(line(f"{start}{told}{where}"), limit)


def told_facts(message: Message) -> dict[str, str]:
    """Return what a ticket tells that may change while it is open: where that differs, a comment says so."""
    if _is_about_one(message):
        found = message.findings[0]
        return {
            "Severity": found.severity,
            "Known to be exploited": "yes" if found.known_exploited else "no",
            "Fixed in version": found.fixed_version or "none known",
        }
    if not message.reasons and not message.findings:
        return {}
    named = ", ".join(sorted(one.finding_id or one.title for one in message.findings))
    return {"Reasons": hashlib.sha256("\n".join(message.reasons).encode()).hexdigest()[:16],
            "Findings": hashlib.sha256(f"{named}:{message.more_findings}".encode()).hexdigest()[:16]}  # fmt: skip


def body_of(message: Message, earlier: Words | None = None) -> TicketText:
    """Return the body of a new ticket; `earlier` is the one that it takes the place of."""
    about_one = _is_about_one(message)
    paragraphs = _paragraphs(message.text if message.text else "" if about_one else message.title)
    facts = [*_place(message), *(_about(message.findings[0]) if about_one else ()), *_more_facts(message)]
    if earlier:
        facts.append(("Earlier ticket", (earlier,)))
    return TicketText(paragraphs, tuple(facts), () if about_one else _sections(message), _links(message), _footer(message))


def comment_of(message: Message, changes: tuple[str, ...] = ()) -> TicketText:
    """Return a comment: what happened, and what changed."""
    sections = () if _is_about_one(message) or message.standing is Standing.RESOLVED else _sections(message)
    facts = [*_place(message), *_more_facts(message)]
    return TicketText((message.title, *_paragraphs(message.text), *changes), tuple(facts), sections, _links(message), _footer(message))


def changes_of(before: Mapping[str, str], message: Message) -> tuple[str, ...]:
    """Return a sentence for each told fact that is not what it was."""
    now = told_facts(message)
    changed = [name for name, value in now.items() if name in before and before[name] != value]
    if _is_about_one(message):
        return tuple(f"{name}: {before[name]} → {now[name]}." for name in changed)
    return tuple(f"{name} have changed." for name in changed)


def _of_one(event: OutgoingEvent, found: Mapping[str, object]) -> Message:
    data = {**event.data, "location": None, "package": None, **found, "count": 1, "findings": [dict(found)], "by_severity": {}}
    return message_of(replace(event, data=data))


def _is_about_one(message: Message) -> bool:
    return message.subject.startswith("finding:") and len(message.findings) == 1


def _paragraphs(text: str) -> tuple[str, ...]:
    lines = (line(one, 2_000) for one in text.splitlines()[:20])
    return tuple(one for one in lines if one)


def _place(message: Message) -> list[tuple[str, Line]]:
    named = (("Repository", message.repository), ("Branch", message.branch), ("Commit", message.commit))
    return [(name, (Words(cut(value, _LONG)),)) for name, value in named if value]


def _about(found: FindingLine) -> list[tuple[str, Line]]:
    score = f" (CVSS {found.cvss:g})" if found.cvss is not None else ""
    package = " ".join(found.package[name] for name in ("ecosystem", "name", "version") if found.package.get(name))
    location = f"{found.path}:{found.line}" if found.path and found.line else found.path
    texts = (
        ("Severity", f"{found.severity}{score}"),
        ("Known to be exploited", "yes, by CISA's catalogue: mend it first" if found.known_exploited else ""),
        ("Package", package),
        ("Fixed in version", found.fixed_version),
        ("Location", location),
        ("Rule", found.rule),
        ("Condition that it breaks", found.condition),
    )
    told: list[tuple[str, Line]] = [(name, (Words(cut(value, _LONG)),)) for name, value in texts if value]
    identifiers = tuple(Words(one, _advisory(one)) for one in found.identifiers[:MOST_LISTED])
    return [*told, ("Identifiers", identifiers)] if identifiers else told


def _more_facts(message: Message) -> list[tuple[str, Line]]:
    return [(cut(name, 100), (Words(cut(value, _LONG)),)) for name, value in message.facts[:MOST_LISTED]]


def _advisory(identifier: str) -> str:
    """Return the public page about an identifier; the address is made here, whatever the scanner said."""
    if _CVE.fullmatch(identifier):
        return f"https://nvd.nist.gov/vuln/detail/{identifier}"
    return f"https://github.com/advisories/{identifier}" if _GHSA.fullmatch(identifier) else ""


def _sections(message: Message) -> tuple[Section, ...]:
    counts = tuple((Words(count.words()),) for count in message.counts)
    reasons = tuple((Words(cut(line(reason), _LONG)),) for reason in message.reasons[:MOST_LISTED])
    findings = tuple(_finding(found) for found in message.findings[:MOST_LISTED])
    made = (
        Section("Counts", counts),
        Section("Reasons", reasons, len(message.reasons) - len(reasons)),
        Section("Findings", findings, len(message.findings) - len(findings) + message.more_findings if findings else 0),
    )
    return tuple(section for section in made if section.lines)


def _finding(found: FindingLine) -> Line:
    details = [found.where, *found.identifiers[:3], f"fixed in {found.fixed_version}" if found.fixed_version else ""]
    known = ", ".join(cut(one, 120) for one in details if one)
    start = (Words(f"{found.severity}: "), Words(cut(found.title, 200), found.url))
    return (*start, Words(f" – {known}")) if known else start


def _links(message: Message) -> Line:
    return (Words("Details", message.link),) if message.link else ()


def _footer(message: Message) -> str:
    return f"RepoGuard event {message.event_id} ({message.event_type})"


def _halved(section: Section) -> Section:
    kept = len(section.lines) // 2
    return replace(section, lines=section.lines[:kept], more=section.more + len(section.lines) - kept)


def more_words(section: Section) -> str:
    """Return what stands at the end of a list that was cut."""
    return f"and {section.more:,} more" if section.lines else plural(section.more, "entry is", "entries are") + " not shown"
