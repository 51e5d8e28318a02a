"""The mail that tells of an event: the same headers each time, so that programs can thread it and recognise a repeated one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from email.headerregistry import Address
from typing import Any

from django.core.mail import EmailMultiAlternatives

from integrations.connectors.email import layout
from integrations.connectors.email.fields import Way, ascii_domain
from integrations.contract.message import Message

# what an account can't send without paying for it, or the service sets itself and refuses
_KEPT = {
    Way.MAILERSEND: frozenset({"In-Reply-To"}),
    Way.MAILJET: frozenset({"In-Reply-To", "References", "List-Id", "Auto-Submitted", "X-Auto-Response-Suppress", "X-RepoGuard-Event"}),
    Way.UNISENDER_GO: frozenset({"In-Reply-To", "References", "X-Auto-Response-Suppress", "X-RepoGuard-Event"}),
}


def compose(message: Message, config: Mapping[str, Any], options: Mapping[str, Any], to: Sequence[str]) -> EmailMultiAlternatives:
    """Return the mail for those in `to`, which is all of the option's addresses, or those who did not get it yet."""
    headers = headers_of(message, config)
    kept = _KEPT.get(Way(config["provider"]))
    copies = [address for address in options.get("cc", ()) if address in to and address not in options["to"]]
    named = [address for address in to if address not in copies]
    mail = EmailMultiAlternatives(
        subject=layout.subject(message, options.get("subject_prefix", "")),
        body=layout.text(message),
        from_email=sender(config),
        to=named,
        cc=copies,
        reply_to=[config["reply_to"]] if config.get("reply_to") else None,
        headers={name: value for name, value in headers.items() if kept is None or name in kept},
    )
    mail.attach_alternative(layout.html(message), "text/html")
    return mail


def headers_of(message: Message, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers beside the usual ones. What is in them is ours: ids, hashes, and the sender's checked domain."""
    domain = ascii_domain(config["from_address"])
    headers = {
        "Message-ID": f"<{message.event_id}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "List-Id": f"RepoGuard <repoguard.{domain}>",
        "X-RepoGuard-Event": str(message.event_id),
    }
    if message.subject:
        thread = hashlib.sha256(message.subject.encode("utf-8", "replace")).hexdigest()[:32]
        headers["In-Reply-To"] = headers["References"] = f"<thread-{thread}@{domain}>"
    return headers


def sender(config: Mapping[str, Any]) -> str:
    """Return the sender's address with its name, quoted as it must be."""
    local = str(config["from_address"]).rpartition("@")[0]
    return str(Address(str(config.get("from_name", "")), username=local, domain=ascii_domain(config["from_address"])))
