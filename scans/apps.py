"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class ScansConfig(AppConfig):
    """See the package's modules."""

    name = "scans"
    verbose_name = "Findings"

    def ready(self) -> None:
        """Declare the app's work."""
        from access.admin_base.buttons import add_buttons  # noqa: PLC0415
        from core import housekeeping, work_registry  # noqa: PLC0415
        from integrations.signals import configured  # noqa: PLC0415
        from scans import trend, work  # noqa: PLC0415 - it needs the models, which are loaded by now
        from scans.admin.scan_now import SCAN_NOW  # noqa: PLC0415
        from scans.feeds import running  # noqa: PLC0415
        from scans.gates import checks  # noqa: PLC0415
        from scans.housekeeping import JOBS  # noqa: PLC0415
        from scans.inventories.housekeeping import JOB  # noqa: PLC0415
        from scans.pulling.sync import on_configured  # noqa: PLC0415
        from scans.services import rejudging, removing  # noqa: PLC0415

        work_registry.register(work.KIND)
        work_registry.register(running.KIND)
        work_registry.register(checks.KIND)
        removing.listen()
        rejudging.listen()
        housekeeping.register(*JOBS, *trend.JOBS, JOB)
        for model in ("integrations.repository", "integrations.integration"):
            add_buttons(model, SCAN_NOW)
        configured.connect(on_configured, dispatch_uid="scans.syncs")
