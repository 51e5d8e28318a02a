"""The system check of the registry: a connector with wrong declarations stops the start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error

from integrations import registry
from integrations.contract.connector import Connector
from integrations.contract.declarations import problems


def check_connectors(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return what is wrong with the registered connectors; Django calls it before every command."""
    return found_in(registry.CONNECTORS)


def found_in(connectors: Sequence[type[Connector]]) -> list[CheckMessage]:
    """Return what is wrong with connectors, each and together."""
    keys = [connector.key for connector in connectors]
    found: list[CheckMessage] = [
        Error(f"Two connectors have the key {key!r}.", "Rename one of them.", id="repoguard.E030")
        for key in sorted({key for key in keys if keys.count(key) > 1})
    ]
    for connector in connectors:
        name = f"{connector.__module__}.{connector.__qualname__}"
        found += [
            Error(f"{name}: {sentence}", "CONTRIBUTING.md says how a provider is added.", id="repoguard.E031")
            for sentence in problems(connector)
        ]
    return found
