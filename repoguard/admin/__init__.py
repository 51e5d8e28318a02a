"""Admin pages of what belongs to no single room: settings, workers, people, lockouts."""

from __future__ import annotations

from repoguard.admin import lockouts, operation, people, runtime_settings

__all__ = ["lockouts", "operation", "people", "runtime_settings"]
