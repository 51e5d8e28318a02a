"""OSV.dev, or a mirror of its API: which vulnerabilities the packages of a lock file or an SBOM have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.http.door import Auth, BadAnswer
from integrations.auth import AuthKind, static_auth
from integrations.choices import Category
from integrations.connectors.osv.asked import asked
from integrations.connectors.osv.client import Client, Refused
from integrations.connectors.osv.walk import Walk
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.fields import Field, FieldKind
from integrations.contract.scans import NothingToAsk, ScanPage, ScanQuery, ScanSource

# what OSV's own documentation asks about: it has vulnerabilities for certain
_KNOWN = {"package": {"ecosystem": "PyPI", "name": "jinja2"}, "version": "2.4.1"}


class Osv(Checker, ScanSource):
    """The API of OSV."""

    key = "osv"
    title = "OSV"
    description = "Looks the packages of lock files and SBOMs up in the open vulnerability database OSV.dev, or in a mirror of it."
    categories = (Category.SECURITY,)
    docs = "https://google.github.io/osv.dev/api/"
    fields = (
        Field("base_url", "Address", FieldKind.URL, default="https://api.osv.dev/", help="Of OSV, or of a mirror of its API."),
        Field("token", "Token", secret=True, max_length=8000, pattern=r"[\x21-\x7e]+",
              help="Sent as Authorization: Bearer …, where a mirror asks for one. OSV itself needs none."),
    )  # fmt: skip

    @classmethod
    def needs_packages(cls, config: Mapping[str, Any]) -> bool:
        """It knows nothing of repositories."""
        return True

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return the token of a mirror, if there is one."""
        return static_auth({"auth": AuthKind.BEARER if credentials.get("token") else AuthKind.NONE}, credentials)

    def check(self) -> CheckResult:
        """Ask about a package whose vulnerabilities are known."""
        try:
            [found] = self._client().batch([_KNOWN])
        except Refused as error:
            raise BadAnswer(f"OSV refused a query that it documents: {error}. Check that the address is that of its API.") from None
        known = len(found.vulnerabilities)
        if not known:
            raise BadAnswer("OSV answered, but knows nothing of jinja2 2.4.1, which has flaws: the mirror seems to be without data.")
        return CheckResult(f"OSV answered; it knows {known} vulnerabilities of jinja2 2.4.1.", {"vulnerabilities": known})

    def scan_pages(self, query: ScanQuery, cursor: Mapping[str, Any] | None = None) -> Iterator[ScanPage]:
        """Yield what OSV knows of the packages that are used. Without any, nothing can be asked: a lock file is missing."""
        if not query.packages:
            name = query.repository.full_name
            raise NothingToAsk(
                f"Nobody has said which packages {name} uses. Upload a lock file or SBOM first: "
                f"POST /api/v1/inventories/upload?repository={name} (docs/osv.md)."
            )
        yield from Walk(self._client(), asked(query.packages), cursor).pages()

    def _client(self) -> Client:
        return Client(self.door, self.config["base_url"], self.shown)
