"""Payload templates: what webhooks send in place of the portal's own body."""
