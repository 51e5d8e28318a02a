"""The storage connector."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from core.http.door import Auth, BadAnswer
from integrations.auth import CarriedByLibrary
from integrations.choices import Category
from integrations.connectors.storage.fields import DEFAULT_KEY, DESTINATION_FIELDS, FIELDS, config_errors
from integrations.connectors.storage.keys import key_of, template_errors, under
from integrations.connectors.storage.stores import Store, opened
from integrations.contract.archive import Archive
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.outbound import CallDestination, DestinationRequest, Memory, Outcome, OutgoingEvent
from integrations.report_files import report_of

MOST_REPORT_BYTES = 20 * 1024 * 1024
PROBE = b"RepoGuard wrote this to see whether it can.\n"


class Storage(Checker, Archive, CallDestination):
    """A bucket or folder that keeps events, and what the portal deletes."""

    key = "storage"
    title = "Storage"
    description = "Keeps events and old delivery logs in S3, Azure Blob Storage, Google Cloud Storage, over SFTP or in a folder."
    categories = (Category.STORAGE, Category.ANALYTICS)
    docs = "https://django-storages.readthedocs.io/en/latest/"
    fields = FIELDS
    destination_fields = DESTINATION_FIELDS
    example = {
        "config": {"bucket": "acme-repoguard", "region": "eu-central-1", "prefix": "repoguard"},
        "credentials": {"secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
        "destination": {"key": DEFAULT_KEY},
    }

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check what fields say together."""
        return config_errors(config, credentials)

    @classmethod
    def validate_options(cls, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check the template of names."""
        found = template_errors(options.get("key", DEFAULT_KEY))
        return {"key": found} if found else {}

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return what is to be masked."""
        return CarriedByLibrary(tuple(str(value) for value in credentials.values()))

    @classmethod
    def keeps_logs(cls, config: Mapping[str, Any]) -> bool:
        """Say whether the log is archived here."""
        return bool(config.get("archive_logs"))

    def check(self) -> CheckResult:
        """Write, read and delete a small object."""
        name = under(self._prefix, f"checks/{uuid.uuid4()}.txt")
        with self._opened() as store:
            store.put(name, PROBE, "text/plain")
            found = store.get(name)
            store.delete(name)
        if found != PROBE:
            raise BadAnswer("What was written is read back as something else. Look for a proxy or a cache in front of the storage.")
        return CheckResult("An object was written, read and deleted.", {"place": self.config["place"], "name": name})

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Store the event's envelope, and its report where that is wanted. Told twice, they replace themselves."""
        name = key_of(event, options.get("key", DEFAULT_KEY), self._prefix)
        report = report_of(event, wanted, MOST_REPORT_BYTES) if (wanted := options.get("report", "none")) != "none" else None
        details: dict[str, Any] = {"object": name, "bytes": len(event.body)}
        with self._opened() as store:
            store.put(name, event.body, "application/json")
            if report is not None and report.left_out:
                details["report_left_out"] = report.left_out
            elif report is not None:
                details["report"] = f"{name.removesuffix('.json')}.report.{report.ending}"
                store.put(details["report"], report.content, report.content_type)
        return Outcome(ok=True, details=details)

    def rehearse(self, event: OutgoingEvent, options: Mapping[str, Any]) -> list[DestinationRequest]:
        """Return the object that would be stored."""
        where = next(str(self.config[name]) for name in ("bucket", "container", "host", "folder") if self.config.get(name))
        url = f"{self.config['place']}://{where}/{key_of(event, options.get('key', DEFAULT_KEY), self._prefix)}"
        return [DestinationRequest(url, {"Content-Type": "application/json"}, event.body, "PUT")]

    def keep(self, name: str, content: bytes, content_type: str) -> None:
        """Store a file of the archive."""
        with self._opened() as store:
            store.put(under(self._prefix, name), content, content_type)

    @property
    def _prefix(self) -> str:
        return str(self.config.get("prefix", ""))

    def _opened(self) -> AbstractContextManager[Store]:
        return opened(self.config, self.credentials, self.door, self.shown)
