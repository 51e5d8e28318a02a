"""Hiding an integration's own secrets in whatever is kept of its calls, in every form in which they travel."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from core import redact
from core.texts import storable

_SHORTEST_SECRET = 5
_ESCAPE = re.compile(r"\\(?:u(?![dD][89a-fA-F])([0-9a-fA-F]{4})|/)")


class Mask:
    """Masks known secrets, then what looks like one. `repr` shows nothing of them."""

    __slots__ = ("_longest", "_texts")

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._texts = sorted(forms, key=len, reverse=True)
        self._longest = len(self._texts[0]) if self._texts else 0

    def text(self, text: str, limit: int, *, cut: bool = False) -> str:
        """Return at most `limit` characters of a sentence or body; `cut` says that a secret may be cut in two at its end."""
        clean = self.known(text)
        if cut and self._longest:
            clean = clean[: max(0, len(clean) - self._longest)]
        return storable(redact.text(clean))[:limit]

    def url(self, url: str, limit: int) -> str:
        """Return a URL without what is secret in it; of one that is itself a secret, the host is left."""
        shown = self.known(url)
        if shown.startswith(redact.MASK):
            origin = "/".join(redact.url(url).split("/", 3)[:3])
            shown = f"{self.known(origin)}/{redact.MASK}"
        return storable(redact.url(shown))[:limit]

    def headers(self, headers: Iterable[tuple[str, str]], limit: int) -> dict[str, str]:
        """Return headers as they may be shown, each at most `limit` characters."""
        return {storable(name[:100]): storable(redact.header(name, self.known(value)))[:limit] for name, value in list(headers)[:50]}

    def known(self, text: str) -> str:
        """Return a text with the integration's own secrets masked, and nothing else; one that hides behind JSON's escapes too."""
        clean = self._plain(text)
        if "\\u" in clean or "\\/" in clean:
            read = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else "/", clean)
            hidden = self._plain(read)
            if hidden != read:
                return hidden
        return clean

    def known_bytes(self, content: bytes) -> bytes:
        """Return bytes, of whatever kind, with the integration's own secrets masked, and nothing else."""
        return self.known(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def _plain(self, text: str) -> str:
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, redact.MASK)
        return text


def secret_texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value that are long enough to be secrets."""
    if isinstance(value, str):
        if len(value) >= _SHORTEST_SECRET:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secret_texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_texts(item)


def _forms(secret: str) -> set[str]:
    forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}
    if len(secret) >= 6:
        encoded = base64.b64encode(secret.encode("utf-8", "replace")).decode()
        forms |= {encoded, encoded.rstrip("="), encoded.replace("+", "-").replace("/", "_")}
        inside = set(_inside_base64(secret.encode("utf-8", "replace")))
        forms |= inside | {form.replace("+", "-").replace("/", "_") for form in inside}
    return {form for form in forms if form}


def _inside_base64(secret: bytes) -> Iterator[str]:
    """Yield what a secret becomes within the base64 of something longer (user and password, SMTP's AUTH PLAIN), wherever it stands there.

    The signs at its edges, which hold bits of its neighbours as well, are left out.
    """
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).decode()
        yield encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
