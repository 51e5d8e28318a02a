"""GitHub's REST API: pinned version, paging by its own links, and errors in words.

Limits (primary and secondary, 403 or 429) become one error, core.http.door.Throttled, with `retry_after`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from core.errors import InvalidInput, OutboundError
from core.http.client import Door
from core.http.door import BadAnswer, CallFailed, Reply, Throttled
from integrations.connectors.github.headers import HEADERS

MOST_A_PAGE = 100
_UNNAMED_WAIT = 60.0
_ANEW = {**HEADERS, "If-None-Match": '"anew"'}  # no answer has this tag
_LINK = re.compile(r'<([^<>]{1,4000})>((?:\s*;\s*[a-zA-Z*]+="?[^",;]*"?)+)')
_NEXT = re.compile(r';\s*rel="?(?:[^"]*\s)?next(?:\s[^"]*)?"?(?:\s*;|\s*$)', re.IGNORECASE)
_SECONDARY = ("secondary rate limit", "abuse detection", "rate limit exceeded")


@dataclass(frozen=True)
class Allowance:
    """What is left of the limit; None where GitHub does not say."""

    limit: int | None
    left: int | None

    def __str__(self) -> str:
        if self.limit is None or self.left is None:
            return "it says nothing about a limit"
        return f"{self.left:,} of {self.limit:,} calls are left this hour"


class Client:
    """Calls one GitHub through a door. `shown` makes what GitHub says fit to stand in a sentence."""

    def __init__(self, door: Door, base_url: str, shown: Callable[..., str]) -> None:
        self._door = door
        self._base = base_url
        self._shown = shown

    def url(self, path: str) -> str:
        """Return the address of a path below the API's."""
        return self._base + path

    def get(self, path: str, params: Mapping[str, str] | None = None, *, what: str = "", anew: bool = False) -> Reply:
        """GET a path below the API's address; `what` names in errors what was asked for, such as "the runs of acme/shop".

        `anew` has the whole answer sent again also where it is known, and has it kept nowhere.

        Raises the door's errors: NotThere for 404, NotPermitted for 403, Throttled with `retry_after` for every kind of limit.
        """
        return self.follow(self._base + path, params, what=what, anew=anew)

    def follow(self, url: str, params: Mapping[str, str] | None = None, *, what: str = "", anew: bool = False) -> Reply:
        """GET a link of GitHub's. Raises BadAnswer for one that leads to another host, besides get()'s errors."""
        self._refuse_elsewhere(url)
        reply = self._ask("GET", url, what, params=params or {}, headers=_ANEW if anew else HEADERS)
        if reply.stale:  # what is stored from it would be wrong for good
            raise CallFailed(
                "GitHub could not be asked just now, and an older answer is no help here.", code="stale", retry_after=_UNNAMED_WAIT
            )
        return reply

    def post(self, path: str, body: Any = None, *, what: str = "", repeatable: bool = False) -> Reply:
        """POST to a path below the API's address; raises as get() does."""
        return self._ask("POST", self._base + path, what, json=body, repeatable=repeatable)

    def patch(self, path: str, body: Any, *, what: str = "") -> Reply:
        """PATCH what is at a path below the API's address; raises as get() does."""
        return self._ask("PATCH", self._base + path, what, json=body)

    def pages(self, path: str, params: Mapping[str, str], *, what: str = "") -> Iterator[Reply]:
        """Yield the pages of a list, following GitHub's own links."""
        reply = self.get(path, {"per_page": str(MOST_A_PAGE), **params}, what=what)
        yield reply
        while url := next_link(reply):
            reply = self.follow(url, what=what)
            yield reply

    def _ask(self, method: str, url: str, what: str, **request: Any) -> Reply:
        try:
            return self._door.request(method, url, **{"headers": HEADERS, **request})
        except Throttled as error:
            raise _limited(error.retry_after) from None
        except BadAnswer as error:
            raise self._explained(error, what) from None
        except InvalidInput as error:
            raise BadAnswer(f"GitHub gave an address that can't be called: {error.message}", permanent=True) from None

    def _explained(self, error: BadAnswer, what: str) -> OutboundError:
        """Return the error in GitHub's terms; others stay as they are."""
        said, subject = message(error), what or "what was asked for"
        status = error.status_code
        more: dict[str, Any] = {"status_code": status, "body": error.body, "headers": error.headers, "permanent": True}
        if status in (403, 429) and any(words in said.lower() for words in _SECONDARY):
            return _limited(None)
        quoted = f" GitHub says: {self._shown(said).rstrip('.')}." if said else ""
        headers = error.headers
        if status == 403:
            return NotPermitted(f"GitHub refuses {subject} to these credentials (403).{self._missing(headers)}{quoted}", **more)
        if status == 404:
            return NotThere(
                f"GitHub knows no {subject.removeprefix('the ')}, or hides it from these credentials (404). Check the name, and that the"
                f" token or app may see the repository.{self._missing(headers)}",
                **more,
            )
        if error.code == "redirect":
            return NotThere(f"GitHub says that {subject} was moved or renamed. Use its present name.", **more)
        if status == 410:
            return NotThere(f"GitHub says that {subject} is gone (410): deleted, or switched off in the settings there.{quoted}", **more)
        if status == 422:
            fields = self._shown("; ".join(refused_fields(error)), 400)
            named = f" Refused: {fields}." if fields else ""
            return BadAnswer(f"GitHub does not accept the request for {subject} (422).{named}{quoted}", **more)
        return error

    def _missing(self, headers: Mapping[str, str]) -> str:
        """Return a sentence that names the permission that would do."""
        accepted = headers.get("X-Accepted-GitHub-Permissions", "")
        sets = [_permissions(one) for one in accepted[:1000].split(";")]
        words = self._shown(", or ".join(one for one in sets if one))
        return f" It takes the permission {words}." if words else ""

    def _refuse_elsewhere(self, url: str) -> None:
        try:
            there, here = urlsplit(url), urlsplit(self._base)
        except ValueError:
            there, here = urlsplit(""), urlsplit(self._base)
        if (there.scheme, there.netloc.lower()) != (here.scheme, here.netloc.lower()):
            raise BadAnswer("GitHub gave a link to another host. It is not followed; check the integration's address.", permanent=True)


