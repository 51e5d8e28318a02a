"""The connection test: who the portal is at GitHub, and what is left of its limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from core.http.door import BadAnswer, Reply
from integrations.connectors.github.client import Client, NotThere, allowance
from integrations.connectors.github.fields import SignIn
from integrations.contract.connector import CheckResult

_EXPIRES = "github-authentication-token-expiration"
_INSTALLATION_TOKEN = "ghs_"  # noqa: S105 - how such tokens begin


def checked(client: Client, config: Mapping[str, Any], token: str, shown: Callable[[str], str]) -> CheckResult:
    """Make the cheapest call that proves the credentials. Raises OutboundError."""
    if config["auth"] == SignIn.NONE:
        return _without_credentials(client)
    if config["auth"] == SignIn.APP or token.startswith(_INSTALLATION_TOKEN):
        return _as_installation(client)
    try:
        reply = client.get("/user", what="the token's account")
    except NotThere as error:  # every token has an account
        sentence = "This address answers, but not as GitHub's API (404). Of an Enterprise Server the API is at https://<host>/api/v3."
        raise NotThere(sentence, status_code=error.status_code, permanent=True) from None
    login = _object(reply).get("login")
    if not isinstance(login, str) or not login:
        raise BadAnswer("GitHub answered without an account name. Check that the address is that of its API.")
    details: dict[str, Any] = {"account": shown(login), **_limits(reply)}
    if scopes := reply.headers.get("X-OAuth-Scopes", ""):
        details["scopes"] = shown(scopes)
    expiry = _moment(reply.headers.get(_EXPIRES, ""))
    return CheckResult(f"Signed in to GitHub as {shown(login)}; {allowance(reply.headers)}.", details, credentials_expire_at=expiry)


def _as_installation(client: Client) -> CheckResult:
    reply = client.get("/installation/repositories", {"per_page": "1"}, what="the app's repositories")
    count = _object(reply).get("total_count")
    if not isinstance(count, int):
        raise BadAnswer("GitHub answered without the number of repositories. Check that the address is that of its API.")
    message = f"Signed in to GitHub as an app that sees {count:,} repositories; {allowance(reply.headers)}."
    return CheckResult(message, {"repositories": count, **_limits(reply)})


def _without_credentials(client: Client) -> CheckResult:
    reply = client.get("/rate_limit", what="the rate limit")
    if not isinstance(_object(reply).get("resources"), dict):
        raise BadAnswer("GitHub answered without its limits. Check that the address is that of its API.")
    return CheckResult(f"GitHub answers without credentials; {allowance(reply.headers)}.", _limits(reply))


def _object(reply: Reply) -> Mapping[str, Any]:
    value = reply.json()
    if not isinstance(value, dict):
        raise BadAnswer("GitHub answered something else than was expected. Check that the address is that of its API.")
    return value


def _limits(reply: Reply) -> dict[str, int | None]:
    found = allowance(reply.headers)
    return {"limit": found.limit, "remaining": found.left}


def _moment(text: str) -> datetime | None:
    """Return when the token ends, as GitHub writes it: 2026-12-01 09:30:00 UTC, or with an offset."""
    try:
        return datetime.fromisoformat(text.strip().removesuffix(" UTC").replace(" +", "+").replace(" -", "-")).replace(tzinfo=UTC)
    except ValueError:
        return None
