"""Snyk: the issues that it finds in repositories are read, and its webhooks are received."""
