"""The statements that read and write up to a thousand builds at once, on either database.

Django would send a thousand rows to SQLite in some thirty statements, for its limit of parameters; a JSON text is one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from builds.models import Build
from builds.services.merging import MERGED

Key = tuple[str, str, str, int]
KEY = ("project", "source", "build_id", "attempt")
CHANGED = (*MERGED, "repository", "owner", "updated_at")
_FIELDS = [Build._meta.get_field(name) for name in ("id", *KEY, *CHANGED)]
_MADE = "created_at"


def locked(keys: Collection[Key]) -> dict[Key, Build]:
    """Return the stored builds of these keys, locked in the order of their ids; call it inside a transaction."""
    if not keys:
        return {}
    found: QuerySet[Build] = Build.objects.filter(id__in=_ids(keys)).order_by("id").select_for_update(of=("self",))
    return {(build.project, build.source, build.build_id, build.attempt): build for build in found}


def insert(builds: Sequence[Build]) -> set[str]:
    """Insert new builds and return the ids of those that were: a key that somebody else stored meanwhile is left alone."""
    return set(_write(sorted(builds, key=_key), "DO NOTHING")) if builds else set()


def update(builds: Sequence[Build]) -> None:
    """Write changed builds, which must be locked."""
    columns = (Build._meta.get_field(name).column for name in CHANGED)  # type: ignore[union-attr]
    changes = ", ".join(f'"{column}" = excluded."{column}"' for column in columns)
    if builds:
        _write(builds, f"DO UPDATE SET {changes}")


def _ids(keys: Collection[Key]) -> RawSQL:
    rows = ", ".join(["(%s, %s, %s, %s)"] * len(keys))
    matches = " AND ".join(f'b."{name}" = k.column{number}' for number, name in enumerate(KEY, start=1))
    sql = f"SELECT b.id FROM (VALUES {rows}) AS k JOIN builds_build b ON {matches}"  # noqa: S608 - names of columns and placeholders only
    return RawSQL(sql, [part for key in keys for part in key])  # noqa: S611 - as above


def _key(build: Build) -> Key:
    return (build.project, build.source, build.build_id, build.attempt)


def _write(builds: Sequence[Build], on_conflict: str) -> list[str]:
    columns = ", ".join(f'"{field.column}"' for field in _FIELDS)  # type: ignore[union-attr]
    conflict = ", ".join(f'"{name}"' for name in KEY)
    sql = f'INSERT INTO builds_build ({columns}, "{_MADE}") {_source()} ON CONFLICT ({conflict}) {on_conflict} RETURNING id'
    text = json.dumps([[_plain(build, field) for field in _FIELDS] for build in builds])
    with connection.cursor() as cursor:
        cursor.execute(sql, [text])
        return [str(row[0]).replace("-", "") for row in cursor.fetchall()]


def _source() -> str:
    numbers = range(len(_FIELDS))
    if connection.vendor == "sqlite":
        parts = ", ".join(f"json_extract(value, '$[{number}]')" for number in numbers)
        return f"SELECT {parts}, strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now') FROM json_each(%s) WHERE true"  # noqa: S608
    parts = ", ".join(f"(value->>{number})::{_type(field)}" for number, field in enumerate(_FIELDS))
    return f"SELECT {parts}, now() FROM json_array_elements(%s::json)"  # noqa: S608


def _type(field: Any) -> str:
    return str(field.rel_db_type(connection) if field.is_relation else field.db_type(connection))


def _plain(build: Build, field: Any) -> Any:
    """Return a value as JSON holds it and the database reads it."""
    value = getattr(build, field.attname)
    if field.name == "extra":
        return json.dumps(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if connection.vendor == "sqlite":
        prepared = field.get_db_prep_save(value, connection)
        return prepared if prepared is None else str(prepared)
    return str(value)
