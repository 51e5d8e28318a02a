"""The values of an integration: what may be set, and the rules for each. API, admin and templates all pass through here."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from django.utils import timezone

from core.errors import InvalidInput
from integrations.choices import Category, Criticality, Environment, Status

MAX_NAME = 100
MAX_TEXT = 2000
MAX_METADATA_BYTES = 16_384
MAX_INTEGER = 2_147_483_647
DAY = 86_400


class IntegrationValues(TypedDict, total=False):
    """What a caller may set; a key that is absent keeps the value (or takes the default).

    `config` is merged into the present one, a null in it removes a value; of `credentials` those given replace the present ones.
    """

    name: str
    type: str
    category: str
    environment: str
    config: dict[str, Any]
    credentials: dict[str, Any]
    status: str
    credentials_expire_at: datetime | None
    metadata: dict[str, Any]
    purpose: str
    exchanged_data: str
    criticality: str
    sla_availability: float | None
    sla_response_ms: int | None
    quota_limit: int | None
    quota_window_seconds: int
    rate_per_minute: int | None
    breaker_failures: int
    breaker_hold_seconds: int
    timeout_seconds: int
    stale_seconds: int
    owner_id: uuid.UUID | None


@dataclass(frozen=True)
class Bound:
    """A number from `low` to `high`; `unit` is for the sentence."""

    low: float
    high: float
    unit: str
    nullable: bool = False
    whole: bool = True


BOUNDS: Mapping[str, Bound] = {
    "sla_availability": Bound(0, 100, "percent", nullable=True, whole=False),
    "sla_response_ms": Bound(1, 600_000, "milliseconds", nullable=True),
    "quota_limit": Bound(1, MAX_INTEGER, "calls", nullable=True),
    "quota_window_seconds": Bound(1, 31 * DAY, "seconds"),
    "rate_per_minute": Bound(1, 1_000_000, "calls a minute", nullable=True),
    "breaker_failures": Bound(1, 1000, "failures"),
    "breaker_hold_seconds": Bound(1, 3600, "seconds"),
    "timeout_seconds": Bound(1, 120, "seconds"),
    "stale_seconds": Bound(0, 30 * DAY, "seconds"),
}


def check_plain(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the values that are no matter of the connector in their stored form, and the errors of those that are wrong."""
    checked: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, check in _CHECKS.items():
        if name in values:
            try:
                checked[name] = check(name, values[name])
            except InvalidInput as error:
                errors |= error.fields
    if "owner_id" in values:
        checked["owner_id"] = values["owner_id"]
    return checked, errors


def summary(errors: Mapping[str, list[str]]) -> str:
    """Return errors by field as one sentence."""
    return " ".join(f"{field}: {sentences[0]}" for field, sentences in errors.items())


def _name(field: str, value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > MAX_NAME or not text.isprintable():
        raise InvalidInput.of(field, f"must be a text of 1 to {MAX_NAME} printable characters.")
    return text


def _text(field: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not all(char.isprintable() or char in "\r\n\t" for char in value):
        raise InvalidInput.of(field, f"must be a text of at most {MAX_TEXT} characters, without control characters.")
    return value.strip()


def _choice(choices: list[str]) -> Callable[[str, object], str]:
    def check(field: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise InvalidInput.of(field, f"must be one of {', '.join(choices)}.")
        return value

    return check


def _number(field: str, value: object) -> float | int | None:
    bound = BOUNDS[field]
    if value is None and bound.nullable:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _fits(value, bound):
        kind = "whole number" if bound.whole else "number"
        none = ", or null for none" if bound.nullable else ""
        raise InvalidInput.of(field, f"must be a {kind} of {bound.unit} from {bound.low:,g} to {bound.high:,.0f}{none}.")
    return int(value) if bound.whole else float(value)


def _fits(value: float, bound: Bound) -> bool:
    whole = isinstance(value, int) or (math.isfinite(value) and value.is_integer())
    return (whole or not bound.whole) and bound.low <= value <= bound.high


def _metadata(field: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput.of(field, "must be a JSON object with notes, such as a ticket or a contact.")
    try:
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput.of(field, "holds a number or a character that JSON can't express, or is nested too deeply.") from error
    if size > MAX_METADATA_BYTES:
        raise InvalidInput.of(field, f"is {size} bytes of JSON; at most {MAX_METADATA_BYTES} are allowed.")
    if "\\u0000" in json.dumps(value):
        raise InvalidInput.of(field, "holds a NUL character, which can't be stored.")
    return value


def _moment(field: str, value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InvalidInput.of(field, "must be a time such as 2027-01-31T00:00:00Z, or null.")
    return timezone.make_aware(value) if timezone.is_naive(value) else value


_CHECKS: Mapping[str, Callable[[str, object], Any]] = {
    "name": _name,
    "category": _choice(Category.values),
    "environment": _choice(Environment.values),
    "status": _choice(Status.values),
    "criticality": _choice(Criticality.values),
    "metadata": _metadata,
    "purpose": _text,
    "exchanged_data": _text,
    "credentials_expire_at": _moment,
    **dict.fromkeys(BOUNDS, _number),
}
