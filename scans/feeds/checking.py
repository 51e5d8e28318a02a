"""Whether a file is the list, all of it, and no step back: looked at whole before anything of it is stored."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from core.errors import InvalidInput
from integrations.contract.feeds import FeedHead, FeedName, VulnerabilityFeed
from integrations.registry import with_capability
from scans.models.feeds import FeedState

SHRUNK = 0.5
_HASH_BYTES = 8
_TOLD_EVERY = 20_000


class Keys:
    """Many ids in eight bytes each: says which were there, and whether one came twice."""

    def __init__(self) -> None:
        self._hashes = array("Q")

    def add(self, cve: str) -> None:
        """Note an id."""
        self._hashes.append(_hash(cve))

    def seal(self) -> None:
        """Make ready to be asked. Raises InvalidInput where an id came twice."""
        self._hashes = array("Q", sorted(self._hashes))
        if any(one == other for one, other in zip(self._hashes, self._hashes[1:], strict=False)):
            raise InvalidInput("The file names a CVE twice: it is damaged. Download it again.", code="foreign_file")

    def __contains__(self, cve: str) -> bool:
        wanted = _hash(cve)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted

    def __len__(self) -> int:
        return len(self._hashes)


def _hash(cve: str) -> int:
    return int.from_bytes(hashlib.blake2b(cve.encode(), digest_size=_HASH_BYTES).digest())


@dataclass(frozen=True)
class Checked:
    """A file that may be stored."""

    head: FeedHead
    keys: Keys


def connector_of(feed: str) -> type[VulnerabilityFeed]:
    """Return the connector that reads a list."""
    found = with_capability(VulnerabilityFeed)
    return next(connector for connector in found if issubclass(connector, VulnerabilityFeed) and connector.feed == feed)


def check(feed: str, file: IO[bytes], *, forced: bool = False, seen: Callable[[int], None] = lambda count: None) -> Checked:
    """Read a file to its end, holding a piece at a time, and say what it is. `seen` hears of progress.

    Raises InvalidInput for another file and for one that was cut off; unless `forced`, also for one that is older than the stored list,
    or has less than half of its rows.
    """
    head, rows = connector_of(feed).read(file)
    keys = Keys()
    for count, row in enumerate(rows, 1):
        keys.add(row.cve)
        if not count % _TOLD_EVERY:
            seen(count)
    keys.seal()
    title = FeedName(feed).label
    if not keys:
        raise InvalidInput(f"The file has no rows: these are no {title}. Download it again.", code="truncated_file")
    if head.count is not None and head.count != len(keys):
        raise InvalidInput(f"The file says that it has {head.count} rows, and has {len(keys)}: download it again.", code="truncated_file")
    if not forced:
        _compare(head, len(keys), FeedState.objects.filter(feed=feed).first())
    return Checked(head, keys)


def _compare(head: FeedHead, count: int, known: FeedState | None) -> None:
    if known is None or not known.rows:
        return
    if known.dated and head.dated < known.dated:
        raise InvalidInput(
            f"The list is of {head.dated}, older than the stored one of {known.dated}, which stays. Take it all the same by forcing it.",
            code="older_list",
        )
    if count < known.rows * SHRUNK:
        raise InvalidInput(
            f"The list has {count} rows, less than half of the {known.rows} that are stored, which stay: it was probably cut off. "
            "Take it all the same by forcing it.",
            code="shrunken_list",
        )
