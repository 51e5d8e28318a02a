"""What names the place of a code finding stably: the same when lines move, words change or the file is read in another order.

Taken is the first of: a fingerprint of the scanner's own that names content and not merely a place; the code there, without its layout;
the message about it, without its numbers. It is only ever compared together with the tool, the rule and the path.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

MOST_TEXT = 10_000
_MOST_NAME = 100
_MOST_FINGERPRINTS = 50

# By name without its /v1, in lower case; the first that a finding has is taken
_TRUSTED = (
    "github/alert",  # GitHub follows what it found as code moves: the alert keeps its number
    "identity",  # Snyk Code: a UUID that stays, while "1" is shared by findings of like code
    "matchbasedid",  # Semgrep
    "match_based_id",
    "primarylocationlinehash",  # CodeQL
    "contexthash",  # Flawfinder
    "contextregionhash",
    "1",  # Snyk Code before it had identities
    "logicallocation",  # the class or resource that a finding without a file is about
)
_SHORT = frozenset({"github/alert", "logicallocation"})
"""These are names and no hashes: any length will do."""
# Where a finding stands, or something of the whole file: these change when nothing happened to the finding, or never
_PLACES = frozenset(
    {
        "0",  # Snyk Code's first kind: differs between findings whose code is alike, so the place is in it
        "primarylocationstartcolumnfingerprint", "primarylocationfilehash", "scanfilehash", "scanprimarylocationhash", "csvrowsha256",
    }
)  # fmt: skip
_PLACE_WORDS = ("line", "column", "location", "offset", "position", "file", "path", "row", "start", "commit", "date", "time")
_CONSTANT = frozenset({"requires login", "unknown", "undefined", "00000000"})
_HASH_AND_COUNT = re.compile(r"[0-9a-fA-F]{8,128}:[0-9]+")
_PLACE_VALUE = re.compile(r"[:#|][0-9]+(?:-[0-9]+)?\Z")  # Gitleaks: commit:file:rule:line
_VERSION = re.compile(r"[/_-]v([0-9]{1,4})\Z", re.IGNORECASE)
_NUMBERED = re.compile(r"\s*([0-9]{1,9})(?:[ \t:|]|\Z)[ \t]?(.*)", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.-])[0-9]+(?:[:,.-][0-9]+)*(?![\w-])")
_NO_CODE = frozenset({"", "requires login"})


def fingerprint(own: Mapping[str, str], snippet: str = "", message: str = "", line: int | None = None, end_line: int | None = None) -> str:
    """Return the fingerprint: where it was taken from and 128 bits in hexadecimal; empty where there is nothing to take it from."""
    if own and (found := scanners_own(own)):
        return f"own:{_digest(found)}"
    if snippet and (code := plain_code(snippet[:MOST_TEXT], line, end_line)):
        return f"code:{_digest(code)}"
    if message and (said := plain_message(message)):
        return f"text:{_digest(said)}"
    return ""


def scanners_own(own: Mapping[str, str]) -> str:
    """Return that of the scanner's own fingerprints that says what the finding is, with its name; empty where none does."""
    usable: list[tuple[int, int, str, str]] = []
    for name, value in list(own.items())[:_MOST_FINGERPRINTS]:
        base, rank, version = _named(name[:_MOST_NAME])
        clean = value.strip()
        if rank is not None and (clean if base in _SHORT else _says_something(clean, trusted=rank < len(_TRUSTED))):
            usable.append((rank, -version, base, clean))
    if not usable:
        return ""
    _, _, base, value = min(usable)
    return f"{base}\n{value}"


def plain_code(snippet: str, line: int | None = None, end_line: int | None = None) -> str:
    """Return a snippet without its layout, and, where its lines are numbered as Bandit's are, only the lines of the finding."""
    if "\n" in snippet or snippet.lstrip()[:1].isdigit():
        snippet = _unnumbered(snippet, line, end_line)
    code = " ".join(snippet.split())
    return "" if code.lower() in _NO_CODE else code


@lru_cache(maxsize=2048)
def _plain_message(message: str) -> str:
    return _NUMBER.sub("#", " ".join(message.split()))


def plain_message(message: str) -> str:
    """Return a message without its layout and its numbers: lines and counts, but not what is a part of a name, such as sha1."""
    return _plain_message(message[:MOST_TEXT])


def message_of(raw: Mapping[str, Any]) -> str:
    """Return what the scanner says about this one place, as SARIF, GitHub and others write it; empty where it says nothing of its own."""
    message = raw.get("message")
    if message is None:
        instance = raw.get("most_recent_instance")
        message = instance.get("message") if isinstance(instance, Mapping) else None
    if isinstance(message, str):
        return message
    if not isinstance(message, Mapping):
        return ""
    arguments = message.get("arguments")
    parts = [message.get("text") or message.get("markdown") or message.get("id"), *(arguments if isinstance(arguments, list) else ())]
    return " ".join(part for part in parts[:100] if isinstance(part, str))


@lru_cache(maxsize=256)
def _named(name: str) -> tuple[str, int | None, int]:
    """Return a fingerprint's name without its version, its rank (None for a mere place), and the version: newer ones come first."""
    version = _VERSION.search(name)
    base = (name[: version.start()] if version else name).strip().lower()
    number = int(version[1]) if version else 0
    if base in _TRUSTED:
        return base, _TRUSTED.index(base), number
    if base in _PLACES or any(word in base for word in _PLACE_WORDS):
        return base, None, number
    return base, len(_TRUSTED), number


def _says_something(value: str, *, trusted: bool) -> bool:
    """Say whether a value can tell findings apart: no constant, no counter, and not ending in a line."""
    if len(value) < 8 or value.lower() in _CONSTANT or len(set(value)) < 3:
        return False
    if trusted:
        return " " not in value
    return not value.isdigit() and (not _PLACE_VALUE.search(value) or _HASH_AND_COUNT.fullmatch(value) is not None)


def _unnumbered(snippet: str, line: int | None, end_line: int | None) -> str:
    found: list[tuple[int, str]] = []
    for text in snippet.splitlines():
        if not text.strip():
            continue
        match = _NUMBERED.match(text)
        number = int(match[1]) if match else -1
        if match is None or (found and number <= found[-1][0]):
            return snippet
        found.append((number, match[2]))
    if not found or line is None or not found[0][0] <= line <= found[-1][0] or found[-1][0] - found[0][0] > 2 * len(found) + 2:
        return snippet
    last = max(line, end_line or line)
    return "\n".join(text for number, text in found if line <= number <= last) or snippet


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
