"""How a test that commits leaves an empty database: rows are deleted where there are some.

Django's own flush truncates every table, which PostgreSQL pays for each, and then makes all permissions anew.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, transaction

from access.choices import Role
from access.roles import ensure_roles

# what migrating wrote, and no test changes
_KEPT = frozenset({"django_migrations", "django_content_type", "auth_permission", "auth_group", "auth_group_permissions"})


def flush(_test_case: Any = None) -> None:
    """Delete all rows of all models but those that migrating wrote: permissions, and the groups of the roles."""
    with transaction.atomic(), connection.cursor() as cursor:  # foreign keys are looked at when it ends
        for table in used(cursor):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        Group.objects.exclude(name__in=Role.values).delete()
        if Group.objects.count() < len(Role):
            ensure_roles()


def used(cursor: Any) -> list[str]:
    """Return the tables that have rows which a flush deletes."""
    tables = [table for table in connection.introspection.django_table_names(only_existing=False) if table not in _KEPT]
    questions = ", ".join(f"EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})" for table in tables)
    cursor.execute(f"SELECT {questions}")
    return [table for table, used in zip(tables, cursor.fetchone(), strict=True) if used]
