"""Messages about scans and findings."""

from __future__ import annotations

from dataclasses import replace

from integrations.contract.message import SEVERITIES, Message, Standing, Tone
from integrations.messages.reading import Data, amount, by_severity, count, facts, finding_line, findings_of, paragraph, plural, word

_TONES = {"critical": Tone.CRITICAL, "high": Tone.BAD, "medium": Tone.WARNING}
_BAD_NEWS = {"opened": "New", "reopened": "Back", "exploited": "Exploited", "expired": "Counts again"}
_SETTLED = {"fixed": "Fixed", "accepted": "Risk accepted"}


def tell_scan(head: Message, data: Data) -> Message:
    """Say what became of a scan."""
    status, tool = word(data.get("status"), 20), word(data.get("tool"), 100)
    new = amount(data.get("new"))
    standing, tone, text = Standing.NONE, Tone.INFO, ""
    if head.event_type == "scan.failed" or status == "failed":
        status, standing, tone = "failed", Standing.OPEN, Tone.BAD
        text = paragraph(data.get("error"))
    elif status in ("completed", "partial"):
        standing, tone = Standing.RESOLVED, Tone.WARNING if new or status == "partial" else Tone.GOOD
        parts = [f"{amount(data.get(name)):,} {name}" for name in ("new", "fixed", "reopened")]
        text = f"{', '.join(parts)}; {plural(amount(data.get('total')), 'finding')} in the report."
    words = {"completed": "completed", "partial": "completed in part", "failed": "failed", "running": "started", "queued": "queued"}
    named = findings_of(data, "top_findings")
    return replace(
        head,
        title=f"Scan {words.get(status, 'changed')}: {head.repository or 'unknown repository'}",
        text=text,
        tone=tone,
        standing=standing,
        subject=f"scan:{head.provider}/{head.repository}:{head.branch}:{tool}",
        counts=(count("in the report", data["by_severity"]),) if data.get("by_severity") else (),
        findings=named,
        more_findings=max(new - len(named), 0),
        facts=facts(data, tool="Tool", integration="Integration", trigger="Trigger", gate="Gate"),
    )


def tell_finding(head: Message, data: Data) -> Message:
    """Say what happened to findings: to one, or to many of a scan at once."""
    kind = head.event_type.split(".")[1]
    many = max(amount(data.get("count")), 1)
    named = findings_of(data) or (finding_line(data),)
    severities = by_severity(data.get("by_severity"))
    worst = next((name for name in SEVERITIES if severities.get(name)), named[0].severity)
    what = _BAD_NEWS.get(kind) or _SETTLED.get(kind) or kind.capitalize()
    single = many == 1
    told = named[0].title if single else plural(many, "finding")
    place = f" in {head.repository}" if head.repository else ""
    text = paragraph(data.get("reason"))
    return replace(
        head,
        title=f"{what}: {f'{worst} – ' if kind in _BAD_NEWS else ''}{told}{place}",
        text=text,
        tone=Tone.GOOD if kind in _SETTLED else _TONES.get(worst, Tone.INFO),
        standing=_standing(kind) if single and named[0].finding_id else Standing.NONE,
        subject=f"finding:{named[0].finding_id}"
        if single and named[0].finding_id
        else f"findings:{head.provider}/{head.repository}:{head.branch}",
        link=(named[0].url if single else "") or head.link,
        counts=() if single else (count({"opened": "new", "reopened": "back"}.get(kind, kind), severities),),
        findings=named,
        more_findings=max(many - len(named), 0),
        facts=facts(data, tool="Tool", accepted_by="Accepted by", until="Until"),
    )


def _standing(kind: str) -> Standing:
    return Standing.RESOLVED if kind in _SETTLED else Standing.OPEN if kind in _BAD_NEWS else Standing.NONE
