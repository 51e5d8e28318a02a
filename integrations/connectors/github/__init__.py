"""GitHub, also Enterprise Server: builds are read from it, and its webhooks are received."""
