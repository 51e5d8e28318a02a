"""Declared fields: what a connector asks for. Forms, API validation and docs are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models


class FieldKind(models.TextChoices):
    """What a field takes."""

    TEXT = "text", "text"
    MULTILINE = "multiline", "text of several lines"
    URL = "url", "URL"
    INTEGER = "integer", "whole number"
    NUMBER = "number", "number"
    BOOLEAN = "boolean", "yes or no"
    CHOICE = "choice", "one of a list"
    WORDS = "words", "list of words"
    MAPPING = "mapping", "names with values"


@dataclass(frozen=True)
class Field:
    """One thing a connector asks for. `secret` ones are kept encrypted, and never shown again."""

    name: str
    title: str
    kind: FieldKind = FieldKind.TEXT
    help: str = ""
    secret: bool = False
    required: bool = False
    default: Any = None
    choices: tuple[tuple[str, str], ...] = ()
    low: float | None = None
    high: float | None = None
    max_length: int = 2000
    pattern: str = ""
    """A regular expression (RE2 syntax) that a text must match in full."""
    placeholder: str = ""
    example: Any = None
    """A value for documents and tests, where neither default, placeholder nor kind gives a fitting one."""
    link: str = ""
    """Page of the provider that says where to find the value."""
    only_if: tuple[str, tuple[str, ...]] | None = None
    """(name of an earlier choice field, its values): asked for, and required, only then."""

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Say whether the field is asked for beside these values."""
        return self.only_if is None or values.get(self.only_if[0]) in self.only_if[1]
