"""Paths of calls: templates such as /issues/{id}, the values that go into them, and free ones. Nothing may lead out of the base URL.

What a caller writes is judged as a server might read it: decoded several times, with backslashes for slashes, without what
follows a semicolon, and with look-alike characters taken for what they look like.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from core.errors import AddressRefused, InvalidInput
from core.http.guard import check_url

MAX_PATH = 1000
MAX_VALUE = 500
_DECODINGS = 5
_PARAMETER = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,59}")
_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/-]*")
_FREE = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DOTS = frozenset({".", ".."})


def check_template(template: str, field: str = "path") -> list[str]:
    """Return the names of a template's parameters in their order; raises InvalidInput on `field`."""
    if len(template) > MAX_PATH:
        raise InvalidInput.of(field, f"is longer than {MAX_PATH} characters.")
    if not template:
        return []  # the base URL itself, as for GraphQL and SOAP
    _check_shape(template, field)
    names = _PARAMETER.findall(template)
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidInput.of(field, f"{{{name[:60]}}} is no parameter; its name is made of letters, digits, _ and -.")
        if names.count(name) > 1:
            raise InvalidInput.of(field, f"{{{name}}} stands there twice.")
    literal = _PARAMETER.sub("x", template)
    if "%" in literal:
        raise InvalidInput.of(field, "must not hold percent-encoded characters; make it a parameter, whose value is encoded by the portal.")
    if not _LITERAL.fullmatch(literal):
        raise InvalidInput.of(field, "may hold letters, digits, - . _ ~ ! $ & ' ( ) * + , ; = : @ / and parameters such as {id}.")
    _check_pieces(literal, field)
    return names


def check_free(path: str, field: str = "path") -> str:
    """Return a path that a caller made; percent-encoded characters are taken as they are. Raises InvalidInput on `field`."""
    if len(path) > MAX_PATH:
        raise InvalidInput.of(field, f"is longer than {MAX_PATH} characters.")
    if path:
        _check_shape(path, field)
        if not _FREE.fullmatch(path):
            raise InvalidInput.of(field, "holds a character that must be percent-encoded, or a broken percent-encoding.")
        _check_pieces(path, field)
    return path


def fill(template: str, values: Mapping[str, str], field: str = "parameters") -> str:
    """Return the path with each value as (a part of) one segment; raises InvalidInput on `parameters.<name>`."""
    return _PARAMETER.sub(lambda match: segment(values[match[1]], f"{field}.{match[1]}"), template)


def segment(value: str, field: str) -> str:
    """Return a value percent-encoded, so that it stays within one segment; raises InvalidInput on `field`."""
    if not value:
        raise InvalidInput.of(field, "can't be empty: it is a part of the path.")
    if len(value) > MAX_VALUE:
        raise InvalidInput.of(field, f"is longer than {MAX_VALUE} characters.")
    readings = _readings(value)
    for reading in readings:
        _check_text(reading, field)
    if any(piece in _DOTS for reading in readings for piece in _pieces(reading)):
        raise InvalidInput.of(field, "must not be, or hold between slashes, . or ..: that would lead elsewhere.")
    return quote(value, safe="")


def query_text(value: str, field: str) -> str:
    """Return a value for the query; raises InvalidInput on `field`."""
    _check_text(value, field)
    return value


def below(base: str, path: str, field: str = "path") -> str:
    """Return the URL of a path below a base URL, certain to be there: same scheme, host and port, and below its path.

    Raises InvalidInput on `field`, and AddressRefused for a base that may not be called.
    """
    root = check_url(base, "base_url")
    try:
        target = check_url(base.rstrip("/") + path if path else base, field)
    except AddressRefused as refused:
        raise InvalidInput.of(field, refused.message) from None
    parts, root_parts = urlsplit(target.url), urlsplit(root.url)
    above = root_parts.path.rstrip("/")
    same = (target.scheme, target.host, target.port) == (root.scheme, root.host, root.port)
    inside = parts.path == (root_parts.path or "/") or parts.path.startswith(above + "/")
    climbs = any(piece in _DOTS for reading in _readings(path) for piece in _pieces(reading))
    if not same or not inside or climbs or parts.query != root_parts.query:
        raise InvalidInput.of(field, "leads out of the integration's address.")
    return target.url


def _check_shape(path: str, field: str) -> None:
    if _CONTROL.search(path):
        raise InvalidInput.of(field, "holds a line break or another control character.")
    if not path.startswith("/") or "://" in path:
        raise InvalidInput.of(field, "must start with / and stay below the integration's address; a whole URL is not taken.")
    for sign, advice in (("\\", ""), ("?", "; give query parameters by themselves"), ("#", "; a fragment is never sent")):
        if sign in path:
            raise InvalidInput.of(field, f"must not hold {sign}{advice}.")


def _check_pieces(path: str, field: str) -> None:
    for reading in _readings(path):
        if _CONTROL.search(reading) or "\\" in reading:
            raise InvalidInput.of(field, "holds an encoded control character or backslash.")
        if any(piece in _DOTS for piece in _pieces(reading)):
            raise InvalidInput.of(field, "must not hold . or .. as a segment, in whatever encoding.")
        if "//" in reading:
            raise InvalidInput.of(field, "must not hold an empty segment (//), in whatever encoding.")


def _check_text(value: str, field: str) -> None:
    if _CONTROL.search(value):
        raise InvalidInput.of(field, "holds a line break or another control character.")


def _readings(text: str) -> list[str]:
    """Return the text as servers may read it: decoded once, twice…, look-alikes replaced."""
    found = [text]
    for _ in range(_DECODINGS):
        decoded = unquote(found[-1], errors="replace")
        if decoded == found[-1]:
            break
        found.append(decoded)
    return [*found, *(unicodedata.normalize("NFKC", reading) for reading in found if not reading.isascii())]


def _pieces(reading: str) -> list[str]:
    return [piece.partition(";")[0].strip() for piece in reading.replace("\\", "/").split("/")]
