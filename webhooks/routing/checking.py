"""What a routing may hold. Each error names its member: `routing.digest.window_seconds`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.errors import InvalidInput
from integrations.contract.message import SEVERITIES
from webhooks.routing.rules import DEFAULT_MAX_EVENTS, DigestKey, DigestMode, Lanes

MAX_BRANCHES, MAX_GLOB = 50, 200
FLOORS = tuple(name for name in SEVERITIES if name != "unknown")
SHORTEST_WINDOW, LONGEST_WINDOW = 10, 86_400
SHORTEST_QUIET = 2
SHORTEST_LIFE, LONGEST_LIFE = 10, 7 * 86_400
MAX_DIGEST = DEFAULT_MAX_EVENTS
Check = Callable[[str, Any], Any]


def check_routing(routing: object) -> dict[str, Any] | None:
    """Return a valid routing without the rules that are at their defaults, None where none is left; raises InvalidInput."""
    if routing is None:
        return None
    errors: dict[str, list[str]] = {}
    found = _members("routing", routing, _RULES, errors, '{"branches": ["main"], "min_severity": "high"}')
    if errors:
        raise InvalidInput(" ".join(f"{name}: {sentences[0]}" for name, sentences in errors.items()), fields=errors)
    return {name: value for name, value in found.items() if value not in (None, "", [], {}, False, Lanes.PRIORITY)} or None


def _members(where: str, given: object, checks: Mapping[str, Check], errors: dict[str, list[str]], example: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        errors[where] = [f"must be an object such as {example}."]
        return {}
    found: dict[str, Any] = {}
    for name, value in given.items():
        place = f"{where}.{name}"
        if name not in checks:
            errors[f"{where}.{ascii(name)[1:-1][:50]}"] = [f"is not known; there are {', '.join(checks)}."]
        elif value is not None:
            try:
                found[name] = checks[name](place, value)
            except InvalidInput as error:
                errors |= error.fields
    return found


def _branches(place: str, value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_BRANCHES:
        raise InvalidInput.of(place, f'must be a list of at most {MAX_BRANCHES} patterns, such as ["main", "release/*", "!dependabot/*"].')
    for glob in value:
        name = glob.removeprefix("!") if isinstance(glob, str) else ""
        if not name or len(name) > MAX_GLOB or not name.isprintable() or " " in name:
            raise InvalidInput.of(place, f"must hold names or patterns of 1 to {MAX_GLOB} characters without spaces, such as release/*.")
        if name.startswith("refs/"):
            raise InvalidInput.of(place, f"{glob[:80]!r}: write the branch without refs/heads/ before it.")
    return list(dict.fromkeys(value))


def _one_of(*choices: str) -> Check:
    def check(place: str, value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise InvalidInput.of(place, f"must be one of {', '.join(choices)}.")
        return value

    return check


def _yes_or_no(place: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput.of(place, "must be true or false.")
    return value


def _whole(lowest: int, highest: int, unit: str) -> Check:
    def check(place: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise InvalidInput.of(place, f"must be a whole number of {unit} from {lowest} to {highest:_}.".replace("_", ","))
        return value

    return check


def _key(place: str, value: Any) -> list[str]:
    if not isinstance(value, list) or any(not isinstance(part, str) or part not in DigestKey.values for part in value):
        raise InvalidInput.of(place, f"must be a list of any of {', '.join(DigestKey.values)}; an empty one makes one digest of all.")
    return [name for name in DigestKey.values if name in value]


def _digest(place: str, value: Any) -> dict[str, Any]:
    errors: dict[str, list[str]] = {}
    found = _members(place, value, _DIGEST, errors, '{"window_seconds": 300, "key": ["repository"]}')
    if not errors and "window_seconds" not in found:
        errors[f"{place}.window_seconds"] = [f"must be given: seconds from {SHORTEST_WINDOW} to {LONGEST_WINDOW:,}."]
    if not errors and found.get("quiet_seconds", 0) > found["window_seconds"]:
        errors[f"{place}.quiet_seconds"] = ["must not be longer than the window."]
    if errors:
        raise InvalidInput(next(iter(errors.values()))[0], fields=errors)
    return found


_RULES: dict[str, Check] = {
    "branches": _branches,
    "min_severity": _one_of(*FLOORS),
    "new_only": _yes_or_no,
    "digest": _digest,
    "lanes": _one_of(*Lanes.values),
    "supersede": _yes_or_no,
    "expires_after": _whole(SHORTEST_LIFE, LONGEST_LIFE, "seconds"),
}
_DIGEST: dict[str, Check] = {
    "window_seconds": _whole(SHORTEST_WINDOW, LONGEST_WINDOW, "seconds"),
    "key": _key,
    "mode": _one_of(*DigestMode.values),
    "quiet_seconds": _whole(SHORTEST_QUIET, LONGEST_WINDOW, "seconds"),
    "max_events": _whole(2, MAX_DIGEST, "events"),
}
