"""The list of a source's requests by what came of them, at millions of requests."""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def relate(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Have PostgreSQL count which kinds go together: else it thinks every source fails as often as all, and passes over the index."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("CREATE STATISTICS webhooks_receipt_kinds (mcv) ON source_id, verdict, outcome FROM webhooks_receipt")


def unrelate(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop what relate() made."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP STATISTICS webhooks_receipt_kinds")


class Migration(migrations.Migration):
    """See the module."""

    dependencies = [("webhooks", "0005_inbound")]
    operations = [
        migrations.AddIndex(
            "receipt",
            models.Index(fields=["source", "outcome", "-id"], name="receipt_source_outcome_idx", condition=~models.Q(outcome="waiting")),
        ),
        migrations.RunPython(relate, unrelate),
    ]
