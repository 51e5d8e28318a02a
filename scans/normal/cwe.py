"""CWE numbers out of what scanners write: CWE-79, cwe-079, 79, external/cwe/cwe-079, "CWE-79: Cross-site scripting"."""

from __future__ import annotations

import re
from functools import lru_cache

_MOST = 50
_MOST_TEXT = 300
_NAMED = re.compile(r"(?<![a-z])cwe[-_: ]{0,2}([0-9]{1,6})(?![0-9])", re.IGNORECASE)
_ADDRESS = re.compile(r"cwe\.mitre\.org/data/definitions/([0-9]{1,6})(?![0-9])", re.IGNORECASE)
_BARE = re.compile(r"[0-9]{1,6}")


def numbers(texts: tuple[str, ...]) -> tuple[int, ...]:
    """Return the numbers in the texts, sorted, each once. CWE-0 and the like, which mean that there is none, are left out."""
    # bounded before they are cached: what a report says must not fill the memory
    return _numbers(tuple([text[:_MOST_TEXT] for text in texts[: 2 * _MOST]])) if texts else ()


@lru_cache(maxsize=2048)
def _numbers(texts: tuple[str, ...]) -> tuple[int, ...]:
    found = {number for text in texts for number in _of(text)}
    return tuple(sorted(found - {0})[:_MOST])


def _of(text: str) -> list[int]:
    bare = text.strip()
    if _BARE.fullmatch(bare):
        return [int(bare)]
    return [int(number) for pattern in (_NAMED, _ADDRESS) for number in pattern.findall(text)]
