"""The tables of builds."""

from __future__ import annotations

from builds.models.analysis import Analysis
from builds.models.build import Build
from builds.models.imports import BuildImport

__all__ = ["Analysis", "Build", "BuildImport"]
