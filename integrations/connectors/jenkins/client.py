"""Jenkins' API: JSON of its pages, POSTs with a crumb where it wants one, and refusals in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from core.errors import InvalidInput
from core.http.client import EXPECTED, Door
from core.http.door import BadAnswer, CallFailed, Reply

_COOKIE = re.compile(r"(?:^|,\s*)([A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}=[^;,\s\"]{0,1000})")
_CRUMB_FIELD = re.compile(r"[A-Za-z0-9.-]{0,40}[Cc]rumb[A-Za-z0-9.-]{0,40}")
_CRUMB = re.compile(r"[\x21-\x7e]{1,500}")
NO_CRUMB = "no valid crumb"


class Client:
    """Calls one Jenkins through a door. `shown` makes what Jenkins says fit to stand in a sentence."""

    def __init__(self, door: Door, base_url: str, shown: Callable[[str], str], *, signed_in: bool = True) -> None:
        if not base_url:
            raise BadAnswer("The integration does not have the address of Jenkins yet: give it one.", permanent=True)
        self.door, self.shown, self.signed_in = door, shown, signed_in
        self.base = base_url.rstrip("/")

    def get(self, path: str, tree: str, what: str) -> Mapping[str, Any]:
        """Return a page's JSON object, no more than `tree` names. Raises the door's errors."""
        try:
            reply = self.door.request("GET", f"{self.base}{path}/api/json", params={"tree": tree}, headers={"Accept": "application/json"})
        except BadAnswer as error:
            raise explained(error, what) from None
        except InvalidInput as error:
            raise BadAnswer(f"Jenkins named something that can't be asked for: {error.message}", permanent=True) from None
        return self.object_of(reply)

    def object_of(self, reply: Reply) -> Mapping[str, Any]:
        """Return the JSON object of an answer. Raises BadAnswer, and CallFailed for an older answer."""
        if reply.stale:
            raise CallFailed("Jenkins could not be asked just now, and an older answer is no help here.", code="stale", retry_after=60.0)
        value = reply.json()
        if not isinstance(value, dict):
            raise BadAnswer("Jenkins answered something else than was expected. Check that the address is that of Jenkins.")
        return value

    def post(self, path: str, form: Mapping[str, str], expected: Collection[int] = EXPECTED) -> Reply:
        """POST a form; where Jenkins refuses it for want of a crumb, once more with one. Raises the door's errors."""
        body = urlencode(form).encode()
        try:
            return self._post(path, body, {}, expected)
        except BadAnswer as error:
            if error.status_code != 403 or NO_CRUMB not in said(error).lower():
                raise
            return self._post(path, body, self._crumb(), expected)  # a refused one began nothing

    def _post(self, path: str, body: bytes, crumb: Mapping[str, str], expected: Collection[int]) -> Reply:
        headers = {"Content-Type": "application/x-www-form-urlencoded", **crumb}
        return self.door.request("POST", f"{self.base}{path}", headers=headers, body=body, expected=expected)

    def _crumb(self) -> dict[str, str]:
        """Return the headers of a crumb, with the session's cookies that it is bound to; none where Jenkins has no such protection."""
        try:
            reply = self.door.request("GET", f"{self.base}/crumbIssuer/api/json", headers={"Accept": "application/json"})
        except BadAnswer as error:
            if error.status_code == 404:
                return {}
            raise explained(error, "a crumb") from None
        found = self.object_of(reply)
        name, crumb = str(found.get("crumbRequestField", "")), str(found.get("crumb", ""))
        if not _CRUMB_FIELD.fullmatch(name) or not _CRUMB.fullmatch(crumb):
            raise BadAnswer("Jenkins answered without a crumb that can be used. Check what stands between it and this portal.")
        cookies = "; ".join(_COOKIE.findall(reply.headers.get("Set-Cookie", "")[:8000]))[:4000]
        return {name: crumb, **({"Cookie": cookies} if cookies else {})}


def said(error: BadAnswer) -> str:
    """Return what Jenkins wrote, without the markup of its pages."""
    return " ".join(re.sub(r"<[^>]{0,2000}>", " ", error.body.decode("utf-8", "replace")).split())


def explained(error: BadAnswer, what: str) -> BadAnswer:
    """Return the error in Jenkins' terms; others stay as they are."""
    if error.code == "redirect":
        text = f"{error.message.removesuffix(' Redirects are not followed: call the final address.')} Give the integration the address that"
        return _said(error, f"{text} Jenkins itself uses, with its path.")
    sentence = {
        403: f"Jenkins refuses {what} to this user (403). Give it Overall/Read and Job/Read, and Job/Build to begin builds.",
        404: f"Jenkins knows no {what.removeprefix('the ')}, or hides it from this user (404). Check the name with its folders, the"
        " integration's address with its path, and that the user has Job/Read.",
    }.get(error.status_code or 0)
    return _said(error, sentence) if sentence else error


def _said(error: BadAnswer, sentence: str) -> BadAnswer:
    return BadAnswer(sentence, status_code=error.status_code, body=error.body, headers=error.headers, code=error.code, permanent=True)
