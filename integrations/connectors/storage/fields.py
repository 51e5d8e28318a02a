"""What storage needs to know: where it is, who we are there, and what objects are called."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from django.db import models

from integrations.contract.fields import Field, FieldKind
from integrations.report_files import FORMATS


class Place(models.TextChoices):
    """What keeps the objects."""

    S3 = "s3", "Amazon S3, or anything that speaks it"
    AZURE = "azure", "Azure Blob Storage"
    GCS = "gcs", "Google Cloud Storage"
    SFTP = "sftp", "SFTP server"
    LOCAL = "local", "folder on the portal's machines"


DEFAULT_KEY = "events/{year}/{month}/{day}/{type}/{repository}/{id}.json"
PLACES = ("year", "month", "day", "date", "type", "repository", "id")
_SEGMENT = r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*"
_PATH = rf"{_SEGMENT}(/{_SEGMENT})*"
_PRINTABLE = r"[\x21-\x7e]+"
_HOST_KEYS = r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d{3}"


def _only(*places: Place) -> tuple[str, tuple[str, ...]]:
    return ("place", tuple(place.value for place in places))


_S3, _AZURE, _GCS, _SFTP, _LOCAL = (_only(place) for place in Place)

FIELDS: tuple[Field, ...] = (
    Field("place", "Kept in", FieldKind.CHOICE, choices=tuple(Place.choices), default=Place.S3.value),
    Field("bucket", "Bucket", required=True, max_length=222, pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]",
          placeholder="acme-repoguard", only_if=_only(Place.S3, Place.GCS), help="Its name alone; it must exist."),
    Field("endpoint_url", "Address", FieldKind.URL, placeholder="https://s3.example.com", only_if=_S3,
          help="Of what speaks S3 (MinIO, Ceph, R2, Garage…). Empty: Amazon's."),
    Field("region", "Region", max_length=60, pattern="[a-z0-9-]+", default="us-east-1", placeholder="eu-central-1", only_if=_S3,
          help="Of the bucket."),
    Field("addressing_style", "Bucket stands in the", FieldKind.CHOICE, default="auto", only_if=_S3,
          choices=(("auto", "host or path, as fits"), ("path", "path"), ("virtual", "host")),
          help="Most servers that are not Amazon's want the path."),
    Field("access_key_id", "Access key ID", required=True, max_length=128, pattern=_PRINTABLE, example="AKIAIOSFODNN7EXAMPLE", only_if=_S3,
          link="https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html"),
    Field("secret_access_key", "Secret access key", secret=True, required=True, max_length=500, pattern=_PRINTABLE, only_if=_S3,
          help="Of a user who may s3:PutObject, s3:GetObject and s3:DeleteObject below the folder."),
    Field("account_name", "Storage account", required=True, max_length=24, pattern="[a-z0-9]{3,24}", placeholder="acmerepoguard",
          only_if=_AZURE, help="Its name alone, not its address."),
    Field("container", "Container", required=True, max_length=63, pattern="[a-z0-9](-?[a-z0-9])+", placeholder="repoguard", only_if=_AZURE,
          help="It must exist."),
    Field("endpoint_suffix", "Cloud", FieldKind.CHOICE, default="core.windows.net", only_if=_AZURE,
          choices=(("core.windows.net", "public"), ("core.usgovcloudapi.net", "US government"), ("core.chinacloudapi.cn", "China"))),
    Field("account_key", "Account key", secret=True, required=True, max_length=200, pattern="[A-Za-z0-9+/=]+", example="c2VjcmV0LWtleQ==",
          only_if=_AZURE, help="One of its two keys, not a connection string and not a SAS token.",
          link="https://learn.microsoft.com/en-us/azure/storage/common/storage-account-keys-manage"),
    Field("service_account", "Service account", FieldKind.MULTILINE, secret=True, required=True, max_length=10_000, only_if=_GCS,
          help="The whole JSON file of a key, of an account with the role Storage Object Admin on the bucket.",
          link="https://cloud.google.com/iam/docs/keys-create-delete"),
    Field("host", "Server", required=True, max_length=253, pattern=r"[^\s/@:]+|[0-9A-Fa-f:.]+", placeholder="sftp.example.com",
          only_if=_SFTP, help="Its name or address alone, without sftp:// and port."),
    Field("port", "Port", FieldKind.INTEGER, low=1, high=65535, default=22, only_if=_SFTP),
    Field("username", "User", required=True, max_length=100, pattern=r"[\x21-\x7e]+", placeholder="repoguard", only_if=_SFTP),
    Field("host_key", "Host key", required=True, max_length=2000, only_if=_SFTP,
          pattern=rf"(\S+ )?({_HOST_KEYS}) [A-Za-z0-9+/=]+( .*)?", placeholder="ssh-ed25519 AAAAC3Nza…",
          example="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1rK0hQ2pHkXQ5h5yq3n8c2Ff9u0mVQmQm1c0m0m0m0",
          help="One line that ssh-keyscan prints for the server, compared with what its operator says. No other key is accepted."),
    Field("private_key", "Private key", FieldKind.MULTILINE, secret=True, max_length=10_000, only_if=_SFTP,
          help="The whole file, in OpenSSH's or PEM form. Either this or a password."),
    Field("passphrase", "Passphrase of the key", secret=True, max_length=500, only_if=_SFTP, help="Empty: the key has none."),
    Field("password", "Password", secret=True, max_length=500, only_if=_SFTP, help="Instead of a private key."),
    Field("sftp_folder", "Folder there", max_length=500, pattern=rf"/?{_PATH}", placeholder="/srv/repoguard", only_if=_SFTP,
          help="Made if it does not exist. Empty: where the sign-in leads to."),
    Field("folder", "Folder", required=True, max_length=500, pattern=_PATH, placeholder="archive", only_if=_LOCAL,
          help="Below STORAGE_LOCAL_ROOT, so without a / in front; while the operator has not set that, no folder is allowed. With several "
               "machines it must be shared between them."),
    Field("prefix", "Before each name", max_length=200, pattern=_PATH, placeholder="repoguard",
          help="A folder in there for all that the portal keeps, without / in front and at the end. Empty: none."),
    Field("archive_logs", "Keeps old delivery logs", FieldKind.BOOLEAN, default=False,
          help="Finished deliveries and their attempts are written here before housekeeping deletes them; while that fails, none is "
               "deleted. Only integrations of the admins do."),
)  # fmt: skip

DESTINATION_FIELDS: tuple[Field, ...] = (
    Field("key", "Name of each object", max_length=300, pattern=r"[A-Za-z0-9._=/{}-]+", default=DEFAULT_KEY,
          help="{year}, {month}, {day}, {date}, {type}, {repository} and {id} stand for the event's; {id} must be there."),
    Field("report", "With the report", FieldKind.CHOICE, choices=(("none", "no"), *FORMATS), default="none",
          help="Of completed scans and of gates: the findings of the ref, beside the event."),
)  # fmt: skip


def config_errors(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return errors by field of what fields say together."""
    if config["place"] == Place.GCS and not _is_service_account(credentials.get("service_account", "")):
        return {
            "service_account": [
                "is not the JSON of a service account's key: it must hold client_email, private_key, token_uri and project_id."
            ]
        }
    return _sftp_errors(config, credentials) if config["place"] == Place.SFTP else {}


