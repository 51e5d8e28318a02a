"""Whether a version lies in a range, as advisories write ranges: GitHub's, Snyk's, OSV's events as text, npm's, Maven's and NuGet's.

The order alone decides, as with OSV and GitHub: 2.0.0-beta lies in `< 2.0.0`. Only a bound that stands in no range as it is written,
such as the end of ^1.2 or 1.x, leaves out the pre-releases of what follows.
"""

from __future__ import annotations

import re
from functools import lru_cache

import orjson

from integrations.packages.ecosystems import ecosystem
from integrations.packages.versions import MOST_VERSION, SEMVER, compare, is_ordered

MOST_RANGE = 2000
_MOST_ALTERNATIVES = 100
Comparator = tuple[str, str]
"""(one of < <= = != >= >, version)"""
Alternatives = tuple[tuple[Comparator, ...], ...]
"""A version lies in a range if all comparators of one alternative say so."""

_VERSION = r"[A-Za-z0-9*][^\s,|<>=!\[\]()]*"
_TOKEN = re.compile(
    r"\s*(?:(?P<alternative>\|\|?)"
    r"|(?P<comma>,)"
    r"|(?P<open>[\[(])\s*(?P<low>[^\s,\[\]()]*+)\s*(?P<between>,)?\s*(?P<high>[^\s,\[\]()]*+)\s*(?P<close>[\])])"
    rf"|(?P<word>introduced|fixed|last_affected|limit)\s*:?\s+(?P<event>{_VERSION})"
    rf"|(?P<from>{_VERSION})\s+-\s+(?P<to>{_VERSION})"
    rf"|(?P<operator>>=|<=|=>|=<|===|==|!=|~>|~=|>|<|=|~|\^)?\s*(?P<version>{_VERSION}))\s*"
)
_EVENTS = {"introduced": ">=", "fixed": "<", "last_affected": "<=", "limit": "<"}
_SPELLINGS = {"=>": ">=", "=<": "<=", "==": "=", "===": "=", "": "="}
_ALL = frozenset({"*", "all", "any", "x", "all versions", "any version", "(,)", "[,]"})
_WILDCARD = re.compile(r"(?P<release>(?:[0-9]+\.)*[0-9]+)(?:\.[xX*])+")
_RELEASE = re.compile(r"[=vV]*([0-9]+(?:\.[0-9]+)*)")


class _Unreadable(ValueError):
    """The range is written in a way that is not known here."""


def contains(word: str, version: str, range_text: str) -> bool | None:
    """Say whether the version of a package of this ecosystem lies in the range; None where that can't be judged."""
    if not version or not range_text or len(version) > MOST_VERSION or len(range_text) > MOST_RANGE:
        return None
    return _contains(ecosystem(word)[0], version, range_text)


@lru_cache(maxsize=4096)
def _contains(kind: str, version: str, range_text: str) -> bool | None:
    if not is_ordered(kind) or compare(kind, version, version) is None:
        return None
    try:
        alternatives = alternatives_of(kind, range_text)
    except _Unreadable:
        return None
    answers = [_all(kind, version, comparators) for comparators in alternatives]
    return True if True in answers else None if None in answers else False


def _all(kind: str, version: str, comparators: tuple[Comparator, ...]) -> bool | None:
    answers = [_holds(operator, compare(kind, version, bound)) for operator, bound in comparators]
    return False if False in answers else None if None in answers else True


def _holds(operator: str, order: int | None) -> bool | None:
    if order is None:
        return None
    held = {"<": order < 0, "<=": order <= 0, "=": order == 0, "!=": order != 0, ">=": order >= 0, ">": order > 0}
    return held[operator]


def alternatives_of(kind: str, range_text: str) -> Alternatives:
    """Return what a range's text says. Raises ValueError for one that can't be read."""
    text = range_text.strip()
    if text.startswith('["'):  # Snyk's list of ranges
        try:
            texts = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise _Unreadable from None
        if not all(isinstance(part, str) for part in texts):
            raise _Unreadable
        found = [alternative for part in texts[:_MOST_ALTERNATIVES] for alternative in _read(kind, part)]
    else:
        found = _read(kind, text)
    if not found or len(found) > _MOST_ALTERNATIVES:
        raise _Unreadable
    return tuple(found)


