"""What refs and commits are called: asked for strictly where people and programs name them, read mildly out of events."""

from __future__ import annotations

import re
from typing import Any

from core.errors import InvalidInput

LONGEST_REF = 255
_BRANCH = "refs/heads/"
_REF = re.compile(r"[^\s\\~^:?*\[]{1,255}")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")


def plain_ref(text: str) -> str:
    """Return a branch's plain name: refs/heads/main is main."""
    return text.removeprefix(_BRANCH)


def is_branch(text: str) -> bool:
    """Say whether a ref in full, or a plain name, is one of a branch: refs/tags/v1 is not."""
    return text.startswith(_BRANCH) or not text.startswith("refs/")


def is_ref(text: str) -> bool:
    """Say whether Git takes it for a ref, roughly."""
    return _REF.fullmatch(text) is not None and text.isprintable()


def commit_in(value: Any) -> str:
    """Return a commit's SHA in lower case; "" for anything else, and for the zeros that stand for none."""
    return value.lower() if isinstance(value, str) and _COMMIT.fullmatch(value) and value.strip("0") else ""


def checked_ref(text: str) -> str:
    """Return a branch's plain name, or "". Raises InvalidInput."""
    if len(text) > LONGEST_REF or not text.isprintable() or any(character.isspace() for character in text):
        raise InvalidInput.of("ref", f"must be the name of a branch or ref, of at most {LONGEST_REF} printable characters without spaces.")
    return plain_ref(text)


def checked_commit(text: str) -> str:
    """Return a commit's SHA in lower case, or "". Raises InvalidInput."""
    if text and not _COMMIT.fullmatch(text):
        raise InvalidInput.of("commit", "must be 7 to 64 hexadecimal digits: the commit's SHA.")
    return text.lower()
