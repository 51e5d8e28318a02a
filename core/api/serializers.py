"""Serializers that take what the schema says and nothing else.

Unknown fields are a 400 that names them, read-only fields sent back are ignored, and values must have their JSON type:
DRF alone would take 5 for a text and "yes" for a truth value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import Model
from django.http import QueryDict
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

M = TypeVar("M", bound=Model)
_TEXT_FIELDS = (
    serializers.CharField,
    serializers.UUIDField,
    serializers.DateTimeField,
    serializers.DateField,
    serializers.IPAddressField,
)


class SecretField(serializers.CharField):
    """A write-only text. Leaving it out keeps the stored one; null and an empty text are refused."""

    def __init__(self, **kwargs: Any) -> None:
        message = "can't be null; leave the field out to keep the present value."
        defaults: dict[str, Any] = {"write_only": True, "required": False, "trim_whitespace": False, "style": {"input_type": "password"}}
        super().__init__(**(defaults | kwargs))
        self.error_messages["null"] = message
        self.error_messages["blank"] = "can't be empty; leave the field out to keep the present value."


class ErrorSerializer(serializers.Serializer[Any]):
    """The one shape of every error."""

    code = serializers.CharField(help_text="For programs, such as `invalid` or `not_found`.")
    message = serializers.CharField(help_text="For people: what is wrong and how to mend it.")
    fields = serializers.DictField(child=serializers.ListField(child=serializers.CharField()), help_text="Sentences for each wrong field.")  # type: ignore[assignment]
    request_id = serializers.CharField(help_text="Names this request in the logs.")


class StrictMixin:
    """See the module."""

    fields: Any
    default_error_messages: Any = {"invalid": "Expected a JSON object ({{…}})."}

    def to_internal_value(self, data: Any) -> Any:
        """Check names and types before DRF reads the values."""
        if isinstance(data, QueryDict):  # an empty form body: DRF would read missing check boxes as false
            data = data.dict()
        if isinstance(data, Mapping):
            errors = {name: [_unknown(name, self.fields)] for name in data if name not in self.fields}
            for name, field in self.fields.items():
                if name in data and not field.read_only and (sentence := type_error(field, data[name])):
                    errors[name] = [sentence]
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)  # type: ignore[misc]


class StrictSerializer(StrictMixin, serializers.Serializer[Any]):
    """A plain serializer."""


@extend_schema_serializer(examples=[OpenApiExample("Nothing", value={}, request_only=True)])
class NothingSerializer(StrictSerializer):
    """An empty object: the action takes no fields."""


class StrictModelSerializer(StrictMixin, serializers.ModelSerializer[M]):
    """A model's serializer."""


def type_error(field: serializers.Field[Any, Any, Any, Any], value: Any) -> str | None:
    """Return what is wrong with the JSON type of `value` for `field`, or None; DRF checks everything else."""
    if value is None or isinstance(field, serializers.JSONField):
        return None  # DRF refuses null where it is not allowed
    if isinstance(field, serializers.BooleanField):
        return None if isinstance(value, bool) else "must be true or false."
    if isinstance(field, serializers.IntegerField):
        whole = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value) and value.is_integer())
        return None if whole and not isinstance(value, bool) else "must be a whole number."
    if isinstance(field, serializers.FloatField | serializers.DecimalField):
        return None if isinstance(value, int | float) and not isinstance(value, bool) else "must be a number."
    if isinstance(field, serializers.ChoiceField) and not isinstance(field, serializers.MultipleChoiceField):
        alike = [choice for choice in field.choices if type(choice) is type(value)]
        if isinstance(field.parent, serializers.ListField):  # DRF names the entry that is none of the choices
            return None if alike else _choices(field)
        return None if value in alike or (value == "" and field.allow_blank) else _choices(field)
    if isinstance(field, _TEXT_FIELDS):
        return None if isinstance(value, str) else "must be a text."
    if isinstance(field, serializers.ListField):
        return _list_error(field, value)
    return None


def _list_error(field: serializers.ListField, value: Any) -> str | None:
    if not isinstance(value, list):
        return "must be a list."
    child: Any = field.child
    found = ((index, type_error(child, item)) for index, item in enumerate(value))
    return next((f"entry {index}: {sentence}" for index, sentence in found if sentence), None)


def _choices(field: serializers.ChoiceField) -> str:
    return f"must be one of {', '.join(repr(choice) for choice in field.choices)}."


def _unknown(name: Any, fields: Mapping[str, Any]) -> str:
    known = ", ".join(sorted(key for key, field in fields.items() if not field.read_only))
    return f"is not a known field. Known here: {known}." if known else "is not a known field; this request takes none."
