"""The connection test: who the portal is at Snyk, and that it sees the organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.http.door import BadAnswer
from integrations.connectors.snyk.client import Client
from integrations.connectors.snyk.organisations import organisation
from integrations.contract.connector import CheckResult
from integrations.contract.payloads import at, text


def checked(client: Client, config: Mapping[str, Any]) -> CheckResult:
    """Ask who signed in, and for the organisation. Raises OutboundError."""
    shown = client.shown
    reply = client.get("/self", what="the account of this token")
    found = at(reply.json(), "data", "attributes")
    account = next((name for field in ("username", "name", "email") if (name := text(at(found, field)))), "")
    if not account:
        raise BadAnswer("Snyk answered without an account name. Check that the integration's address is that of its API.")
    org = organisation(client, config["org"])
    details: dict[str, Any] = {
        "account": shown(account),
        "organisation": shown(org.name),
        "organisation_id": org.id,
        "region": config["region"],
        "api_version": text(reply.headers.get("snyk-version-served")) or config["api_version"],
    }
    message = f"Signed in to Snyk as {shown(account)}, organisation {shown(org.name)}."
    if ends := shown(text(reply.headers.get("sunset"), 40)):
        details["api_version_ends"] = ends
        message += f" The version {config['api_version']} of its API ends on {ends}: set a newer one."
    return CheckResult(message, details)
