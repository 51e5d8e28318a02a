"""Snyk's REST API (JSON:API) behind the door: the version on every call, pages by Snyk's own links, and errors in words.

A link is a text or {"href": …}, most often relative, with /rest in front or without. It holds version and limit already: given twice
they are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypedDict, Unpack
from urllib.parse import parse_qsl, urlsplit

from core.errors import InvalidInput, OutboundError
from core.http.client import Door
from core.http.door import BadAnswer, CallFailed, Reply, SignInFailed, Throttled
from integrations.connectors.snyk.fields import Place
from integrations.contract.payloads import at, objects, text

MOST_A_PAGE = "100"
MOST_PAGES = 5_000
"""Of one list: half a million entries. More is an answer that leads nowhere."""
_HEADERS = {"Accept": "application/vnd.api+json"}
_UNNAMED_WAIT = 60.0
"""Snyk refuses until it was left alone for a minute, and doesn't say so."""
_PLAN = (
    "Snyk's API needs its Enterprise plan: tokens of the plans Free and Team may not use it. Or the role lacks a right: it takes View"
    " Organization, View Projects and View Project history."
)
_LONGEST_LINK = 8_000
_SHORT = 50  # pages
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kept(TypedDict, total=False):
    """How an answer is kept, as the door takes it."""

    cache_seconds: int
    refresh: bool


class Shown(Protocol):
    """Makes what Snyk says fit to stand in a sentence."""

    def __call__(self, text: str, limit: int = 200) -> str:
        """Return one short line without secrets."""


@dataclass(frozen=True)
class Page:
    """One page of a list; `next` is the address of the one behind it, "" on the last one."""

    rows: list[Any] = field(repr=False)
    """Objects, where Snyk keeps to its own form."""
    next: str = field(repr=False)
    at: datetime | None
    """When Snyk answered, by its clock."""
    cached: bool = False


