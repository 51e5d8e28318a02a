"""Snyk: finds vulnerabilities in dependencies and code."""
