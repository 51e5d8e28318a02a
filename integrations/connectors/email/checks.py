"""The cheapest call by which each mail service says whose key it is. None sends a mail."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from core.http.client import Door
from core.http.door import BadAnswer, SignInFailed
from integrations.connectors.email.fields import Way
from integrations.connectors.email.services import Shown, Values, addresses_of, backend_of, basic, refused, unreadable

_POSTAL_MAY_NOT = frozenset({"InvalidServerAPIKey", "AccessDenied", "ServerSuspended"})


@dataclass(frozen=True)
class Question:
    """A request without side effects."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)


def question(config: Values, credentials: Values) -> Question:
    """Return what a service is asked."""
    key, token = credentials.get("api_key", ""), credentials.get("api_token", "")
    base = addresses_of(config)
    match Way(config["provider"]):
        case Way.BREVO:
            return Question("https://api.brevo.com/v3/account", {"api-key": key})
        case Way.MAILERSEND:
            return Question("https://api.mailersend.com/v1/api-quota", {"Authorization": f"Bearer {token}"})
        case Way.MAILGUN:
            return Question(f"{base}/domains/{quote(config['sender_domain'])}", {"Authorization": basic("api", key)})
        case Way.MAILJET:
            return Question("https://api.mailjet.com/v3/REST/sender", {"Authorization": basic(key, credentials["secret_key"])})
        case Way.MAILTRAP:
            return Question("https://mailtrap.io/api/accounts", {"Authorization": f"Bearer {token}"})
        case Way.MANDRILL:
            return Question("https://mandrillapp.com/api/1.0/users/ping2.json", json={"key": key})
        case Way.POSTAL:
            return Question(f"{base}/api/v1/messages/message", {"X-Server-API-Key": key}, json={"id": 0})
        case Way.POSTMARK:
            return Question("https://api.postmarkapp.com/server", {"X-Postmark-Server-Token": credentials["server_token"]})
        case Way.RESEND:
            return Question("https://api.resend.com/domains", {"Authorization": f"Bearer {key}"})
        case Way.SCALEWAY:
            place = f"https://api.scaleway.com/transactional-email/v1alpha1/regions/{quote(config['scaleway_region'])}/domains"
            return Question(f"{place}?project_id={quote(config['project_id'])}", {"X-Auth-Token": credentials["secret_key"]})
        case Way.SPARKPOST:
            return Question(f"{base}/sending-domains", {"Authorization": key})
        case _:
            return Question(f"{base}/system/info.json", {"X-API-KEY": key}, json={})


def check(config: Values, credentials: Values, door: Door, shown: Shown) -> None:
    """Ask a service whose key it is. Raises OutboundError."""
    way = Way(config["provider"])
    if way == Way.AMAZON_SES:
        with contextlib.closing(backend_of(config, credentials, door)) as backend:
            _ses(backend.client, unreadable(config))
        return
    asked = question(config, credentials)
    # Resend says 401 to a key that may send and nothing else, which is the better key to have here
    expected = {*range(200, 300), 401} if way == Way.RESEND else range(200, 300)
    headers = {"Accept": "application/json", **asked.headers}
    try:
        reply = door.request("GET" if asked.json is None else "POST", asked.url, headers=headers, json=asked.json, expected=expected)
    except BadAnswer as error:
        if way == Way.MANDRILL and b"Invalid_Key" in error.body:
            raise _no_key(way) from None
        raise refused(error, way.label, shown) from error
    said = reply.json()
    if reply.status == 401 and not (isinstance(said, dict) and said.get("name") == "restricted_api_key"):
        raise _no_key(way)
    if not isinstance(said, dict | list):
        raise BadAnswer(f"{way.label} answered something that is not its API. Check the address.", status_code=reply.status)
    if way == Way.POSTAL:
        _postal(said, shown)


def _postal(said: Any, shown: Shown) -> None:
    """Postal answers 200 to everything; the message that was asked for does not exist, and that it says so is the good answer."""
    data = said.get("data") if isinstance(said, dict) else None
    if not isinstance(data, dict) or "status" not in said:
        raise BadAnswer("Postal's answer can't be read. Check that the address is that of a Postal server.")
    if data.get("code") in _POSTAL_MAY_NOT:
        raise SignInFailed(f"Postal refused the key: {shown(str(data.get('message') or data['code']))}. Check it.")


def _ses(client: Any, misread: tuple[type[Exception], ...]) -> None:
    try:
        account = client.get_account()
    except misread:
        raise BadAnswer("Amazon SES answered something that is not its API. Check the region.") from None
    if not account.get("SendingEnabled", True):
        raise BadAnswer("Amazon SES has sending switched off for this account. Look at the account's status there.", permanent=True)


def _no_key(way: Way) -> SignInFailed:
    return SignInFailed(f"{way.label} refused the key. Check that it is right and not expired, and make a new one if need be.")
