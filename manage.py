#!/usr/bin/env python
"""RepoGuard's command line: `python manage.py help` lists the commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from repoguard import env, keys


def main(arguments: list[str]) -> None:
    """Run one management command with RepoGuard's settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "repoguard.settings")
    try:
        if "prepare" in arguments[1:2] or "--prepare" in arguments:
            # the settings can't be read without keys, so they come before any command of Django's
            from_file, data_dir = env.locate(Path(__file__).resolve().parent)
            keys.ensure(data_dir, from_file | os.environ)
        execute_from_command_line(arguments)
    except ImproperlyConfigured as error:
        sys.exit(f"RepoGuard can't start: {error}")


if __name__ == "__main__":
    main(sys.argv)
