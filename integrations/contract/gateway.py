"""Gateway targets: platforms that teams may call through the portal, with its credentials and limits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from core.http.door import Reply
from integrations.contract.connector import Connector


class GatewayTarget(Connector):
    """Can be called through named endpoints."""

    @classmethod
    @abstractmethod
    def base_url(cls, config: Mapping[str, Any]) -> str:
        """Return the URL that the paths of endpoints are appended to, without a slash at its end."""

    @classmethod
    def text_headers(cls, config: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the headers, among them Content-Type, under which a text is sent as it is; by default none: it is sent as JSON."""
        return {}

    def interpret(self, reply: Reply) -> None:
        """Raise BadAnswer for a failure inside an answer with a good status; by default there is none."""
        return
