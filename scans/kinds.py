"""The name of the work of scans, for those who wake it."""

from __future__ import annotations

KIND_NAME = "scans"
