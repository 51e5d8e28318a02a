"""OSV's API: https://google.github.io/osv.dev/api/. Answers that don't fit what was asked are refused, rather than believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from core.http.client import Door
from core.http.door import BadAnswer, CallFailed, Reply
from integrations.connectors.osv.records import is_id
from integrations.contract.payloads import moment

MOST_QUERIES = 1000
"""OSV takes so many in one batch."""
_KEPT_SECONDS = 7 * 24 * 3600
_UNNAMED_WAIT = 60.0
_ADVICE = "Check that the integration's address is that of OSV or of a mirror of its API."
_GONE = frozenset({404, 410})
_TOO_LARGE = "answer_too_large"


@dataclass(frozen=True)
class Found:
    """What OSV says to one query: ids with the moment of their last change, and the token of the next page, if any."""

    vulnerabilities: dict[str, str]
    token: str = ""


class Refused(Exception):
    """OSV does not take the batch; one of its queries is wrong, and it does not say which."""


class Client:
    """Calls one OSV through a door. `shown` makes what it says fit to stand in a sentence."""

    def __init__(self, door: Door, base_url: str, shown: Callable[[str], str]) -> None:
        self._door = door
        self._base = base_url.rstrip("/")
        self._shown = shown

    def batch(self, queries: Sequence[dict[str, Any]]) -> list[Found]:
        """Ask at most MOST_QUERIES queries at once; the answers are in their order. Raises Refused and the door's errors."""
        try:
            reply = self._door.request("POST", f"{self._base}/v1/querybatch", json={"queries": list(queries)}, repeatable=True)
        except BadAnswer as error:
            if error.status_code == 400:
                raise Refused(self._shown(error.body.decode(errors="replace"))) from None
            raise
        answer = reply.json()
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise BadAnswer(f"OSV answered without results. {_ADVICE}")
        if len(results) != len(queries):
            # they belong together by their place alone
            raise BadAnswer(f"OSV answered {len(results)} results to {len(queries)} queries, so that nobody can tell which is whose.")
        return [_found(one) for one in results]

    def record(self, number: str, modified: str) -> dict[str, Any] | None:
        """Return a vulnerability as it is since `modified`, None where OSV has it no more. Raises the door's errors.

        An answer that was kept is as good, unless the record changed since: a nightly scan fetches what is new, and nothing else.
        """
        url = f"{self._base}/v1/vulns/{quote(number, safe='')}"
        try:
            reply = self._door.request("GET", url, cache_seconds=_KEPT_SECONDS)
            if reply.cached and not _holds(reply, number, modified):
                reply = self._door.request("GET", url, cache_seconds=_KEPT_SECONDS, refresh=True)
        except BadAnswer as error:
            if error.status_code in _GONE or error.code == _TOO_LARGE:
                return None
            raise
        found = _record(reply, number)
        if reply.stale and not _holds(reply, number, modified):
            raise CallFailed(
                "OSV could not be asked just now, and an older answer is no help here.", code="stale", retry_after=_UNNAMED_WAIT
            )
        return found


def _found(result: Any) -> Found:
    listed = result.get("vulns", []) if isinstance(result, dict) else None
    token = result.get("next_page_token", "") if isinstance(result, dict) else None
    if not isinstance(listed, list) or not isinstance(token, str | None):
        raise BadAnswer(f"OSV answered a query without a list of vulnerabilities. {_ADVICE}")
    ids: dict[str, str] = {}
    for one in listed:
        number = one.get("id") if isinstance(one, dict) else None
        if not isinstance(number, str) or not is_id(number):
            raise BadAnswer(f"OSV answered a vulnerability without a usable id. {_ADVICE}")
        modified = one.get("modified")
        ids[number] = modified[:40] if isinstance(modified, str) else ""
    return Found(ids, token or "")


def _record(reply: Reply, number: str) -> dict[str, Any]:
    found = reply.json()
    if not isinstance(found, dict) or found.get("id") != number:
        raise BadAnswer(f"OSV answered {number} with something else. {_ADVICE}")
    return found


def _holds(reply: Reply, number: str, modified: str) -> bool:
    """Say whether an answer that was kept is still good. It may never have been: a proxy's page is a 200, too."""
    try:
        own = moment(_record(reply, number).get("modified"))
    except BadAnswer:
        return False
    listed = moment(modified)
    return listed is None or (own is not None and own >= listed)
