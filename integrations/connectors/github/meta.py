"""Where GitHub's webhooks come from: its own list, and a copy of it for installations that don't reach GitHub.

See https://docs.github.com/en/rest/meta/meta. An Enterprise Server sends from its own address, which stands in no such list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import InvalidInput
from integrations.contract.addresses import Snapshot

URL = "https://api.github.com/meta"


def hook_networks(document: Any) -> list[str]:
    """Return the networks that GitHub's list names for webhooks. Raises InvalidInput."""
    hooks = document.get("hooks") if isinstance(document, Mapping) else None
    if not isinstance(hooks, list) or not all(isinstance(one, str) for one in hooks):
        raise InvalidInput(f"It is not GitHub's list of addresses: {URL} answers with an object whose `hooks` are networks.")
    return hooks


def shipped() -> Snapshot:
    """Return the copy that comes with this release."""
    document = json.loads(Path(__file__).with_name("meta.json").read_text())
    return Snapshot(document["dated"], tuple(hook_networks(document)))


SNAPSHOT = shipped()
