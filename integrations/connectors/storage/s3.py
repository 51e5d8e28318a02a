"""S3, by boto3 through the door."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from storages.backends.s3 import S3Storage

from core.http.aws import through
from core.http.client import Door
from core.http.door import BadAnswer
from integrations.connectors.storage.answers import UNREADABLE, explained
from integrations.connectors.storage.stores import Shown, Values

_TITLE = "The bucket's server"
_WHOLE = 256 * 1024 * 1024  # below that objects go in one request


@cache
def _loader() -> Loader:
    """Return what reads botocore's descriptions, once for each process."""
    return create_loader()


class DoorS3(S3Storage):
    """django-storages' backend, without a thread, a retry, a socket or a look at the environment of its own."""

    def _create_session(self) -> Any:
        session = botocore.session.Session()
        session.register_component("data_loader", _loader())
        return boto3.Session(
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key, region_name=self.region_name, botocore_session=session
        )

    def put(self, name: str, content: bytes, content_type: str) -> None:
        """Store an object."""
        self.object_parameters = {"ContentType": content_type}
        self.save(name, io.BytesIO(content))

    def get(self, name: str) -> bytes:
        """Return an object."""
        found: bytes = self.connection.meta.client.get_object(Bucket=self.bucket_name, Key=name)["Body"].read()
        return found


@contextlib.contextmanager
def opened(config: Values, credentials: Values, door: Door, shown: Shown) -> Iterator[DoorS3]:
    """Open the bucket. Raises OutboundError."""
    store = DoorS3(
        access_key=config["access_key_id"], secret_key=credentials["secret_access_key"], security_token=None, session_profile=None,
        bucket_name=config["bucket"], region_name=config["region"], endpoint_url=config.get("endpoint_url") or None, file_overwrite=True,
        default_acl=None, location="", gzip=False, proxies=None, verify=None, use_ssl=True, querystring_auth=False,
        transfer_config=TransferConfig(use_threads=False, multipart_threshold=_WHOLE),
        client_config=Config(
            s3={"addressing_style": config["addressing_style"]}, signature_version="s3v4", retries={"total_max_attempts": 1},
            # what is newer than many servers that speak S3
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
            ignore_configured_endpoint_urls=True,
        ),
    )  # fmt: skip
    try:
        through(door, store.connection.meta.client)
        yield store
    except BadAnswer as error:
        raise explained(error, _TITLE, shown) from error
    except (BotoCoreError, ClientError, ResponseParserError, *UNREADABLE) as error:
        raise BadAnswer(f"{_TITLE} answered something that is not S3 ({type(error).__name__}). Check the address.") from None
