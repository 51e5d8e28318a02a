"""Messages about repositories, pull requests, integrations, the portal's own deliveries, and whatever else is published."""

from __future__ import annotations

from dataclasses import replace

from integrations.contract.message import Message, Standing, Tone
from integrations.messages.reading import Data, duration, facts, listed, mapping, paragraph, plural, web_address, word

_MAX_FACTS = 10
_LISTED_ELSEWHERE = frozenset({"repository", "project", "ref", "branch", "commit", "after", "url", "message", "title", "provider"})
_OPEN = ("unhealthy", "failing", "source_silent", "exhausted", "disabled", "failed", "signature_failures")
_RESOLVED = ("recovered", "source_recovered", "enabled")


def tell_repository(head: Message, data: Data) -> Message:
    """Say what was pushed, or what else happened to a repository."""
    if head.event_type != "repository.pushed":
        return tell_other(head, data)
    commits, last = listed(data.get("commits")), mapping(data.get("head_commit"))
    who = word(mapping(data.get("pusher")).get("name"), 100)
    many = plural(len(commits), "commit") if commits else "Changes"
    return replace(
        head,
        title=f"{many} pushed to {head.repository or 'a repository'}",
        text=paragraph(last.get("message"), 500),
        subject=f"push:{head.repository}:{head.branch}",
        link=web_address(data.get("compare")) or web_address(last.get("url")) or head.link,
        facts=(("Pushed by", who),) if who else (),
    )


def tell_pull_request(head: Message, data: Data) -> Message:
    """Say what happened to a pull request."""
    pull = mapping(data.get("pull_request"))
    number, action = word(data.get("number"), 20), word(data.get("action"), 40).replace("_", " ")
    source = mapping(pull.get("head"))
    return replace(
        head,
        title=f"Pull request {f'#{number} ' if number else ''}{action or 'changed'}: {head.repository or 'unknown repository'}",
        text=word(pull.get("title"), 500),
        subject=f"pull_request:{head.repository}:{number}",
        branch=head.branch or word(source.get("ref")),
        commit=head.commit or word(source.get("sha"), 64),
        link=web_address(pull.get("html_url")) or head.link,
    )


def tell_integration(head: Message, data: Data) -> Message:
    """Say how an integration stands."""
    name, kind = word(data.get("integration")), head.event_type.split(".")[1]
    failed_for = duration(data.get("failed_seconds"))
    return replace(
        head,
        title=f"Integration {kind.replace('_', ' ')}: {name or 'unnamed'}",
        text=paragraph(data.get("reason")),
        tone={"unhealthy": Tone.BAD, "recovered": Tone.GOOD}.get(kind, Tone.WARNING),
        standing=_standing(kind),
        subject=f"integration:{word(data.get('integration_id'), 100)}",
        facts=(
            *facts(data, provider="Provider", failing_since="Failing since", expires_at="Expire at", used="Used", limit="Limit"),
            *((("Failed for", failed_for),) if failed_for else ()),
        ),
    )


def tell_operation(head: Message, data: Data) -> Message:
    """Say what the portal has to tell of its own webhooks, deliveries and inbound sources."""
    family, _, kind = head.event_type.partition(".")
    if family == "inbound" and "source_id" in data and "payload" in data:
        return tell_other(head, data)
    about = word(data.get("name")) or word(data.get("webhook_id") or data.get("source_id"), 100)
    standing = _standing(kind)
    tone = {Standing.OPEN: Tone.BAD, Standing.RESOLVED: Tone.GOOD, Standing.NONE: Tone.INFO}[standing]
    id = word(data.get("delivery_id") or data.get("webhook_id") or data.get("source_id"), 100)
    return replace(
        head,
        title=f"{family.capitalize()} {kind.replace('_', ' ').replace('.', ' ')}{f': {about}' if about else ''}",
        text=paragraph(data.get("reason")) or paragraph(data.get("error")) or paragraph(data.get("message")),
        tone=tone,
        standing=standing if id else Standing.NONE,
        subject=f"{family}:{id}",
        facts=facts(data, event_type="Event", attempts="Attempts", status_code="Status", provider="Provider", count="Requests"),
    )


def tell_other(head: Message, data: Data) -> Message:
    """Tell an event that the portal knows nothing of: its type, and the texts and numbers on its first level."""
    named = word(data.get("title"), 200)
    shown = [(word(name, 60), word(value, 300)) for name, value in list(data.items())[:100] if name not in _LISTED_ELSEWHERE]
    place = f": {head.repository}" if head.repository else ""
    return replace(
        head,
        title=named or f"{head.event_type}{place}",
        text=paragraph(data.get("message")),
        subject=f"{head.event_type}:{head.repository}:{head.branch}",
        facts=tuple((name, value) for name, value in shown if name and value)[:_MAX_FACTS],
    )


def _standing(kind: str) -> Standing:
    return Standing.OPEN if kind in _OPEN else Standing.RESOLVED if kind in _RESOLVED else Standing.NONE
