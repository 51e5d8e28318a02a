"""What a format is: it recognises a report by its beginning, and yields what the report says, piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from integrations.contract.scans import Problem, Section
from integrations.contract.scans import ScanItem as Item
from scans.formats.source import Source

__all__ = ["HEAD_EVENTS", "MOST_PROBLEMS", "Format", "Head", "Item", "Problem", "Section"]

HEAD_EVENTS = 20_000
MOST_PROBLEMS = 100
"""So many problems of one report are kept; all are counted."""


@dataclass(frozen=True)
class Head:
    """The beginning of a report, for recognising it: what its first HEAD_EVENTS values make, so that lists and objects may be cut off."""

    document: Any = field(repr=False)
    """The outermost object or list."""

    @property
    def object(self) -> Mapping[str, Any]:
        """Return the outermost object, or the first one of an outermost list; empty where there is none."""
        first = self.document[0] if isinstance(self.document, list) and self.document else self.document
        return first if isinstance(first, dict) else {}

    @property
    def is_list(self) -> bool:
        """Say whether the report is a list."""
        return isinstance(self.document, list)


class Format(ABC):
    """A format of reports."""

    key: ClassVar[str]
    """Short name for APIs and logs, such as sarif or trivy."""
    title: ClassVar[str]
    """Name for people."""

    @classmethod
    @abstractmethod
    def recognises(cls, head: Head) -> bool:
        """Say whether a report that begins so is of this format; false for anything that is merely like it."""

    @abstractmethod
    def read(self, source: Source) -> Iterator[Item]:
        """Yield sections, findings and problems, in bounded memory.

        Raises InvalidInput for a report of which nothing can be used, or that says itself that the scan failed.
        """
