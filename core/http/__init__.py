"""The only door for outbound HTTP: the guard, the delivery client (aiohttp), and the door of connectors (requests)."""
