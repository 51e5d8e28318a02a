"""Webhooks that come in: taken, verified and stored at once, interpreted by a worker."""
