"""Badges: a label and a few words about a repository, for READMEs and dashboards. Rooms name theirs in settings.BADGE_SOURCES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


class Colour(StrEnum):
    """The colours of shields.io, by their names there."""

    GREEN = "brightgreen"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"
    BLUE = "blue"
    GREY = "lightgrey"


@dataclass(frozen=True)
class Badge:
    """What a badge says: `label` on the left, `message` on the right."""

    label: str
    message: str
    colour: Colour


@dataclass(frozen=True)
class Asked:
    """What a badge is to speak of: a branch and, for builds, a workflow; "" is the default branch, and every workflow."""

    branch: str = ""
    workflow: str = ""


Source = Callable[[Any, Asked], Badge]
"""Takes a Repository and what is asked; makes a constant number of statements, and reads a bounded number of rows."""


def source(name: str) -> Source | None:
    """Return who makes the badges of this name, None where nobody does."""
    path = settings.BADGE_SOURCES.get(name)
    if path is None:
        return None
    found: Source = import_string(path)
    return found


def unknown(label: str) -> Badge:
    """Return the badge of what is not known: always an image, since a broken one would stay in caches."""
    return Badge(label, "unknown", Colour.GREY)
