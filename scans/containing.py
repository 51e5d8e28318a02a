"""Rows whose JSON list has a value: PostgreSQL's containment, and the like of it on SQLite."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import connection
from django.db.models import BooleanField, F, Func, Model, QuerySet, Value

M = TypeVar("M", bound=Model)


class _Has(Func):
    """On SQLite, which has no containment."""

    template = "EXISTS (SELECT 1 FROM json_each(%(expressions)s))"
    arg_joiner = ") WHERE value = ("
    output_field = BooleanField()


def containing(rows: QuerySet[M], field: str, value: Any) -> QuerySet[M]:
    """Return the rows whose list holds a value. No index serves it: whoever calls it cuts the rows down before."""
    if connection.vendor == "postgresql":
        return rows.filter(**{f"{field}__contains": [value]})
    return rows.filter(_Has(F(field), Value(value)))
