"""GitHub, also Enterprise Server: findings and builds are read from it, and its webhooks are received."""
