"""What chats say alike of a message: the sign before its title, names with values, the words behind a finding, the line below."""

from __future__ import annotations

from datetime import UTC

from integrations.contract.message import SEVERITIES, FindingLine, Message, Tone

TOP_FINDINGS, TOP_REASONS = 5, 10
BUTTON = "Open details"
SIGNS = {Tone.GOOD: "✅", Tone.INFO: "ℹ️", Tone.WARNING: "⚠️", Tone.BAD: "❌", Tone.CRITICAL: "🚨"}


def titled(message: Message) -> str:
    """Return the title behind the sign of its tone."""
    return f"{SIGNS[message.tone]} {message.title}"


def named_values(message: Message) -> list[tuple[str, str]]:
    """Return repository, branch and commit, as far as they are known, then the facts."""
    place = (("Repository", message.repository), ("Branch", message.branch), ("Commit", message.short_commit))
    return [(name, value) for name, value in (*place, *message.facts) if value]


def behind(finding: FindingLine) -> str:
    """Return what is said behind a finding's title: where it is, its first identifier, whether it is exploited, what mends it."""
    parts = [
        finding.where,
        next((one for one in finding.identifiers if one not in finding.title), ""),
        "known to be exploited" if finding.known_exploited else "",
        f"fixed in {finding.fixed_version}" if finding.fixed_version else "",
    ]
    return " · ".join(filter(None, parts))


def shown_findings(message: Message) -> tuple[list[FindingLine], int]:
    """Return the worst findings, which a message shows, and how many more there are."""
    worst = sorted(message.findings, key=lambda one: (SEVERITIES.index(one.severity), not one.known_exploited))
    shown = worst[:TOP_FINDINGS]
    return shown, message.more_findings + len(worst) - len(shown)


def shown_reasons(message: Message) -> tuple[tuple[str, ...], int]:
    """Return why a gate failed, as much of it as somebody reads, and how many reasons more there are."""
    shown = message.reasons[:TOP_REASONS]
    return shown, len(message.reasons) - len(shown)


def below(message: Message) -> str:
    """Return the type of the event, and when it happened."""
    return f"{message.event_type} · {message.occurred_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
