"""JSONPath, as far as an answer of somebody else's may be searched with it."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Any

from jsonpath import JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError

MAX_SHOWN = 200
MAX_MATCHES = 10_000
# how often each may stand in a path: several of them together multiply the work, on an answer of somebody else's
_MOST = {"..": 1, "$": 1, "*": 3, ":": 4, ",": 8, "?": 2}
_LONGEST = 300


class _Paths(JSONPathEnvironment):
    """RFC 9535 without regular expressions: a pattern of somebody's on an answer of somebody else's could run for hours."""

    def setup_function_extensions(self) -> None:
        """Leave match and search out."""
        super().setup_function_extensions()
        for name in ("match", "search"):
            self.function_extensions.pop(name, None)


_PATHS = _Paths(strict=True)


@lru_cache(maxsize=256)
def compiled(path: str) -> JSONPath:
    """Return a JSONPath ready for use; raises ValueError that says what is wrong with it."""
    if len(path) > _LONGEST:
        raise ValueError(f"has {len(path)} characters; at most {_LONGEST} are allowed.")
    for sign, most in _MOST.items():
        if path.count(sign) > most:
            raise ValueError(f"holds {sign} more than {most} times, which could take very long. Name the places on the way.")
    try:
        found = _PATHS.compile(path)
    except (JSONPathError, RecursionError, ValueError) as error:
        raise ValueError(f"is no JSONPath (RFC 9535, without match and search): {str(error)[:MAX_SHOWN]}") from None
    if not isinstance(found, JSONPath):
        raise ValueError("is no single JSONPath (RFC 9535).")
    return found


def matches(path: str, document: Any) -> list[Any]:
    """Return what a path finds, MAX_MATCHES values at most. Raises ValueError, JSONPathError and RecursionError."""
    return [match.obj for match in islice(compiled(path).finditer(document), MAX_MATCHES)]
