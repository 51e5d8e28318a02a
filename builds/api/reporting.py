"""Reads posted builds row by row: a wrong one is named, and the others are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework.exceptions import ValidationError

from builds.api.build_serializers import ReportBuildSerializer
from builds.rows import BuildRow, Rejected
from builds.services import Scope, Stored, store_builds
from builds.statuses import status_of
from core.errors import InvalidInput

SOURCE = "api"
_MAX_ERRORS = 20
_NAMES = ("build_id", "number")
"""Some CI systems write them as numbers."""


def store_posted(items: Sequence[object], scope: Scope, *, publish: bool) -> Stored:
    """Store posted builds in one transaction; raises InvalidInput when every one of them is wrong."""
    reader = ReportBuildSerializer()
    rejected: list[Rejected] = []
    good: list[tuple[int, BuildRow]] = []
    for index, item in enumerate(items):
        row = _read(reader, index, item)
        if isinstance(row, Rejected):
            rejected.append(row)
        else:
            good.append((index, row))
    stored = store_builds([row for _, row in good], scope, publish=publish)
    rejected += [replace(one, index=good[one.index][0]) for one in stored.rejected]
    stored.rejected = sorted(rejected, key=lambda one: one.index)
    if len(stored.rejected) == len(items):
        raise _nothing_stored(stored.rejected)
    return stored


def _read(reader: ReportBuildSerializer, index: int, item: object) -> BuildRow | Rejected:
    if not isinstance(item, dict):
        return Rejected(index, "", "must be an object with build_id, project and status.")
    try:
        values: dict[str, Any] = reader.run_validation(item | {name: str(item[name]) for name in _NAMES if type(item.get(name)) is int})
    except (ValidationError, DjangoValidationError) as error:
        return Rejected(index, *_first(error))
    said = values["status"]
    status = status_of(said)
    if status is not None:
        values["status"] = status.value
        own_word = said.strip().lower()
        values.setdefault("conclusion", own_word if own_word != status.value else "")
    given = {name: value for name, value in values.items() if value is not None}
    return BuildRow(**({"source": SOURCE} | given))


def _first(error: Any) -> tuple[str, str]:
    """Return the first wrong field and what is wrong with it."""
    detail = error.detail if isinstance(error, ValidationError) else {"": error.messages}
    name, found = next(iter(detail.items())) if isinstance(detail, dict) else ("", detail)
    while isinstance(found, dict | list) and found:
        found = next(iter(found.values())) if isinstance(found, dict) else found[0]
    return ascii(str(name))[1:-1][:100], str(found)[:300]


def _nothing_stored(rejected: Sequence[Rejected]) -> InvalidInput:
    fields: dict[str, list[str]] = {}
    for one in rejected[:_MAX_ERRORS]:
        fields[f"builds.{one.index}.{one.field}" if one.field else f"builds.{one.index}"] = [one.reason]
    place, sentences = next(iter(fields.items()))
    more = f" {len(rejected)} builds are wrong." if len(rejected) > 1 else ""
    return InvalidInput(f"{place}: {sentences[0]}{more} Nothing was stored.", fields=fields)
