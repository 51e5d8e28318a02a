#!/usr/bin/env python
"""RepoGuard's command line: `python manage.py help` lists the commands."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run one management command with RepoGuard's settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "repoguard.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - after the settings are named

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
