"""Jira's REST API behind the door: version 3 of Cloud, version 2 of Data Center, and errors in words, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import InvalidInput, OutboundError
from core.http.client import Door
from core.http.door import BadAnswer, Reply, SignInFailed, Throttled
from integrations.connectors.jira.fields import Deployment
from integrations.contract.connector import Connector

_HEADERS = {"Accept": "application/json"}
_UNNAMED_WAIT = 30.0
_MOST_SAID = 5
_MENDS = {
    "priority": "Check the names in the option Priorities, or leave it empty.",
    "issuetype": "Check the option Issue type: its name must be one of the project's.",
    "project": "Check the option Project key, and that the account may create issues in it.",
    "assignee": "Check the option Assignee: the account id (Cloud) or user name (Data Center) of somebody who may be assigned.",
    "labels": "Check the option Labels: the project's create screen must have the field.",
    "description": "The project's create screen must have the field.",
    "summary": "The project's create screen must have the field.",
    "resolution": "The transition asks for a resolution that the portal can't choose: name another transition.",
}
_FURTHER = "Set it in the option Further fields, or make it optional in the project."


class NotThere(BadAnswer):
    """There is no such thing at Jira, or this account may not see it."""

    code = "not_there"


class Client:
    """Calls one Jira."""

    def __init__(self, door: Door, config: Mapping[str, Any], shown: Connector) -> None:
        self._door = door
        self.base = str(config["base_url"]).rstrip("/")
        self.is_cloud = config["deployment"] == Deployment.CLOUD
        self._api = f"{self.base}/rest/api/{3 if self.is_cloud else 2}"
        self._shown = shown.shown

    def get(self, path: str, params: Mapping[str, str] | None = None, *, what: str) -> Any:
        """GET a path below the API, and return what it holds; `what` names in errors what was asked for. Raises OutboundError."""
        return self._ask("GET", path, what, params=params or {}).json()

    def post(self, path: str, body: Any, *, what: str) -> Any:
        """POST to a path below the API; None for an answer without a body. Raises as get() does."""
        reply = self._ask("POST", path, what, json=body)
        return reply.json() if reply.body.strip() else None

    def page_of(self, key: str) -> str:
        """Return the address of an issue for people; "" where the API's address is none of the site."""
        return "" if self.base.startswith("https://api.atlassian.com/") else f"{self.base}/browse/{key}"

    def _ask(self, method: str, path: str, what: str, **request: Any) -> Reply:
        try:
            return self._door.request(method, self._api + path, headers=_HEADERS, unnamed_wait=_UNNAMED_WAIT, **request)
        except Throttled as error:
            wait = _UNNAMED_WAIT if error.retry_after is None else error.retry_after
            raise Throttled(f"Jira's rate limit is used up; it takes calls again in {wait:.0f} seconds.", retry_after=wait) from None
        except SignInFailed:
            raise SignInFailed(self._sign_in()) from None
        except BadAnswer as error:
            raise self._explained(error, what) from None
        except InvalidInput as error:
            raise BadAnswer(f"Jira can't be called about {what}: {error.message}", permanent=True) from None

    def _sign_in(self) -> str:
        whose = "the e-mail address and the API token" if self.is_cloud else "the personal access token"
        return f"Jira refused {whose} (401). Check that they are right and of this Jira, and that the token has not expired."

    def _explained(self, error: BadAnswer, what: str) -> OutboundError:
        """Return the error in Jira's terms; others stay as they are."""
        status, said = error.status_code, self._shown(" ".join(_said(error.body)), 600)
        more: dict[str, Any] = {"status_code": status, "body": error.body, "permanent": True}
        if status == 400:
            told = said or "Jira does not say why."
            return BadAnswer(f"Jira does not accept {what} (400). {told}", **more)
        if status == 403:
            captcha = "CAPTCHA" in error.headers.get("X-Authentication-Denied-Reason", "")
            mend = " Sign in by the browser once: Jira wants a CAPTCHA to be solved." if captcha else " Give the account the permission."
            return BadAnswer(f"Jira refuses {what} to this account (403).{mend}{' ' + said if said else ''}", **more)
        if status in (404, 410):
            return NotThere(
                f"Jira knows no {what.removeprefix('the ')}, or hides it from this account ({status}). Check the integration's address,"
                " and that the account may browse the project.",
                **more,
            )
        return error


def _said(body: bytes) -> Iterator[str]:
    """Yield what the errors of a body say, each of a field with what mends it."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict):
        return
    whole, by_field = value.get("errorMessages"), value.get("errors")
    for sentence in (whole if isinstance(whole, list) else [])[:_MOST_SAID]:
        if isinstance(sentence, str) and sentence.strip():
            yield f"{sentence.strip().rstrip('.')}."
    for name, sentence in list(by_field.items() if isinstance(by_field, dict) else ())[:_MOST_SAID]:
        if isinstance(sentence, str):
            yield f"{name}: {sentence.strip().rstrip('.')}. {_MENDS.get(name, _FURTHER)}"