def host_key_parts(line: str) -> tuple[str, str]:
    """Return the kind and the encoded key of a line with a host key, which may begin with the host's name."""
    found = re.search(rf"(?:^|\s)({_HOST_KEYS}) (\S+)", line)
    return (found[1], found[2]) if found else ("", "")


def _sftp_errors(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if not _is_host_key(*host_key_parts(config["host_key"])):
        errors["host_key"] = ["is not whole: the long text behind the kind is cut off or changed. Copy the line that ssh-keyscan prints."]
    key, password = credentials.get("private_key"), credentials.get("password")
    if not key and not password:
        errors["private_key"] = ["is needed, or a password."]
    elif key and password:
        errors["private_key"] = ["can't be there beside a password: give one of them, and remove the other."]
    elif key and "PRIVATE KEY-----" not in key:
        errors["private_key"] = [
            "is no private key: paste the whole file, from -----BEGIN … PRIVATE KEY----- on; not the one that ends in .pub."
        ]
    return errors


def _is_host_key(kind: str, encoded: str) -> bool:
    """Say whether a key is base64 of whole parts, each after its length, the first of which is its kind: so is every key of SSH."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        return False
    parts, at = [], 0
    while at < len(blob):
        length = int.from_bytes(blob[at : at + 4])
        parts.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    return at == len(blob) and len(parts) > 1 and parts[0] == kind.encode()


def _is_service_account(text: str) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    wanted = ("client_email", "private_key", "token_uri", "project_id")
    return isinstance(found, dict) and all(isinstance(found.get(name), str) and found[name] for name in wanted)
