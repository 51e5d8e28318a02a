"""GitLab's REST API, and its refusals in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from core.errors import InvalidInput
from core.http.client import Door
from core.http.door import BadAnswer, CallFailed, Reply

_JSON = {"Accept": "application/json"}


class Client:
    """Calls one GitLab through a door. `shown` makes what GitLab says fit to stand in a sentence."""

    def __init__(self, door: Door, base_url: str, shown: Callable[[str], str]) -> None:
        self._door, self.shown = door, shown
        self._api = f"{base_url.rstrip('/')}/api/v4"

    def get(self, path: str, what: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON at a path below the API. Raises the door's errors, refusals in GitLab's terms."""
        return self._asked("GET", path, what, params=params or {}).json()

    def post(self, path: str, body: Mapping[str, Any], what: str) -> Reply:
        """POST JSON to a path below the API; raises as get() does."""
        return self._asked("POST", path, what, json=dict(body))

    def _asked(self, method: str, path: str, what: str, **request: Any) -> Reply:
        try:
            reply = self._door.request(method, self._api + path, headers=_JSON, **request)
        except BadAnswer as error:
            raise self._explained(error, what) from None
        except InvalidInput as error:
            raise BadAnswer(f"GitLab can't be asked for {what}: {error.message}", permanent=True) from None
        if reply.stale:
            raise CallFailed("GitLab could not be asked just now, and an older answer is no help here.", code="stale", retry_after=60.0)
        return reply

    def _explained(self, error: BadAnswer, what: str) -> BadAnswer:
        quoted = self.shown(message(error)).rstrip(".")
        quoted = f" GitLab says: {quoted}." if quoted else ""
        if error.status_code == 409:  # it has the commit or pipeline locked for a moment
            return BadAnswer(f"GitLab is at work on {what} itself just now (409).{quoted}", status_code=409, body=error.body)
        sentence = {
            400: f"GitLab does not accept {what} (400).{quoted}",
            403: f"GitLab refuses {what} to this token (403): it takes the scope api and the role Developer, Maintainer on protected"
            f" branches.{quoted}",
            404: f"GitLab knows no {what.removeprefix('the ')}, or hides it from this token (404). Check the project's path, and that the"
            f" token is of it.{quoted}",
            422: f"GitLab does not accept {what} (422).{quoted}",
        }.get(error.status_code or 0)
        if error.code == "redirect":
            sentence = f"{error.message} Give the integration GitLab's own address, and the project its present path."
        if not sentence:
            return error
        more: dict[str, Any] = {"body": error.body, "headers": error.headers, "code": error.code}
        return BadAnswer(sentence, status_code=error.status_code, permanent=True, **more)


def project_path(project: str) -> str:
    """Return where a project is, by its path or number."""
    return f"/projects/{quote(project.strip('/').encode('utf-8', 'replace'), safe='')}"


def message(error: BadAnswer) -> str:
    """Return what GitLab itself says of an error, as it came; "" where it says nothing."""
    try:
        value = json.loads(error.body)
    except (ValueError, RecursionError):
        return ""
    return _flat(value.get("message") or value.get("error"))[:1000] if isinstance(value, dict) else ""


def _flat(value: Any, depth: int = 3) -> str:
    """Return the texts in a value: GitLab's messages are texts, lists, or lists by field."""
    if isinstance(value, str):
        return value
    if depth and isinstance(value, list):
        return ", ".join(filter(None, (_flat(one, depth - 1) for one in value[:20])))
    if depth and isinstance(value, dict):
        return "; ".join(f"{name}: {text}" for name, one in list(value.items())[:20] if (text := _flat(one, depth - 1)))
    return ""