class NotPermitted(BadAnswer):
    """The credentials may not do this; the sentence names the permission where GitHub does."""

    code = "not_permitted"


class NotThere(BadAnswer):
    """There is no such thing at GitHub, or these credentials may not know of it."""

    code = "not_there"


def message(error: BadAnswer) -> str:
    """Return what GitHub itself says of an error, as it came; "" where it says nothing."""
    try:
        value = json.loads(error.body)
    except (ValueError, RecursionError):
        return ""
    said = value.get("message") if isinstance(value, dict) else None
    return said if isinstance(said, str) else ""


def refused_fields(error: BadAnswer) -> list[str]:
    """Return what GitHub says of single fields, such as `description: is too long`; none where it says nothing of them."""
    try:
        value = json.loads(error.body)
    except (ValueError, RecursionError):
        return []
    listed = value.get("errors") if isinstance(value, dict) else None
    return [words for one in (listed[:5] if isinstance(listed, list) else ()) if (words := _refused(one))]


def next_link(reply: Reply) -> str:
    """Return the address of the next page, "" on the last one."""
    found = (match[1] for match in _LINK.finditer(reply.headers.get("Link", "")[:20_000]) if _NEXT.search(match[2]))
    return next(found, "")


def allowance(headers: Mapping[str, str]) -> Allowance:
    """Return what an answer's headers say about the limit."""
    return Allowance(_number(headers.get("x-ratelimit-limit")), _number(headers.get("x-ratelimit-remaining")))


def rows(reply: Reply, name: str = "") -> list[Mapping[str, Any]]:
    """Return the objects of a page, from the list called `name`, or the list that it is. Raises BadAnswer."""
    value = reply.json()
    listed = value.get(name) if name and isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise BadAnswer("GitHub answered without the expected list. Check that the address is that of its API.")
    return [row for row in listed if isinstance(row, dict)]


def _refused(one: Any) -> str:
    if isinstance(one, str):
        return one.rstrip(".")
    if not isinstance(one, dict):
        return ""
    field, said = (value if isinstance(value, str) else "" for value in (one.get("field"), one.get("message") or one.get("code")))
    return ": ".join(filter(None, (field, said.rstrip("."))))


def _limited(retry_after: float | None) -> Throttled:
    wait = _UNNAMED_WAIT if retry_after is None else retry_after
    return Throttled(f"GitHub's rate limit is used up; it takes calls again in {_words(wait)}.", retry_after=wait)


def _words(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def _permissions(accepted: str) -> str:
    pairs = (one.strip().partition("=") for one in accepted.split(","))
    return " and ".join(f"{name.replace('_', ' ')}: {level}" for name, _, level in pairs if name and level)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
