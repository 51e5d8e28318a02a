"""Names of Jenkins' jobs, and the paths at which it has them. Of the addresses that Jenkins gives, only what they name is used.

Jenkins writes its own root into them, which behind a proxy is another host; credentials are sent to the integration's address only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from core.errors import InvalidInput
from integrations.messages.flat import Value, fill

_QUEUE_ITEM = re.compile(r"/queue/item/([0-9]{1,18})/?$")
_BUILD = re.compile(r"((?:/job/[^/]{1,500}){1,30})/([0-9]{1,12})/?$")
_LINES = re.compile(r"[\x00-\x1f\x7f]")


def job_path(template: str, values: Mapping[str, Value]) -> str:
    """Return the path of a job, `/job/folder/job/name`; raises InvalidInput where the event leaves a part empty.

    `{repository}` may be folder and name; any other value is one part, in which Jenkins writes a slash as %2F. Without values the
    template itself is looked at.
    """
    parts = template.strip("/").split("/")
    if len(parts) % 2 == 0 and all(part == "job" for part in parts[::2]):  # copied from an address
        parts = parts[1::2]
    names: list[str] = []
    for part in parts:
        filled = fill(part, values) if values else part
        names += filled.split("/") if part == "{repository}" else [filled.replace("/", "%2F")]
    for name in names:
        if not name.strip():
            raise InvalidInput.of(
                "job", f"{template[:200]} leaves a part of the name empty: the event does not have it (a test names no repository)."
            )
        if unquote(unquote(name)).strip() in (".", "..") or _LINES.search(name) or "/../" in f"/{unquote(unquote(name))}/":
            raise InvalidInput.of("job", f"{name[:60]!r} is no name that a job can have.")
    return path_of(names)


def is_chosen_by_events(template: str) -> bool:
    """Say whether what an event says decides which job it is."""
    return fill(template, {}) != template


def path_of(names: list[str]) -> str:
    """Return the path of a job by the parts of its full name."""
    return "".join(f"/job/{quote(name.encode('utf-8', 'replace'), safe='')}" for name in names)


def queue_item(address: str) -> int | None:
    """Return the number of the queue item that an address or path names."""
    found = _QUEUE_ITEM.search("/" + _path(address))
    return int(found[1]) if found else None


def build_at(address: str) -> tuple[str, int] | None:
    """Return job path and number of the build that an address names."""
    found = _BUILD.search(_path(address))
    if found is None or any(unquote(unquote(part)) in (".", "..") for part in found[1].split("/")):
        return None
    return found[1], int(found[2])


def job_name(path: str) -> str:
    """Return a job's full name as people write it."""
    return "/".join(unquote(part) for part in path.split("/job/")[1:])


def _path(address: str) -> str:
    try:
        return urlsplit(address[:2000]).path
    except ValueError:
        return ""
