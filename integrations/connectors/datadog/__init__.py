"""Datadog: events in its stream, and metrics for its dashboards."""
