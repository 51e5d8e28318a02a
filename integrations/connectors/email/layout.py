"""From a message to subject, text and HTML. Pure; whatever systems wrote is escaped, and nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from integrations.contract.message import FindingLine, Message, Tone
from integrations.messages.cutting import and_more, cut

MOST_FINDINGS = 5
MOST_REASONS = 10
MOST_FACTS = 15
MOST_ITEMS = 50
_LONGEST_SUBJECT = 180  # of RFC 5322's 998 octets in all: longer ones are of no use in a list of mails
_LONGEST_TITLE, _LONGEST_TEXT, _LONGEST_LINE = 300, 4_000, 300
_COLOURS = {Tone.GOOD: "#1a7f37", Tone.INFO: "#0550ae", Tone.WARNING: "#9a6700", Tone.BAD: "#bc4c00", Tone.CRITICAL: "#cf222e"}
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MUTED = "color:#57606a"


def subject(message: Message, prefix: str = "") -> str:
    """Return one line."""
    return cut(" ".join(f"{prefix} {message.title}".split()), _LONGEST_SUBJECT)


def text(message: Message) -> str:
    """Return the message as plain text."""
    parts = [[cut(message.title, _LONGEST_TITLE)]]
    if message.text:
        parts.append([cut(message.text, _LONGEST_TEXT)])
    parts.append([f"{name}: {value}" for name, value in _places(message)])
    parts.append([cut(count.words(), _LONGEST_LINE) for count in message.counts])
    parts.append(_titled("Why", [f"- {reason}" for reason in _reasons(message)]))
    parts.append(_titled("Findings", [line for finding in message.findings[:MOST_FINDINGS] for line in _finding_text(finding)]))
    parts.append([and_more(_left(message))])
    parts.append([f"- {item}" for item in _items(message)])
    if message.link:
        parts.append([f"Open it in the portal: {message.link}"])
    return "\n\n".join("\n".join(lines) for lines in ([line for line in part if line] for part in parts) if lines) + "\n"


def html(message: Message) -> str:
    """Return the message as HTML with its styles on the elements, as mail programs want it."""
    body = "\n".join(_blocks(message))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{_e(message.title, _LONGEST_TITLE)}</title>\n</head>\n"
        f'<body style="margin:0;padding:16px;background:#ffffff;color:#1f2328;{_FONT};font-size:14px;line-height:1.5">\n'
        f'<div style="max-width:640px;margin:0 auto;border-left:4px solid {_COLOURS[message.tone]};padding:4px 0 4px 16px">\n'
        f"{body}\n</div>\n</body>\n</html>\n"
    )


def _blocks(message: Message) -> Iterator[str]:
    yield f'<h1 style="font-size:18px;line-height:1.3;margin:0 0 8px">{_e(message.title, _LONGEST_TITLE)}</h1>'
    if message.text:
        yield f'<p style="margin:0 0 12px">{_lines(cut(message.text, _LONGEST_TEXT))}</p>'
    rows = [
        f'<tr><td style="padding:0 12px 2px 0;{_MUTED};vertical-align:top">{_e(name, 80)}</td>'
        f'<td style="padding:0 0 2px">{_e(value, _LONGEST_LINE)}</td></tr>'
        for name, value in _places(message)
    ]
    if rows:
        yield f'<table role="presentation" style="border-collapse:collapse;margin:0 0 12px;font-size:14px">{"".join(rows)}</table>'
    for count in message.counts:
        yield f'<p style="margin:0 0 4px"><strong>{_e(count.words(), _LONGEST_LINE)}</strong></p>'
    if reasons := _reasons(message):
        yield _heading("Why") + _list(_e(reason, _LONGEST_LINE) for reason in reasons)
    if message.findings:
        yield _heading("Findings") + _list(_finding_html(finding) for finding in message.findings[:MOST_FINDINGS])
    if left := and_more(_left(message)):
        yield f'<p style="margin:0 0 12px;{_MUTED}">{left}</p>'
    if items := _items(message):
        yield _list(_e(item, _LONGEST_LINE) for item in items)
    if message.link:
        yield (
            f'<p style="margin:16px 0 0"><a href="{escape(message.link)}" style="display:inline-block;background:#0550ae;color:#ffffff;'
            f'padding:8px 16px;border-radius:6px;text-decoration:none">Open it in the portal</a></p>'
        )


# --- parts of both ----------------------------------------------------------------------------------------------------


def _places(message: Message) -> list[tuple[str, str]]:
    known = [("Repository", message.repository), ("Branch", message.branch), ("Commit", message.short_commit)]
    facts = [*known, *message.facts[:MOST_FACTS]]
    return [(" ".join(cut(name, 80).split()), cut(value, _LONGEST_LINE)) for name, value in facts if value]


def _reasons(message: Message) -> list[str]:
    left = and_more(len(message.reasons) - MOST_REASONS)
    return [cut(reason, _LONGEST_LINE) for reason in message.reasons[:MOST_REASONS]] + ([left] if left else [])


def _items(message: Message) -> list[str]:
    left = and_more(message.more_items + max(0, len(message.items) - MOST_ITEMS))
    return [cut(item, _LONGEST_LINE) for item in message.items[:MOST_ITEMS]] + ([left] if left else [])


def _left(message: Message) -> int:
    return message.more_findings + max(0, len(message.findings) - MOST_FINDINGS)


def _marks(finding: FindingLine) -> str:
    """Return what else is to be known of a finding, in one line."""
    fix = f"fixed in {finding.fixed_version}" if finding.fixed_version else ""
    exploited = "known to be exploited" if finding.known_exploited else ""
    return cut(", ".join(part for part in (finding.where, *finding.identifiers[:2], fix, exploited) if part), _LONGEST_LINE)


# --- plain text -------------------------------------------------------------------------------------------------------


def _titled(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", *lines] if lines else []


def _finding_text(finding: FindingLine) -> list[str]:
    lines = [f"- {finding.severity.upper()} {cut(finding.title, _LONGEST_LINE)}", _marks(finding), finding.url]
    return [lines[0], *(f"  {line}" for line in lines[1:] if line)]


# --- HTML -------------------------------------------------------------------------------------------------------------


def _e(value: str, limit: int) -> str:
    return escape(cut(value, limit))


def _lines(value: str) -> str:
    return escape(value).replace("\n", "<br>\n")


def _heading(title: str) -> str:
    return f'<h2 style="font-size:14px;margin:12px 0 4px">{title}</h2>\n'


def _list(items: Iterator[str]) -> str:
    return '<ul style="margin:0 0 12px;padding-left:20px">' + "".join(f'<li style="margin:0 0 6px">{item}</li>' for item in items) + "</ul>"


def _finding_html(finding: FindingLine) -> str:
    title = _e(finding.title, _LONGEST_LINE)
    if finding.url:
        title = f'<a href="{escape(finding.url)}" style="color:#0550ae">{title}</a>'
    marks = _marks(finding)
    detail = f'<br><span style="{_MUTED}">{escape(marks)}</span>' if marks else ""
    return f"<strong>{_e(finding.severity.upper(), 20)}</strong> {title}{detail}"