def _read(kind: str, text: str) -> list[tuple[Comparator, ...]]:
    text = " ".join(text.split())  # no run of spaces is left that the pattern could be made to try in many ways
    if text.lower() in _ALL:
        return [()]
    done: list[list[Comparator]] = []
    open_one: list[Comparator] = []
    begun = False
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _Unreadable
        at = token.end()
        if token["comma"]:
            continue
        if token["alternative"] or token["open"] or token["word"] == "introduced":
            if begun:
                done.append(open_one)
            open_one, begun = [], False
        if token["open"]:
            done.append(_interval(token))
        elif not token["alternative"]:
            open_one += _comparators(kind, token)
            begun = True
    if begun:
        done.append(open_one)
    return [each for alternative in done for each in _listed(alternative)]


def _listed(alternative: list[Comparator]) -> list[tuple[Comparator, ...]]:
    """A mere list of versions means any of them."""
    if len(alternative) > 1 and all(operator == "=" for operator, _ in alternative):
        return [(comparator,) for comparator in alternative]
    return [tuple(alternative)]


def _interval(token: re.Match[str]) -> list[Comparator]:
    low, high = token["low"], token["high"]
    if not token["between"]:
        if not low or high or (token["open"], token["close"]) != ("[", "]"):
            raise _Unreadable
        return [("=", low)]
    lower = [(">=" if token["open"] == "[" else ">", low)] if low else []
    return lower + ([("<=" if token["close"] == "]" else "<", high)] if high else [])


def _comparators(kind: str, token: re.Match[str]) -> list[Comparator]:
    if token["word"]:
        return _compared(kind, _EVENTS[token["word"]], token["event"])
    if token["from"]:
        return _compared(kind, ">=", token["from"]) + _compared(kind, "<=", token["to"])
    operator = token["operator"] or ""
    return _compared(kind, _SPELLINGS.get(operator, operator), token["version"])


def _compared(kind: str, operator: str, version: str) -> list[Comparator]:
    """Return the plain comparators that one with a wildcard, a caret or a tilde stands for."""
    if version in {"*", "x", "X"}:
        return []
    if operator == ">=" and version == "0":
        return []  # OSV: before all versions
    wild = _WILDCARD.fullmatch(version)
    release = wild["release"] if wild else version
    if operator in {"~", "~>", "~=", "^"}:
        return [(">=", release), ("<", _after(kind, operator, release))]
    if not wild and not (kind == "npm" and _is_partial(release)):
        return [(operator, version)]
    if operator == "!=":
        raise _Unreadable
    end = _next(kind, _numbers(release))
    plain: dict[str, list[Comparator]] = {
        "=": [(">=", release), ("<", end)], "<=": [("<", end)], ">": [(">=", end)], "<": [("<", release)], ">=": [(">=", release)],
    }  # fmt: skip
    return plain[operator]


def _after(kind: str, operator: str, version: str) -> str:
    """Return where ^1.2.3, ~1.2.3 and the like end."""
    numbers = _numbers(version)
    if operator == "^":
        leading = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
        return _next(kind, numbers[: leading + 1])
    if operator == "~" and kind != "composer":
        return _next(kind, numbers[:2])
    if operator == "~=" and len(numbers) < 2:
        raise _Unreadable
    return _next(kind, numbers[:-1] or numbers)


def _next(kind: str, numbers: list[int]) -> str:
    """Return the first of all versions, with its pre-releases, that come after those that begin with these numbers."""
    release = ".".join(map(str, [*numbers[:-1], numbers[-1] + 1]))
    if kind in SEMVER:
        return f"{release}{'.0' * (3 - len(numbers))}-0"
    return release + {"pypi": ".dev0", "gem": ".a", "cocoapods": ".a", "nuget": "-0", "composer": "-0", "deb": "~"}.get(kind, "")


def _numbers(version: str) -> list[int]:
    found = _RELEASE.match(version)
    if not found:
        raise _Unreadable
    return [int(number) for number in found[1].split(".")]


def _is_partial(version: str) -> bool:
    found = _RELEASE.fullmatch(version)
    return found is not None and found[1].count(".") < 2
