"""JSONPath, as far as an answer of somebody else's may be searched with it."""

from __future__ import annotations

from functools import lru_cache

from jsonpath import JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError

MAX_SHOWN = 200


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
    try:
        found = _PATHS.compile(path)
    except (JSONPathError, RecursionError, ValueError) as error:
        raise ValueError(f"is no JSONPath (RFC 9535, without match and search): {str(error)[:MAX_SHOWN]}") from None
    if not isinstance(found, JSONPath):
        raise ValueError("is no single JSONPath (RFC 9535).")
    return found
