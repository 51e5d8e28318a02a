"""The gateway: teams call an integration's service through the portal, with its credentials, limits, cache and log."""
