"""What a tool says about a result beside its words: fingerprints, and whether it was told to leave it out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_MOST = 10
_SHORTEST, _LONGEST = 8, 300
# of the place rather than of what is there, or of something that all results share
_UNSTABLE = (
    "column", "linenumber", "startline", "filehash", "csvrow", "commit", "author", "email", "date", "ordinal", "guid", "timestamp",
)  # fmt: skip
_LONGEST_NAME = 100


def fingerprints(result: dict[str, Any]) -> dict[str, str]:
    """Return those that name the same result in the next report, though code around it has moved."""
    found: dict[str, str] = {}
    for name in ("fingerprints", "partialFingerprints"):
        given = result.get(name)
        if not isinstance(given, dict):
            continue
        for key, value in given.items():
            # what has spaces is prose: Semgrep writes "requires login"
            if not isinstance(value, str) or not _SHORTEST <= len(value) <= _LONGEST or " " in value or len(key) > _LONGEST_NAME:
                continue
            if len(found) < _MOST and _is_stable(key):
                found.setdefault(key, value)
    if len(found) > 1 and "identity" in found:  # Snyk Code's "0" and "1" change with the code around
        return {"identity": found["identity"]}
    return found


@lru_cache(maxsize=1000)
def _is_stable(name: str) -> bool:
    lower = name.lower()
    return not any(word in lower for word in _UNSTABLE)


def is_suppressed(result: dict[str, Any]) -> bool:
    """Say whether the tool was told to leave a result out. One that is still under review, or was rejected, does not count."""
    found = result.get("suppressions")
    if not isinstance(found, list) or not found:
        return False
    given = [one for one in found if isinstance(one, dict)]
    return bool(given) and all((one.get("status") or one.get("state") or "accepted") == "accepted" for one in given)
