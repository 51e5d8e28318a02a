"""What a check run shows: title, summary, and marks on the lines of files. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integrations.connectors.github.telling.markdown import link, short
from integrations.connectors.github.telling.verdicts import Verdict
from integrations.contract.message import FindingLine, Message
from integrations.messages.cutting import and_more, cut, cut_bytes, fitting

MOST_SUMMARY = 60_000
MOST_TITLE, MOST_MESSAGE = 255, 4_000
_SHOWN_FINDINGS = 20
_LAST_LINE = 2**31 - 1
_LEVELS = {"critical": "failure", "high": "failure", "medium": "warning"}


@dataclass(frozen=True)
class Mark:
    """An annotation; `key` is the same whenever the same finding is marked."""

    key: str
    body: Mapping[str, Any]


def output(said: Message, verdict: Verdict) -> dict[str, str]:
    """Return title and summary, within GitHub's 65,535 characters; what does not fit is counted."""
    lines = list(_lines(said, verdict))
    kept, left = fitting(lines, MOST_SUMMARY, lambda line: len(line.encode()) + 1, reserve=60)
    if left:
        kept.append(f"\n{and_more(left)} lines".strip())
    return {"title": _title(said, verdict), "summary": "\n".join(kept)}


def marks(findings: Iterable[FindingLine]) -> list[Mark]:
    """Return the annotations of findings on a line of a file, each once."""
    found = {mark.key: mark for mark in map(_mark, findings) if mark is not None}
    return list(found.values())


def _title(said: Message, verdict: Verdict) -> str:
    counted = next((one.words() for one in said.counts if one.label == "new"), "")
    titles = {
        Verdict.RUNNING: "Scan is running",
        Verdict.ERROR: "Scan failed",
        Verdict.PASSED: f"Gate passed: {counted}" if counted else "Gate passed",
        Verdict.FAILED: f"Gate failed: {counted}" if counted else "Gate failed",
    }
    if said.event_type == "scan.completed":
        return f"Scan completed{' in part' if verdict is Verdict.ERROR else ''}; no gate decides"
    return cut(titles[verdict], MOST_TITLE)


def _lines(said: Message, verdict: Verdict) -> Iterator[str]:
    yield short(said.text or said.title, 4_000)
    if verdict is Verdict.ERROR:
        yield "\nNot all is known of this commit until a scan of it succeeds."
    if said.counts:
        yield ""
        yield from (f"* {short(one.words(), 500)}" for one in said.counts)
    if said.reasons:
        yield "\n### Why\n"
        yield from (f"* {short(one, 1_000)}" for one in said.reasons)
    if said.findings:
        yield "\n### Worst findings\n"
        yield from (_finding(one) for one in said.findings[:_SHOWN_FINDINGS])
        if more := and_more(said.more_findings + max(len(said.findings) - _SHOWN_FINDINGS, 0)):
            yield f"* {more}"
    yield ""
    yield from (f"* {short(name, 100)}: {short(value, 500)}" for name, value in said.facts)
    if said.link:
        yield f"\n{link('Details in RepoGuard', said.link)}"


def _finding(one: FindingLine) -> str:
    parts = [f"**{one.severity}** {link(one.title, one.url)}", short(one.where, 300), short(", ".join(one.identifiers[:5]), 300)]
    if one.fixed_version:
        parts.append(f"fixed in {short(one.fixed_version, 100)}")
    if one.known_exploited:
        parts.append("known to be exploited")
    return "* " + " · ".join(filter(None, parts))


def _mark(one: FindingLine) -> Mark | None:
    path = one.path.removeprefix("./").lstrip("/")
    if not path or not one.line or one.line > _LAST_LINE or ".." in path.split("/"):
        return None
    told = [one.title, ", ".join(one.identifiers[:10]), f"Fixed in {one.fixed_version}" if one.fixed_version else "", one.url]
    name = one.finding_id or f"{path}:{one.line}:{one.rule}:{one.title}"
    body = {
        "path": path,
        "start_line": one.line,
        "end_line": one.line,
        "annotation_level": _LEVELS.get(one.severity, "notice"),
        "title": cut(f"{one.severity.capitalize()}: {one.rule or one.title}", MOST_TITLE),
        "message": cut_bytes("\n".join(filter(None, told)), MOST_MESSAGE),
    }
    return Mark(hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:12], body)
