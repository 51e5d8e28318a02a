"""Cargo.lock: https://doc.rust-lang.org/cargo/guide/cargo-toml-vs-cargo-lock.html."""

from __future__ import annotations

from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, entries, used


class CargoLock(Format):
    """Cargo's lock file."""

    key = "cargo"
    title = "Cargo.lock"
    usual_name = "Cargo.lock"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """Its packages have a source that is a text; one of the workspace alone is told by the name of the file."""
        listed = list(entries(document.toml.get("package")))
        return any(isinstance(one.get("source"), str) for one in listed) or (document.name == "cargo.lock" and bool(listed))

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the crates of registries and of git; those of the workspace have no source."""
        for one in entries(document.toml.get("package")):
            if isinstance(one.get("source"), str):
                yield from used("crates.io", one.get("name"), one.get("version"))
