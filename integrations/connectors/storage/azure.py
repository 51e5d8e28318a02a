"""Azure Blob Storage, by Microsoft's client through the door."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from typing import Any

from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport
from storages.backends.azure_storage import AzureStorage

from core.http.client import Door
from core.http.door import BadAnswer
from core.http.libraries import session
from integrations.connectors.storage.answers import UNREADABLE, explained
from integrations.connectors.storage.stores import Shown, Values

_TITLE = "Azure"
_WHOLE = 256 * 1024 * 1024  # below that blobs go in one request


class DoorAzure(AzureStorage):
    """django-storages' backend, without a retry or a socket of its own."""

    def put(self, name: str, content: bytes, content_type: str) -> None:
        """Store a blob."""
        self.object_parameters = {"content_type": content_type}
        self.save(name, io.BytesIO(content))

    def get(self, name: str) -> bytes:
        """Return a blob."""
        found: Any = self.client.download_blob(name).readall()
        return bytes(found)


@contextlib.contextmanager
def opened(config: Values, credentials: Values, door: Door, shown: Shown) -> Iterator[DoorAzure]:
    """Open the container. Raises OutboundError."""
    logging.getLogger("azure").setLevel(logging.WARNING)  # it would write each request's headers
    transport: Any = RequestsTransport(session=session(door), session_owner=False)
    store = DoorAzure(
        account_name=config["account_name"], account_key=credentials["account_key"], azure_container=config["container"],
        endpoint_suffix=config["endpoint_suffix"], azure_ssl=True, overwrite_files=True, upload_max_conn=1, location="",
        connection_string=None, sas_token=None, token_credential=None, api_version=None,
        client_options={"transport": transport, "retry_total": 0, "max_single_put_size": _WHOLE, "max_single_get_size": _WHOLE},
    )  # fmt: skip
    try:
        yield store
    except BadAnswer as error:
        raise explained(error, _TITLE, shown) from error
    except (AzureError, *UNREADABLE) as error:
        raise BadAnswer(f"{_TITLE} answered something that is not Blob Storage ({type(error).__name__}). Check the account.") from None
