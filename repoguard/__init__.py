"""RepoGuard's wiring. Nothing imports it but the settings, the URLs and the commands."""

from __future__ import annotations

__version__ = "0.1.0"
