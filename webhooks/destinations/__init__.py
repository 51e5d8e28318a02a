"""Webhooks whose deliveries go through an integration: which connector, its memory, and what it started elsewhere."""
