"""The table of rate-limit counters on PostgreSQL (on SQLite they live in a file of their own, see core/counters.py)."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def create(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the table, unlogged: a counter may be lost with the server, and need not cost a write-ahead record."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE UNLOGGED TABLE core_counter (name varchar(250) PRIMARY KEY, value text NOT NULL, expires double precision)"
        )


def drop(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the table."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TABLE core_counter")


class Migration(migrations.Migration):
    """See create()."""

    dependencies = [("core", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]
