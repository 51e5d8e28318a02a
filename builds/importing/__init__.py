"""Imports: builds that are fetched in bulk from a CI system, page by page, as work that survives its worker."""