class Client:
    """Calls Snyk for one account."""

    def __init__(self, door: Door, there: Place, version: str, shown: Shown) -> None:
        self.place, self.shown = there, shown
        self._door, self._version = door, version

    def get(self, path: str, params: Mapping[str, str] | None = None, *, what: str, **kept: Unpack[Kept]) -> Reply:
        """GET a path below /rest; `what` names in errors what was asked for, such as "the organisation acme".

        Raises the door's errors: NotThere for 404, NotPermitted for 403, Throttled with `retry_after` for the limit.
        """
        return self._ask(f"{self.place.root}/rest{path}", {"version": self._version, **(params or {})}, what, **kept)

    def v1(self, path: str, *, what: str) -> Any:
        """GET a path below /v1, and return what it holds; raises as get() does."""
        return self._ask(f"{self.place.root}/v1{path}", {}, what).json()

    def page(self, path: str, params: Mapping[str, str], following: str = "", *, what: str, **kept: Unpack[Kept]) -> Page:
        """Return the first page of a list, or the one that an earlier page's `next` leads to. Raises as get() does."""
        if following:
            self._refuse_elsewhere(following)
            version = {} if "version" in dict(parse_qsl(urlsplit(following).query)) else {"version": self._version}
            reply = self._ask(following, version, what, **kept)
        else:
            reply = self.get(path, {"limit": MOST_A_PAGE, **params}, what=what, **kept)
        document = reply.json()
        rows = document.get("data") if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise BadAnswer("Snyk answered without the expected list. Check that the integration's address is that of its API.")
        behind = self._next(document, following or reply.url) if rows else ""
        return Page(rows, behind, _date(reply.headers), reply.cached)

    def pages(self, path: str, params: Mapping[str, str], *, what: str) -> Iterator[Page]:
        """Yield the pages of a short list."""
        page = self.page(path, params, what=what)
        yield page
        for _ in range(_SHORT):
            if not page.next:
                return
            page = self.page(path, params, page.next, what=what)
            yield page
        raise endless(what)

    def _ask(self, url: str, params: Mapping[str, str], what: str, **kept: Unpack[Kept]) -> Reply:
        try:
            reply = self._door.request("GET", url, params=params, headers=_HEADERS, unnamed_wait=_UNNAMED_WAIT, **kept)
        except Throttled as error:
            wait = _UNNAMED_WAIT if error.retry_after is None else error.retry_after
            raise Throttled(f"Snyk's rate limit is used up; it takes calls again in {wait:.0f} seconds.", retry_after=wait) from None
        except SignInFailed:
            raise SignInFailed(
                f"Snyk refused the token (401). Check that it is whole and was not revoked, and that it is of {self.place.words}:"
                " each region has tokens of its own."
            ) from None
        except BadAnswer as error:
            raise self._explained(error, what) from None
        except InvalidInput as error:
            raise BadAnswer(f"Snyk gave an address that can't be called: {error.message}", permanent=True) from None
        if reply.stale:  # what is stored from it would be wrong for good
            raise CallFailed(
                "Snyk could not be asked just now, and an older answer is no help here.", code="stale", retry_after=_UNNAMED_WAIT
            )
        return reply

    def _explained(self, error: BadAnswer, what: str) -> OutboundError:
        """Return the error in Snyk's terms; others stay as they are."""
        status, said = error.status_code, self._said(error.body)
        if status == 403:
            return NotPermitted(f"Snyk refuses {what} to this token (403). {_PLAN}{said}", 403)
        if status == 404:
            plain = " Snyk answers so to all that comes by http://: write https://." if self.place.root.startswith("http://") else ""
            return NotThere(
                f"Snyk knows no {what.removeprefix('the ')} in {self.place.words}, or hides it from this token (404). Check the name, and"
                f" that the region is the account's.{plain}{said}",
                404,
            )
        if status == 400:
            return BadAnswer(f"Snyk does not accept the request for {what} (400).{said}", status_code=400, permanent=True)
        return error

    def _said(self, body: bytes) -> str:
        """Return what the errors of a body say, as a sentence, "" where they say nothing."""
        try:
            found = objects(at(json.loads(body), "errors"))
        except (ValueError, RecursionError):
            return ""
        words = []
        for one in found[:3]:
            detail = text(one.get("detail"), 1000) or text(one.get("title"), 1000)
            where = text(at(one, "source", "parameter")) or text(at(one, "source", "pointer"))
            if detail:
                words.append(f"{detail.rstrip('.')} ({where})" if where else detail.rstrip("."))
        return f" Snyk says: {self.shown('; '.join(words))}." if words else ""

    def _next(self, document: Mapping[str, Any], asked: str) -> str:
        """Return the address of the next page; a page that leads to itself is the last one."""
        links = document.get("links")
        link, own = _href(links, "next"), _href(links, "self")
        if not link:
            return ""
        address = self._resolved(link, asked)
        same = {_key(asked), _key(self._resolved(own, asked))} if own else {_key(asked)}
        return "" if _key(address) in same else address

    def _resolved(self, link: str, asked: str) -> str:
        if "://" in link or link.startswith("//"):
            return link
        if link.startswith("?"):
            return asked.partition("?")[0] + link
        path = link if link.startswith("/") else f"/{link}"
        return self.place.root + (path if path.startswith("/rest/") else f"/rest{path}")

    def _refuse_elsewhere(self, url: str) -> None:
        here = urlsplit(self.place.root)
        try:
            there = urlsplit(url)
        except ValueError:
            there = urlsplit("")
        if (there.scheme, there.netloc.lower()) != (here.scheme, here.netloc.lower()):
            raise BadAnswer("Snyk gave a link to another host. It is not followed; check the integration's address.", permanent=True)


class NotPermitted(BadAnswer):
    """The token may not do this."""

    code = "not_permitted"

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message, status_code=status_code, permanent=True)


class NotThere(BadAnswer):
    """There is no such thing at Snyk, or this token may not know of it."""

    code = "not_there"

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message, status_code=status_code, permanent=True)


def endless(what: str) -> BadAnswer:
    """Return the error about a list that leads in circles, or has no end."""
    return BadAnswer(f"The pages of {what} lead in a circle at Snyk, or have no end. Ask Snyk's support.", permanent=True)


def _href(links: Any, name: str) -> str:
    link = at(links, name)
    found = at(link, "href") if isinstance(link, Mapping) else link
    return found.strip() if isinstance(found, str) and len(found) <= _LONGEST_LINK else ""


def _key(url: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return what makes two addresses the same page, in whatever order the parameters stand."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ()
    return parts.path, tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))


def _date(headers: Mapping[str, str]) -> datetime | None:
    try:
        found = parsedate_to_datetime(headers.get("Date", ""))
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found > _EPOCH else None
